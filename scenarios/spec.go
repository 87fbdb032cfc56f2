package scenarios

import (
	"encoding/json"
	"io"
	"slices"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/checker/metadata"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A Spec names one run completely, but for the code.
type Spec struct {
	Scenario string        `json:"scenario"`
	Seed     uint64        `json:"seed"`
	Set      []string      `json:"set,omitempty"`    // settings given by hand, name=value
	Script   *Script       `json:"script,omitempty"` // the faults, if they are not to be drawn
	Until    kafka.Instant `json:"until,omitempty"`  // stop then, without a verdict; 0: at the end

	UntilEvent   uint64           `json:"until_event,omitempty"` // stop when there were so many events, likewise
	Continuation sim.Continuation `json:"continuation,omitzero"` // another way to go on from an instant on

	Then []sim.Continuation `json:"then,omitempty"` // further ones, by time
}

// Turns returns the continuations of the run, by time.
func (s Spec) Turns() []sim.Continuation {
	if s.Continuation.Number == 0 {
		return nil
	}
	return append([]sim.Continuation{s.Continuation}, s.Then...)
}

// Turned returns the run that is this one until a continuation begins, and goes on as that
// says: what would have turned this one later is not part of it.
func (s Spec) Turned(c sim.Continuation) Spec {
	turns := slices.DeleteFunc(s.Turns(), func(other sim.Continuation) bool { return other.From > c.From })
	turns = append(turns, c)
	s.Continuation, s.Then = turns[0], turns[1:]
	return s
}

// A Watch is who looks on. Watching leaves a run as it is.
type Watch struct {
	Recorder *sim.Recorder
	Sink     sim.Sink
	OnKernel func(*sim.Kernel) // given the kernel before it runs, for a watchdog
	Witness  *Witness          // sees what a report tells; nil: nobody does
	Cluster  *ClusterState     // set when the run has ended; nil: not wanted
}

// An Outcome is what a run came to, with the evidence.
type Outcome struct {
	Result
	State   []string     // of nodes and partitions at the end, a line each
	Moments []sim.Moment // when probes were reached first
	history *history.History
	demands checker.Demands
	shown   map[string]history.OpID // evidence, by its text

	Acts *metadata.History // what operators were told, if it was judged
}

// WriteHistory writes what clients did and saw, and what they were promised, in the
// checker's JSONL form.
func (o *Outcome) WriteHistory(w io.Writer) error {
	demands, err := json.Marshal(o.demands)
	if err != nil {
		return err
	}
	f := history.File{History: o.history, Demands: demands}
	return f.Encode(w)
}
