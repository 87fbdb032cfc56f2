package scenarios

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/klammlog/klamm/internal/report"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A Witness sees everything of one run that its report tells. It looks only: a run that
// is watched has the chain of one that is not.
//
// A nil witness sees nothing.
//
// What it keeps is bounded: of a run that goes on and on it forgets messages, those
// first that only say that somebody is alive, and lines of logs.
type Witness struct {
	r      *run
	told   report.Run
	lanes  map[string]int
	tables map[string]int // partitions

	lives []life
	wire  wire
	state states

	broke     kafka.Instant // when an observer first complained
	forgotten forgotten
}

// A life is a process, and whether there is one.
type life struct {
	node  *sim.Node
	lane  int
	down  int // the band; report.None: it runs
	leads int // likewise, of the active controller
}

// forgotten counts what a witness did not keep.
type forgotten struct{ messages, lines, states int }

// What a witness keeps at most.
const (
	keptMessages = 300_000
	keptLines    = 60_000
	keptStates   = 200_000
)

// NewWitness returns a witness for a Watch. It sees one run.
func NewWitness() *Witness {
	w := &Witness{lanes: map[string]int{}, tables: map[string]int{}, broke: kafka.Never}
	w.wire.w, w.state.w = w, w
	w.wire.streams, w.wire.calls = map[streamKey]*stream{}, map[callKey]call{}
	w.state.seen, w.state.groups = map[replicaSeat]*seenReplica{}, map[string]int{}
	return w
}

// attends has the witness look at a run, which is not put together yet.
func (w *Witness) attends(r *run) {
	if w == nil {
		return
	}
	w.r = r
	w.lane("network", report.Network, report.None)
}

// tap returns who is told what connections carry.
func (w *Witness) tap() netsim.Tap {
	if w == nil {
		return nil
	}
	return &w.wire
}

// sink returns who takes the lines of a run.
func (w Watch) sink() sim.Sink {
	if w.Witness == nil {
		return w.Sink
	}
	return func(l sim.Line) {
		w.Witness.line(l)
		if w.Sink != nil {
			w.Sink(l)
		}
	}
}

// begins looks at who is there, once everybody is.
func (w *Witness) begins() {
	if w == nil {
		return
	}
	for _, controllers := range []bool{true, false} {
		for _, b := range w.r.nodes {
			if b.seat.isBroker() == controllers {
				continue
			}
			kind := report.Broker
			if controllers {
				kind = report.Controller
			}
			w.lives = append(w.lives, life{b.node, w.lane(b.seat.name, kind, b.seat.id), report.None, report.None})
		}
	}
	for _, m := range w.r.clients() {
		w.lives = append(w.lives, life{m.node, w.client(m.node.Name()), report.None, report.None})
	}
	w.client("admin")
}

// lane returns the number of a lane, which is there from then on.
func (w *Witness) lane(name string, kind report.LaneKind, id int) int {
	at, ok := w.lanes[name]
	if !ok {
		at = len(w.told.Lanes)
		w.lanes[name] = at
		w.told.Lanes = append(w.told.Lanes, report.Lane{Name: name, Kind: kind, ID: id})
	}
	return at
}

func (w *Witness) client(name string) int { return w.lane(name, report.Client, report.None) }

// partition returns the number of a partition.
func (w *Witness) partition(tp kafka.TopicPartition) int {
	name := tp.String()
	at, ok := w.tables[name]
	if !ok {
		at = len(w.told.Partitions)
		w.tables[name] = at
		w.told.Partitions = append(w.told.Partitions, name)
	}
	return at
}

func (w *Witness) now() report.Instant { return report.Instant(w.r.k.Now()) }

// step looks at what the last step has changed.
func (w *Witness) step() {
	if w == nil {
		return
	}
	for i := range w.lives {
		w.lookAtLife(&w.lives[i])
	}
	if node := w.r.k.Stepped(); node != nil {
		w.state.stepped(node)
	}
	if w.broke == kafka.Never && len(w.r.observer.violations) > 0 {
		w.broke = w.r.k.Now()
	}
}

// lookAtLife notes that a process has died, or has begun.
func (w *Witness) lookAtLife(l *life) {
	switch alive := l.node.Alive(); {
	case alive && l.down != report.None:
		w.told.Bands[l.down].To = w.now()
		l.down = report.None
		w.event(l.lane, report.Life, report.None, fmt.Sprintf("%s starts", l.node.Name()))
	case !alive && l.down == report.None:
		w.state.died(l.node)
		l.down = w.band(l.lane, report.Down, "down", report.None)
		w.event(l.lane, report.Life, report.None, fmt.Sprintf("%s is down", l.node.Name()))
	}
}

// band begins a band.
func (w *Witness) band(lane int, kind report.BandKind, text string, fault int) int {
	w.told.Bands = append(w.told.Bands, report.Band{Lane: lane, From: w.now(), To: report.Never, Kind: kind, Text: text, Fault: fault})
	return len(w.told.Bands) - 1
}

func (w *Witness) event(lane int, kind report.EventKind, partition int, text string) {
	w.told.Events = append(w.told.Events, report.Event{At: w.now(), Lane: lane, Kind: kind, Partition: partition, Text: text})
}

// line takes a line of a log, or a trace.
func (w *Witness) line(l sim.Line) {
	partition := report.None
	for _, a := range l.Attrs {
		if a.Key == "partition" {
			if at, ok := w.tables[a.Value.String()]; ok {
				partition = at
			}
		}
	}
	kind := report.Log
	switch {
	case l.Event == "truncate" && partition != report.None:
		kind = report.Truncation
	case l.Event != "" || l.Level < slog.LevelInfo:
		return // requests and answers are messages, and what raft says shows in who leads
	case l.Level >= slog.LevelError:
		kind = report.Failure
	case l.Level >= slog.LevelWarn:
		kind = report.Warning
	}
	if len(w.told.Events) >= keptLines && kind != report.Failure && kind != report.Truncation {
		w.forgotten.lines++
		return
	}
	lane, ok := w.lanes[l.Node]
	if !ok {
		lane = w.client(l.Node)
	}
	w.event(lane, kind, partition, textOf(l))
}

// textOf returns a line without its time and its node.
func textOf(l sim.Line) string {
	var b strings.Builder
	b.WriteString(l.Event)
	b.WriteString(l.Text)
	attrs := slices.Clone(l.Attrs)
	for _, a := range attrs {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
	}
	return b.String()
}
