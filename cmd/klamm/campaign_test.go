package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// TestCampaign plays testdata: a line is what came of one run, in the order the
// runs ended, and below stands everything that is printed. A line is a scenario, a
// seed, and a verdict of the run or: grouped (held, with groups), died, failed (the run could not be made),
// unwritten (violated, and its evidence could not be written), diverged. A last line
// "interrupted" or "broken" ends the campaign early.
func TestCampaign(t *testing.T) {
	datadriven.Walk(t, "testdata/campaign", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			f := runFlags{output: d.Cmd, repeat: 1, coverage: d.HasArg("coverage")}
			d.MaybeScanArgs(t, "repeat", &f.repeat)
			d.MaybeScanArgs(t, "fail-fast", &f.failFast)
			c := newCampaign([]string{"quiet", "power-loss"}, f)
			c.begun = time.Now().Add(-time.Hour)
			var out, errs bytes.Buffer
			for line := range strings.Lines(d.Input) {
				switch line = strings.TrimSpace(line); line {
				case "interrupted":
					c.ended = errInterrupted
				case "broken":
					c.ended = errors.New("start a worker process: no more processes")
				default:
					if !c.take(parseFinding(t, line, f.repeat)) {
						out.WriteString("(enough)\n")
					}
				}
			}
			if err := c.print(&out, &errs); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "stderr: %s", took.ReplaceAllString(errs.String(), "in TIME"))
			return fmt.Sprintf("%sexit code %d\n", &out, codeOf(c.exit()))
		})
	})
}

var took = regexp.MustCompile(`in \S+ \(\S+ a second\)`)

func parseFinding(t *testing.T, line string, repeat int) (f finding) {
	var verdict string
	if _, err := fmt.Sscan(line, &f.Spec.Scenario, &f.Spec.Seed, &verdict); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	f.Spec.Set = []string{"log.flush=os"}
	f.Result = scenarios.Result{
		Scenario: f.Spec.Scenario, Seed: f.Spec.Seed, Set: f.Spec.Set, Verdict: scenarios.Held,
		Chain: sim.Chain{Sum: 100 + f.Spec.Seed, Events: 7}, VirtualNanos: 2e9,
		Operations: scenarios.Operations{Total: 10, Acked: 5, Failed: 1, Unknown: 1, Polls: 3, Records: 9},
		Options:    []string{"producers=2"}, Families: []string{"crash", "operator-acts"}, Drawn: []string{"crash n1 at 1s"},
		Faults: []sim.Count{{Name: "crash", Times: 1}}, Judged: []string{"no-lost-ack"},
		Probes: []sim.Count{}, Buggify: []sim.Count{},
	}
	again := f.Result
	switch verdict {
	case "died":
		f.Result, f.Died = scenarios.Result{}, errors.New("the process that ran it died (signal: killed):\nits last words")
	case "failed":
		f.Result, f.Error = scenarios.Result{}, "the scenario has no topic"
	case "grouped":
		f.Result.Deliveries = []scenarios.Delivery{
			{Group: "g1", Mode: "process-first", Protocol: "classic", Records: 100, Repeated: int(f.Spec.Seed), ResumedNanos: []int64{2e6, 3e9}},
			{Group: "g2", Mode: "commit-first", Protocol: "classic", Records: 100, Missed: 2, ResumedNanos: []int64{}},
		}
	case "diverged":
		again.Chain.Sum++
	case "unwritten":
		f.Error = "evidence cannot be written: no space left on device"
		fallthrough
	case "violated":
		f.Result.Verdict = scenarios.Violated
		f.Result.Violations = []scenarios.Violation{
			{Guarantee: "no-lost-ack", Sentence: "orders-0 offset 3 is gone", Events: []string{"p1 sent it", "c1 did not read it"}},
			{Guarantee: "no-lost-ack", Sentence: "orders-0 offset 4 is gone"},
			{Guarantee: "agreement", Sentence: "orders-0 offset 3 is two records"},
		}
	default:
		f.Result.Verdict, f.Result.Reason = scenarios.Verdict(verdict), "because it "+verdict
		if verdict == "stuck" {
			f.Result.Pending = []string{"p1 waits for record 8"}
		}
	}
	for range repeat - 1 {
		f.Again = append(f.Again, again)
	}
	return f
}

// The digest does not depend on the order runs end in, and does on each of them.
func TestDigestIdentifiesACampaign(t *testing.T) {
	sum := func(findings ...finding) string {
		c := newCampaign([]string{"quiet"}, runFlags{})
		for _, f := range findings {
			c.take(f)
		}
		return c.rows["quiet"].Digest
	}
	one, two := parseFinding(t, "quiet 1 held", 1), parseFinding(t, "quiet 2 held", 1)
	other := two
	other.Result.Chain.Sum++
	if sum(one, two) != sum(two, one) {
		t.Error("the order of runs changes the digest")
	}
	if sum(one, two) == sum(one, other) || sum(one) == sum(one, two) || sum(one, one) == sum(two, two) {
		t.Error("different campaigns have one digest")
	}
}
