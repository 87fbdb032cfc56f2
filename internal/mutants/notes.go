package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// An outcome is what came of one campaign of a comparison.
type outcome struct {
	Mutant    string   `json:"mutant"`
	Scenario  string   `json:"scenario"`
	Set       []string `json:"set,omitempty"` // settings of every run
	Search    string   `json:"search"`
	Campaign  int      `json:"campaign"`
	Limit     int      `json:"limit"`
	First     int      `json:"first_seed"`
	Runs      int      `json:"runs"` // the last one, which found the mutant, included
	Found     bool     `json:"found"`
	Guarantee string   `json:"guarantee,omitempty"` // that was broken
	Unsound   int      `json:"unsound,omitempty"`   // complaints that the code without the mutant earns too
	Seconds   float64  `json:"seconds"`             // that processors worked
	Commit    string   `json:"commit"`              // that changed last what it depends on
}

// sameCampaign reports whether two outcomes are of one campaign: what it comes to is a
// function of the code, so that another commit's are other campaigns.
func (o outcome) sameCampaign(p outcome) bool {
	return o.samePair(p) && o.Search == p.Search && o.Campaign == p.Campaign && o.Commit == p.Commit
}

// samePair reports whether two outcomes belong into one row of the table.
func (o outcome) samePair(p outcome) bool {
	return o.Mutant == p.Mutant && o.Scenario == p.Scenario && slices.Equal(o.Set, p.Set) && o.Limit == p.Limit
}

// notes are the outcomes of campaigns in a file, a line each. A line is written when its
// campaign has ended, so that a comparison that is cut goes on where it was.
type notes struct {
	file *os.File
	all  []outcome
}

// openNotes reads what was noted, and makes the file if there is none. A last line that
// was cut short is a campaign that is made again.
func openNotes(name string) (*notes, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	n := &notes{file: file}
	text, err := os.ReadFile(name)
	whole := bytes.LastIndexByte(text, '\n') + 1
	for i, line := range bytes.Split(bytes.TrimSuffix(text[:whole], []byte{'\n'}), []byte{'\n'}) {
		var o outcome
		if err == nil && len(line) > 0 {
			if err = json.Unmarshal(line, &o); err != nil {
				err = fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
			n.all = append(n.all, o)
		}
	}
	if err == nil {
		err = file.Truncate(int64(whole))
	}
	if err == nil {
		_, err = file.Seek(int64(whole), 0)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return n, nil
}

func (n *notes) close() error { return n.file.Close() }

// has reports whether a campaign was made before.
func (n *notes) has(o outcome) bool { return slices.ContainsFunc(n.all, o.sameCampaign) }

// add notes what came of a campaign.
func (n *notes) add(o outcome) error {
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	n.all = append(n.all, o)
	_, err = n.file.Write(append(line, '\n'))
	return err
}

// table returns what the campaigns of some commits, by way to search, came to: a row a
// mutant, as Markdown.
func (n *notes) table(commits map[string]string) string {
	var b strings.Builder
	b.WriteString("| mutant | scenario | plain: runs | found | guided: runs | found | ratio | CPU s, plain and guided |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	these := slices.DeleteFunc(slices.Clone(n.all), func(o outcome) bool { return o.Commit != commits[o.Search] })
	for i, o := range these {
		if slices.IndexFunc(these, o.samePair) != i {
			continue // its row is there
		}
		by := map[string][]outcome{}
		for _, p := range these {
			if o.samePair(p) {
				by[p.Search] = append(by[p.Search], p)
			}
		}
		plain, guided := by[plainSearch], by[guidedSearch]
		scenario := strings.Join(append([]string{o.Scenario}, o.Set...), " ")
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s | %.0f, %.0f |\n", o.Mutant, scenario,
			runsOf(plain), foundOf(plain), runsOf(guided), foundOf(guided), ratio(guided, plain), secondsOf(plain), secondsOf(guided))
	}
	return b.String()
}

// cost is the runs of a campaign; one that found nothing counts as its limit.
func (o outcome) cost() int {
	if !o.Found {
		return o.Limit
	}
	return o.Runs
}

// runsOf returns the median of campaigns' runs, and the quartiles.
func runsOf(campaigns []outcome) string {
	if len(campaigns) == 0 {
		return "-"
	}
	return fmt.Sprintf("%g (%g to %g)", quartile(campaigns, 2), quartile(campaigns, 1), quartile(campaigns, 3))
}

func foundOf(campaigns []outcome) string {
	found := 0
	for _, o := range campaigns {
		if o.Found {
			found++
		}
	}
	return fmt.Sprintf("%d of %d", found, len(campaigns))
}

// ratio returns how the medians compare.
func ratio(guided, plain []outcome) string {
	if len(guided) == 0 || len(plain) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", quartile(guided, 2)/quartile(plain, 2))
}

func secondsOf(campaigns []outcome) float64 {
	sum := 0.0
	for _, o := range campaigns {
		sum += o.Seconds
	}
	return sum
}

// quartile returns the n-th quartile of what campaigns took: the value in n quarters of
// the way through them, or the middle of the two on either side.
func quartile(campaigns []outcome, n int) float64 {
	sorted := slices.SortedFunc(slices.Values(campaigns), func(a, b outcome) int { return cmp.Compare(a.cost(), b.cost()) })
	at := n * len(sorted) / 4
	if n*len(sorted)%4 != 0 {
		return float64(sorted[at].cost())
	}
	return float64(sorted[at-1].cost()+sorted[at].cost()) / 2
}
