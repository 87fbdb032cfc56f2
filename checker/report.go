package checker

import (
	"fmt"
	"strings"

	"github.com/klammlog/klamm/checker/history"
)

// Status is what a judge concluded.
type Status string

const (
	Held          Status = "held"
	Violated      Status = "violated"
	NotApplicable Status = "not-applicable" // not promised to this run, or not asked about in it
	Inconclusive  Status = "inconclusive"   // promised, but the history does not show it either way
)

// A Violation is a proof that the history is wrong: the promise, a sentence that
// says how it was broken, and the events that cannot all have happened.
type Violation struct {
	Guarantee Guarantee       `json:"guarantee"`
	Sentence  string          `json:"sentence"`
	Events    []history.Event `json:"events"`
}

func (v Violation) String() string { return string(v.Guarantee) + ": " + v.Sentence }

// A Verdict is the conclusion about one guarantee.
type Verdict struct {
	Guarantee  Guarantee   `json:"guarantee"`
	Status     Status      `json:"status"`
	Reason     string      `json:"reason,omitempty"` // of NotApplicable and Inconclusive
	Checked    int         `json:"checked"`          // how many things were compared
	Total      int         `json:"violations_total"`
	Violations []Violation `json:"violations,omitempty"` // the first KeptViolations
}

// Counts say how much there was to judge. A run in which nothing was
// acknowledged, or nothing read, shows nothing; its scenario decides.
type Counts struct {
	Sends       int `json:"sends"`
	Acked       int `json:"acked"`
	Failed      int `json:"failed"`
	Unknown     int `json:"unknown"`
	Pending     int `json:"pending"` // operations of every kind
	Polls       int `json:"polls"`   // that returned
	Records     int `json:"records"` // that they returned
	ListOffsets int `json:"list_offsets"`
	ReadBacks   int `json:"read_backs"`
}

// A Report is what all judges say about one history.
type Report struct {
	Counts   Counts    `json:"counts"`
	Verdicts []Verdict `json:"verdicts"`

	// Pending are the operations without an answer at the end: evidence against
	// liveness, if the run waited long enough. The first KeptViolations of them.
	Pending      []history.Event `json:"pending,omitempty"`
	PendingTotal int             `json:"pending_total"`

	// Skipped says which partitions were left out, and why.
	Skipped []string `json:"skipped,omitempty"`
}

// CountOf counts operations by outcome.
func CountOf(h *history.History) Counts {
	c := Counts{Sends: len(h.Sends), Records: len(h.Reads())}
	for i := range h.Sends {
		switch h.Sends[i].Outcome {
		case history.OK:
			c.Acked++
		case history.Failed:
			c.Failed++
		case history.Unknown:
			c.Unknown++
		}
	}
	for i := range h.Polls {
		c.Polls += count(h.Polls[i].Outcome == history.OK)
	}
	for i := range h.ListOffsets {
		c.ListOffsets += count(h.ListOffsets[i].Outcome == history.OK)
	}
	for i := range h.ReadBacks {
		c.ReadBacks += count(h.ReadBacks[i].Outcome == history.OK)
	}
	eachPending(h, func(history.OpID) { c.Pending++ })
	return c
}

func count(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

// Verdict returns the verdict on a guarantee; its Status is "" if it was not
// judged.
func (r *Report) Verdict(g Guarantee) Verdict {
	for i := range r.Verdicts {
		if r.Verdicts[i].Guarantee == g {
			return r.Verdicts[i]
		}
	}
	return Verdict{}
}

// Violations returns all violations kept, in the order of the verdicts.
func (r *Report) Violations() []Violation {
	var all []Violation
	for i := range r.Verdicts {
		all = append(all, r.Verdicts[i].Violations...)
	}
	return all
}

// Status sums the report up: Violated if any guarantee is, else Inconclusive if
// any is or if nothing was acknowledged, else Held.
func (r *Report) Status() Status {
	sum := Held
	if r.Counts.Acked == 0 {
		sum = Inconclusive
	}
	for i := range r.Verdicts {
		switch r.Verdicts[i].Status {
		case Violated:
			return Violated
		case Inconclusive:
			sum = Inconclusive
		}
	}
	return sum
}

// String writes the report as text: a line per guarantee, the violations kept
// with their events, and what is pending.
func (r *Report) String() string {
	var b strings.Builder
	c := &r.Counts
	fmt.Fprintf(&b, "%d sends: %d acknowledged, %d failed, %d unknown; %d polls of %d records; %d lookups; %d read back\n",
		c.Sends, c.Acked, c.Failed, c.Unknown, c.Polls, c.Records, c.ListOffsets, c.ReadBacks)
	for i := range r.Verdicts {
		r.Verdicts[i].write(&b)
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "skipped: %s\n", s)
	}
	for _, e := range r.Pending {
		fmt.Fprintf(&b, "pending: %v\n", e)
	}
	if more := r.PendingTotal - len(r.Pending); more > 0 {
		fmt.Fprintf(&b, "pending: and %d more\n", more)
	}
	return b.String()
}

func (v *Verdict) write(b *strings.Builder) {
	fmt.Fprintf(b, "%-19s %-14s %d checked", v.Guarantee, v.Status, v.Checked)
	if v.Reason != "" {
		fmt.Fprintf(b, " (%s)", v.Reason)
	}
	b.WriteByte('\n')
	for _, x := range v.Violations {
		fmt.Fprintf(b, "    %s\n", x.Sentence)
		for _, e := range x.Events {
			fmt.Fprintf(b, "        %v\n", e)
		}
	}
	if more := v.Total - len(v.Violations); more > 0 {
		fmt.Fprintf(b, "    and %d more\n", more)
	}
}
