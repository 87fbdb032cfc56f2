package scenarios

import (
	"fmt"
	"strings"

	"github.com/klammlog/klamm/sim"
)

// A Verdict is what a run comes to.
type Verdict string

// The verdicts, and what they mean for a gate.
const (
	Held         Verdict = "held"         // every guarantee held
	Violated     Verdict = "violated"     // a safety guarantee was broken
	Stuck        Verdict = "stuck"        // after the heal something never finished
	Inconclusive Verdict = "inconclusive" // nothing was tested
	Crashed      Verdict = "crashed"      // node code panicked: an assertion, or worse
)

// A Violation is one broken guarantee in one sentence.
type Violation struct {
	Guarantee string   `json:"guarantee"`
	Sentence  string   `json:"sentence"`
	Events    []string `json:"events,omitempty"`
}

// A Result is everything a run comes to. Its JSON form is a contract; see
// docs/json.md.
type Result struct {
	Scenario string   `json:"scenario"`
	Seed     uint64   `json:"seed"`
	Set      []string `json:"set,omitempty"`
	Case     string   `json:"case,omitempty"` // of a scenario with several, which it was

	Continuation sim.Continuation   `json:"continuation,omitzero"`
	Then         []sim.Continuation `json:"then,omitempty"` // as of the Spec
	Verdict      Verdict            `json:"verdict"`
	Reason       string             `json:"reason,omitempty"` // of a verdict that is not held

	Violations []Violation `json:"violations,omitempty"`
	Pending    []string    `json:"pending,omitempty"` // what never finished

	Chain        sim.Chain  `json:"chain"`
	VirtualNanos int64      `json:"virtual_ns"`
	Operations   Operations `json:"operations"`

	Options  []string    `json:"options"`          // what was drawn from the seed
	Families []string    `json:"families"`         // of faults and guests, that the run had
	Drawn    []string    `json:"faults_drawn"`     // the schedule, a line a fault
	Faults   []sim.Count `json:"faults_effective"` // by family, those that took effect
	Judged   []string    `json:"judged"`           // guarantees that applied
	Probes   []sim.Count `json:"probes"`
	Buggify  []sim.Count `json:"buggify"`

	Sizes       []Size   `json:"sizes"`
	Switches    []string `json:"switches"`  // settings that are true and need not be
	SafetyNanos int64    `json:"safety_ns"` // for how long there may be faults

	Movements  *Movements `json:"movements,omitempty"`  // of a cluster of several nodes
	Deliveries []Delivery `json:"deliveries,omitempty"` // of groups that have processed everything
}

// Operations counts what clients did.
type Operations struct {
	Total   int `json:"total"`
	Acked   int `json:"acked"`
	Failed  int `json:"failed"`
	Unknown int `json:"unknown"`
	Polls   int `json:"polls"`
	Records int `json:"records_polled"`
}

// Add adds up operations of several runs.
func (o Operations) Add(p Operations) Operations {
	return Operations{
		Total: o.Total + p.Total, Acked: o.Acked + p.Acked, Failed: o.Failed + p.Failed,
		Unknown: o.Unknown + p.Unknown, Polls: o.Polls + p.Polls, Records: o.Records + p.Records,
	}
}

// Turns returns the continuations of the run, by time.
func (r Result) Turns() []sim.Continuation {
	return Spec{Continuation: r.Continuation, Then: r.Then}.Turns()
}

// Replay returns the command that runs this run again.
func (r Result) Replay() string {
	what := fmt.Sprintf("%s --seed %d", r.Scenario, r.Seed)
	for _, c := range r.Turns() {
		what += " --continue " + c.String()
	}
	return ReplayCommand(what, r.Set)
}

// ReplayCommand returns the command that runs again what is named, with settings.
func ReplayCommand(what string, set []string) string {
	var b strings.Builder
	b.WriteString("klamm replay " + what)
	for _, s := range set {
		fmt.Fprintf(&b, " --set %s", quoted(s))
	}
	return b.String()
}

// quoted writes a word for a shell.
func quoted(s string) string {
	if strings.ContainsAny(s, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// Headline returns the failure in one line, or "" if there is none.
func (r Result) Headline() string {
	if r.Verdict == Held {
		return ""
	}
	what := r.Reason
	if len(r.Violations) > 0 {
		what = r.Violations[0].Guarantee + ": " + r.Violations[0].Sentence
	}
	return fmt.Sprintf("%s %s seed %d: %s", strings.ToUpper(string(r.Verdict)), r.Scenario, r.Seed, what)
}
