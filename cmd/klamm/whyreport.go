package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/klammlog/klamm/internal/moments"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// betweenShown bounds how much of what happened while the failure became likely is told.
const betweenShown = 20

// A whyReport is what why prints as JSON; see docs/json.md.
type whyReport struct {
	Kind      string      `json:"_kind"`
	Version   int         `json:"_version"`
	Run       string      `json:"run"` // as klamm diff takes it
	Set       []string    `json:"set"` // settings of it, likewise, on top
	Guarantee string      `json:"guarantee"`
	Headline  string      `json:"headline"`
	End       int64       `json:"end_ns"`
	Moments   []whyMoment `json:"moments"`
	How       string      `json:"how"`        // it became likely
	Likely    whyTurn     `json:"likely"`     // where that was
	Decided   whyTurn     `json:"decided"`    // from where on no continuation held
	Sibling   string      `json:"held"`       // the last continuation that held; empty if none did
	Runs      int         `json:"runs"`       // that were made
	Odd       int         `json:"unfinished"` // of them, that came to no verdict
	Complete  bool        `json:"complete"`

	ended    error  // why it is not complete
	took     string // in time
	settings string // of the run, as a shell takes them
}

// A whyTurn is two moments next to each other, and what happened from one to the other.
type whyTurn struct {
	Before  *whyMoment `json:"before"` // null: it was so from the beginning on
	After   whyMoment  `json:"after"`
	Between []string   `json:"between"`
	Omitted int        `json:"omitted"` // of that, how much is not told
}

// A whyMoment is a moment of the run, and what became of the continuations from it.
type whyMoment struct {
	At    int64   `json:"at_ns"`
	Runs  int     `json:"continuations"`
	Broke int     `json:"broke"` // the same guarantee
	Share float64 `json:"share"`
	Low   float64 `json:"low"` // of the 95 % confidence interval
	High  float64 `json:"high"`
}

func whyMomentOf(m moments.Moment) whyMoment {
	low, high := m.Interval()
	return whyMoment{int64(m.At), m.Runs, m.Hits, m.Share(), low, high}
}

// The ways in which a failure becomes likely.
const (
	likelyAlways = "from the beginning on"
	likelyAtOnce = "at once"
	likelySlowly = "gradually"
	likelyUnsure = "not known closely" // the search ended before
)

// report gathers what was found.
func (w *asker) report(f moments.Finding, ended error) whyReport {
	r := whyReport{
		Kind: "klamm.why", Version: 1, Run: w.runWord(), Guarantee: w.guarantee, Headline: w.failed.Headline(), End: w.failed.VirtualNanos,
		Likely: whyTurnOf(f.Before, f.After), Decided: whyTurnOf(f.Open, f.Decided), Runs: w.runs, Odd: w.odd,
		Complete: ended == nil, ended: ended, took: time.Since(w.begun).Round(time.Second).String(),
		Set: append([]string{}, w.flags.set...), settings: strings.TrimPrefix(scenarios.ReplayCommand("", w.flags.set), scenarios.ReplayCommand("", nil)),
	}
	for _, m := range f.Moments {
		r.Moments = append(r.Moments, whyMomentOf(m))
	}
	switch {
	case len(f.Moments) < 2:
		r.How = likelyUnsure
	case r.Likely.Before == nil:
		r.How = likelyAlways
	case f.Sharp(w.search):
		r.How = likelyAtOnce
	case ended != nil:
		r.How = likelyUnsure
	default:
		r.How = likelySlowly
	}
	for _, m := range f.Moments {
		if n := w.siblings[m.At].held; n > 0 {
			r.Sibling = fmt.Sprintf("%s@%s", r.Run, sim.Continuation{From: kafka.Instant(m.At), Number: n})
		}
	}
	return r
}

func whyTurnOf(before, after moments.Moment) whyTurn {
	t := whyTurn{After: whyMomentOf(after), Between: []string{}}
	if before != after {
		m := whyMomentOf(before)
		t.Before = &m
	}
	return t
}

// runWord names the run as klamm diff takes it.
func (w *asker) runWord() string {
	if w.flags.seed != "" {
		return fmt.Sprintf("%s:%d", w.spec.Scenario, w.spec.Seed)
	}
	return w.name
}

// explain makes the run once more, and notes what happened while the failure became
// likely, and while it was decided: what nodes logged and did, what clients did, and what
// befell them.
func (w *asker) explain(r *whyReport) error {
	turns := []*whyTurn{&r.Likely, &r.Decided}
	wanted := func(l sim.Line) bool {
		return (l.Event != "" || l.Level >= slog.LevelInfo) && (turns[0].holds(l) || turns[1].holds(l))
	}
	shown := trace{filter: filter{all: true}}
	watch := scenarios.Watch{Sink: func(l sim.Line) {
		if wanted(l) {
			shown.take(l)
		}
	}}
	defer guard(w.spec, &watch)()
	outcome, err := runCaught(w.spec, watch)
	if err != nil {
		return err
	}
	shown.addThose(outcome, wanted)
	for _, l := range shown.lines {
		for _, t := range turns {
			switch {
			case !t.holds(l):
			case len(t.Between) == betweenShown:
				t.Omitted++
			default:
				t.Between = append(t.Between, l.String())
			}
		}
	}
	return nil
}

// holds reports whether a line is of the time between the two moments.
func (t *whyTurn) holds(l sim.Line) bool {
	return t.Before != nil && int64(l.At) >= t.Before.At && int64(l.At) < t.After.At
}

// tell prints the report.
func (r whyReport) tell(out io.Writer, output string) error {
	if output == "json" {
		return printJSON(out, r)
	}
	lines := [][]string{{"FROM", "BROKE", "OF", "SHARE", "95 %", ""}}
	for i, m := range r.Moments {
		if i == len(r.Moments)-1 { // from there nothing is tried
			lines = append(lines, []string{time.Duration(m.At).String(), "", "", percent(m.Share), "the run's end", ""})
			continue
		}
		lines = append(lines, []string{time.Duration(m.At).String(), fmt.Sprint(m.Broke), fmt.Sprint(m.Runs),
			percent(m.Share), percent(m.Low) + " to " + percent(m.High), strings.Repeat("#", int(m.Share*40+0.5))})
	}
	fmt.Fprintf(out, "continuations of %s that break %s too:\n\n", r.Run, r.Guarantee)
	if err := writeColumns(out, lines); err != nil {
		return err
	}
	fmt.Fprintln(out)
	r.tellTurns(out)
	if r.Odd > 0 {
		fmt.Fprintf(out, "%d of the runs came to no verdict, and count as if they had held\n", r.Odd)
	}
	if r.ended != nil {
		fmt.Fprintf(out, "not complete: %v\n", r.ended)
	}
	_, err := fmt.Fprintf(out, "%d runs, %s\n", r.Runs, r.took)
	if r.Sibling != "" && err == nil {
		_, err = fmt.Fprintf(out, "the run and the last continuation that held: klamm diff %s %s%s\n", r.Run, r.Sibling, r.settings)
	}
	return err
}

// tellTurns says from when on the failure was likely, and from when on it was decided.
func (r whyReport) tellTurns(out io.Writer) {
	l, d := &r.Likely, &r.Decided
	if len(r.Moments) < 2 {
		fmt.Fprintln(out, "nothing is known: there was no time for all the continuations of a single moment")
		return
	}
	switch {
	case r.How == likelyAlways:
		fmt.Fprintf(out, "it was likely from the beginning on, with %s of the continuations\n", percent(r.Moments[0].Share))
	case r.How == likelyAtOnce:
		fmt.Fprintf(out, "it became likely at once, %s\n", l.sentence())
	case r.How == likelySlowly:
		fmt.Fprintf(out, "it became likely gradually: no two moments close to each other differ by more than chance. It passed a half %s\n", l.sentence())
	default:
		fmt.Fprintf(out, "it became likely %s\n", l.sentence())
	}
	if d.Before == nil {
		fmt.Fprintln(out, "no continuation held: the code, the faults and the settings decide it, and no chance (klamm shrink says by which faults)")
		return
	}
	if l.Before != nil && (*l.Before != *d.Before || l.After != d.After) {
		l.tellBetween(out)
	}
	fmt.Fprintf(out, "it was decided %s\n", d.sentence())
	d.tellBetween(out)
}

// sentence says when it was, and how the share changed.
func (t *whyTurn) sentence() string {
	share := func(m whyMoment) string {
		return fmt.Sprintf("%s (%s to %s)", percent(m.Share), percent(m.Low), percent(m.High))
	}
	return fmt.Sprintf("between %s and %s: from %s to %s", time.Duration(t.Before.At), time.Duration(t.After.At), share(*t.Before), share(t.After))
}

func (t *whyTurn) tellBetween(out io.Writer) {
	for _, line := range t.Between {
		fmt.Fprintf(out, "    %s\n", line)
	}
	switch {
	case t.Omitted > 0:
		fmt.Fprintf(out, "    … and %d lines more: klamm replay --trace all\n", t.Omitted)
	case len(t.Between) == 0:
		fmt.Fprintln(out, "    (nothing that nodes log or clients see)")
	}
}

func percent(p float64) string { return fmt.Sprintf("%.0f %%", 100*p) }
