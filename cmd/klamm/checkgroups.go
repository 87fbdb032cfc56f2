package main

import (
	"fmt"
	"io"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/checker/history"
)

// checkedGroups is what is said of the groups of a history.
type checkedGroups struct {
	Names    []string       `json:"names"`
	Repeated int            `json:"repeated"`
	Missed   int            `json:"missed"`
	Verdicts []groupVerdict `json:"group_verdicts"`
}

// A groupVerdict is the conclusion about one guarantee of groups.
type groupVerdict struct {
	Guarantee  delivery.Guarantee `json:"guarantee"`
	Status     checker.Status     `json:"status"`
	Reason     string             `json:"reason,omitempty"`
	Checked    int                `json:"checked"`
	Violations []groupViolation   `json:"group_violations,omitempty"`
}

// A groupViolation is the first of a group's and a guarantee's.
type groupViolation struct {
	Sentence string   `json:"sentence"`
	Evidence []string `json:"evidence"`
}

// judgeGroups judges what a history tells of groups; nil if it has none.
func judgeGroups(f *history.File) *checkedGroups {
	if len(f.Groups) == 0 {
		return nil
	}
	h, missing := delivery.Recorded(f)
	r := delivery.Judge(h)
	out := &checkedGroups{Repeated: r.Repeated, Missed: r.Missed}
	promised := map[delivery.Guarantee]bool{}
	for _, g := range h.Groups {
		out.Names = append(out.Names, g.Name)
		promised[map[delivery.Mode]delivery.Guarantee{
			delivery.CommitFirst: delivery.AtMostOnce, delivery.ProcessFirst: delivery.AtLeastOnce, delivery.WithOutput: delivery.ExactlyOnce,
		}[g.Mode]] = true
	}
	for _, g := range delivery.Guarantees() {
		v := groupVerdict{Guarantee: g, Status: checker.Held, Checked: r.Checked[g]}
		for _, x := range r.Violations {
			if x.Guarantee == g {
				v.Violations = append(v.Violations, groupViolation{x.Sentence, x.Events})
			}
		}
		switch {
		case len(v.Violations) > 0:
			v.Status = checker.Violated
		case promised[g] && len(missing) > 0:
			v.Status, v.Reason = checker.Inconclusive, missing[0]
		case promised[g] && v.Checked == 0:
			v.Status, v.Reason = checker.Inconclusive, "nothing to judge in the history"
		case v.Checked == 0:
			v.Status, v.Reason = checker.NotApplicable, unasked[g]
		}
		out.Verdicts = append(out.Verdicts, v)
	}
	return out
}

// unasked says what a history would need for a guarantee to be judged.
var unasked = map[delivery.Guarantee]string{
	delivery.AtMostOnce:     "no group is to deliver so",
	delivery.AtLeastOnce:    "no group is to deliver so",
	delivery.ExactlyOnce:    "no group is to deliver so",
	delivery.GroupExclusive: "no assignments are told",
	delivery.GroupBroadcast: "no two groups read one topic",
	delivery.CommitForward:  "nobody asked for committed offsets",
}

// conclude returns the worse of two conclusions: of the partitions, and of the groups.
func (g *checkedGroups) conclude(status checker.Status, reason string, code int) (checker.Status, string, int) {
	if g == nil || status == checker.Violated {
		return status, reason, code
	}
	for _, v := range g.Verdicts {
		switch {
		case v.Status == checker.Violated:
			return checker.Violated, fmt.Sprintf("%s: %s", v.Guarantee, v.Violations[0].Sentence), exitViolated
		case v.Status == checker.Inconclusive && status == checker.Held:
			status, reason, code = checker.Inconclusive, fmt.Sprintf("%s: %s", v.Guarantee, v.Reason), exitInconclusive
		}
	}
	return status, reason, code
}

func (g *checkedGroups) print(out io.Writer) {
	fmt.Fprintf(out, "%d groups; %d records were processed again, %d never\n", len(g.Names), g.Repeated, g.Missed)
	for _, v := range g.Verdicts {
		fmt.Fprintf(out, "%-19s %-14s %d checked", v.Guarantee, v.Status, v.Checked)
		if v.Reason != "" {
			fmt.Fprintf(out, " (%s)", v.Reason)
		}
		fmt.Fprintln(out)
		for _, x := range v.Violations {
			fmt.Fprintf(out, "    %s\n", x.Sentence)
			for _, e := range x.Evidence {
				fmt.Fprintf(out, "        %s\n", e)
			}
		}
	}
}
