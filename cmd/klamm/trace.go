package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// A filter says which lines of a run are shown.
type filter struct {
	logs, all bool
	wanted    []attribute
}

type attribute struct{ key, value string }

// tracedBy are what lines can be picked by.
var tracedBy = []string{"partition", "node", "conn", "client", "group"}

const traceHelp = "want partition=NAME, node=NAME, conn=ID, client=NAME, group=NAME or all"

func newFilter(f replayFlags) (filter, error) {
	out := filter{logs: f.log}
	for _, t := range f.trace {
		key, value, ok := strings.Cut(t, "=")
		switch {
		case t == "all":
			out.all = true
		case ok && value != "" && slices.Contains(tracedBy, key):
			out.wanted = append(out.wanted, attribute{key, value})
		default:
			return out, fmt.Errorf("--trace %q: %s", t, traceHelp)
		}
	}
	return out, nil
}

func (f filter) any() bool { return f.logs || f.all || len(f.wanted) > 0 }

// shows reports whether a line that a node has printed is shown. Whatever the process of
// a client prints is the client's, too.
func (f filter) shows(l sim.Line) bool {
	if f.all || (f.logs && l.Event == "") {
		return true
	}
	for _, a := range f.wanted {
		if (a.key == "node" || a.key == "client") && l.Node == a.value {
			return true
		}
		for _, attr := range l.Attrs {
			if attr.Key == a.key && attr.Value.String() == a.value {
				return true
			}
		}
	}
	return false
}

// showsOfHistory reports whether an operation or a mark is shown. Marks that are of no
// partition, such as faults, are of everything.
func (f filter) showsOfHistory(l sim.Line) bool {
	if len(l.Attrs) == 0 {
		return f.all || len(f.wanted) > 0
	}
	return f.shows(l)
}

// A trace gathers the lines of a run that are shown.
type trace struct {
	filter
	lines []sim.Line
}

// take is the run's sink.
func (t *trace) take(l sim.Line) {
	if t.shows(l) {
		l.Attrs = slices.Clone(l.Attrs)
		t.lines = append(t.lines, l)
	}
}

// add adds what clients did, and what befell the run, each line where its time is.
func (t *trace) add(o *scenarios.Outcome) { t.addThose(o, t.showsOfHistory) }

// addThose adds of that what is wanted.
func (t *trace) addThose(o *scenarios.Outcome, wanted func(sim.Line) bool) {
	for _, l := range o.Lines() {
		if wanted(l) {
			t.lines = append(t.lines, l)
		}
	}
	slices.SortStableFunc(t.lines, func(a, b sim.Line) int { return int(min(max(a.At-b.At, -1), 1)) })
}

// eventJSON is a line of a trace; see docs/json.md.
type eventJSON struct {
	Kind    string            `json:"_kind"`
	Version int               `json:"_version"`
	At      int64             `json:"at_ns"`
	Node    string            `json:"node"`
	Event   string            `json:"event,omitempty"`
	Level   string            `json:"level,omitempty"`
	Text    string            `json:"text,omitempty"`
	Attrs   map[string]string `json:"attrs"`
}

// print prints the lines: as text, or an object a line.
func (t *trace) print(out io.Writer, output string) error {
	for _, l := range t.lines {
		if output != "json" {
			if _, err := fmt.Fprintln(out, l); err != nil {
				return err
			}
			continue
		}
		e := eventJSON{Kind: "klamm.event", Version: 1, At: int64(l.At), Node: l.Node, Event: l.Event, Attrs: map[string]string{}}
		if l.Event == "" {
			e.Level, e.Text = l.Level.String(), l.Text
		}
		for _, a := range l.Attrs {
			e.Attrs[a.Key] = a.Value.String()
		}
		if err := printJSON(out, e); err != nil {
			return err
		}
	}
	return nil
}
