package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A campaignJSON is what merge prints.
type campaignJSON struct {
	Kind     string          `json:"_kind"`
	Version  int             `json:"_version"`
	Plan     string          `json:"plan"`
	Code     string          `json:"code"`
	Shards   int             `json:"shards"`
	Done     int             `json:"done"`
	Missing  []int           `json:"missing"`
	Canary   *canaryJSON     `json:"canary"`
	Rows     []*row          `json:"scenarios"`
	Coverage *coverageReport `json:"coverage,omitempty"` // if it was asked for
	Failures []failureReport `json:"failures"`
	Exit     int             `json:"exit_code"`
}

func (m *merged) printJSON(out io.Writer) error {
	r := m.campaign.report()
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(campaignJSON{
		"klamm.campaign", 1, m.plan.Hash(), m.plan.Code, m.plan.Shards(), m.done(), append([]int{}, m.missing...), m.canary,
		r.Rows, r.Coverage, r.Failures, codeOf(m.exit()),
	})
}

// A campaignStatusJSON is what status prints.
type campaignStatusJSON struct {
	Kind     string         `json:"_kind"`
	Version  int            `json:"_version"`
	Plan     string         `json:"plan"`
	Code     string         `json:"code"`
	Shards   int            `json:"shards"`
	Done     int            `json:"done"`
	Missing  []int          `json:"missing"`
	Runs     uint64         `json:"runs"`
	RunsDone int            `json:"runs_done"`
	Verdicts map[string]int `json:"verdicts"`
	Canary   *canaryJSON    `json:"canary"`
}

func (m *merged) status() campaignStatusJSON {
	return campaignStatusJSON{
		"klamm.campaign-status", 1, m.plan.Hash(), m.plan.Code, m.plan.Shards(), m.done(), append([]int{}, m.missing...),
		m.plan.Runs(), m.campaign.runs(), m.verdicts(), m.canary,
	}
}

// verdicts returns how many runs came to what.
func (m *merged) verdicts() map[string]int {
	sum := map[string]int{}
	for _, name := range m.campaign.names {
		for verdict, n := range m.campaign.rows[name].Verdicts { //klamm:unordered sums
			sum[verdict] += n
		}
	}
	return sum
}

func (m *merged) printText(out, errs io.Writer) {
	m.printHeading(out)
	fmt.Fprintln(out)
	m.campaign.printText(out, errs)
}

// printHeading tells what the campaign is, what is missing of it, and whether it proves
// anything.
func (m *merged) printHeading(out io.Writer) {
	p := m.plan
	fmt.Fprintf(out, "plan %.12s: seeds %d+%d of %d scenarios, %d runs in %d shards, for %s\n",
		p.Hash(), p.First, p.Seeds, len(p.Scenarios), p.Runs(), p.Shards(), p.Code)
	if len(m.missing) > 0 {
		fmt.Fprintf(out, "INCOMPLETE: %d of %d shards are done; missing %s\n", m.done(), p.Shards(), numbers(m.missing))
	} else {
		fmt.Fprintf(out, "complete: all %d shards are done\n", p.Shards())
	}
	fmt.Fprintln(out, m.canary.sentence(len(m.missing) == 0))
}

func (m *merged) printStatus(out io.Writer) error {
	m.printHeading(out)
	all := row{Seeds: m.campaign.runs(), Verdicts: m.verdicts()}
	for _, name := range m.campaign.names {
		all.Repeated += m.campaign.rows[name].Repeated
	}
	fmt.Fprintf(out, "%d of %d runs: %s\n", m.campaign.runs(), m.plan.Runs(), m.campaign.verdictCell(&all))
	for i, f := range m.campaign.failures {
		if i == failuresShown {
			fmt.Fprintf(out, "… and %d more failures\n", len(m.campaign.failures)-i)
			break
		}
		fmt.Fprintf(out, "%s\n  replay: %s\n", f.headline(), f.replay())
	}
	return nil
}

// numbers prints rising numbers, neighbours as A-B.
func numbers(all []int) string {
	var words []string
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1] == all[j]+1 {
			j++
		}
		if i == j {
			words = append(words, fmt.Sprint(all[i]))
		} else {
			words = append(words, fmt.Sprintf("%d-%d", all[i], all[j]))
		}
		i = j + 1
	}
	if most := 20; len(words) > most {
		return strings.Join(words[:most], ", ") + ", …"
	}
	return strings.Join(words, ", ")
}
