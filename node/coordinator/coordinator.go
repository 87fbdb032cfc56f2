// Package coordinator waits: it runs replicated state machines (node/machine) on the
// partitions of an internal topic that this node leads.
//
// Who leads a partition coordinates what hashes to it. When leadership comes, the
// log is replayed up to where the new leader epoch began; until that is committed
// and read nobody is answered. What the machine decides is appended with acks=all
// in that leader epoch and in no other, and the machine is told when it is
// committed. When leadership goes, everything that was known is forgotten.
//
// The one rule for callers: an error that carries NOT_COORDINATOR or
// COORDINATOR_LOAD_IN_PROGRESS means that the machine was never asked; what was
// asked is answered by the machine.
package coordinator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
	"github.com/klammlog/klamm/node/record"
)

// A Machine is the state of one partition. None of its methods blocks.
type Machine interface {
	// Replay has a committed record take effect while the log is read. It fails if
	// the record cannot be understood; the record is skipped then.
	Replay(r machine.Record, at kafka.Timestamp) error

	// Loaded ends the replay: timers begin to run, requests come.
	Loaded(at machine.Moment)

	// Advance has what is due happen, Next tells when something will be.
	Advance(at machine.Moment)
	Next() (kafka.Instant, bool)

	// Committed and Refused tell what became of an Append, in the order of the
	// Appends: its effect is visible, or nothing was appended.
	Committed(at machine.Moment, id machine.AppendID)
	Refused(at machine.Moment, id machine.AppendID, code kafka.Error)

	// Unload answers every ticket with a code. The machine is not used afterwards.
	Unload(code kafka.Error)

	// Take returns what came out since the last call.
	Take() machine.Effects

	// Check returns the first broken invariant.
	Check() error
}

// A Kind is one sort of coordinator.
type Kind[M Machine] struct {
	Topic string                  // the internal topic
	New   func(partition int32) M // an empty machine

	// Buffer returns how many bytes of the log are read at a time, but for a larger
	// batch.
	Buffer func() int
}

// loadsAtOnce bounds how many logs are read at a time: each takes a buffer.
const loadsAtOnce = 4

// Coordinators are this node's machines of one kind.
type Coordinators[M Machine] struct {
	w    *env.World
	b    *broker.Broker
	kind Kind[M]

	runners  map[int32]*runner[M]
	tasks    *env.Group
	loading  int
	loaded   env.Cond // one log less is being read
	codecs   record.Pool
	ticket   machine.Ticket
	closed   bool
	creating bool // the internal topic
	stats    Stats
	usage    Usage
	changes  uint64
}

// Stats are counts since the start, and what is there now.
type Stats struct {
	Loads, Unloads  uint64
	Loaded          uint64 // records replayed
	Skipped         uint64 // records that could not be understood
	Appends         uint64
	Refused         uint64
	LoadTime        time.Duration // of all loads together
	Active, Loading int
}

// Changes counts what may have changed in machines: appends that were committed, and
// logs that were read.
func (c *Coordinators[M]) Changes() uint64 { return c.changes }

// Open has the machines run that this node is to run, now and whenever leadership
// moves. It does not block.
func Open[M Machine](w *env.World, b *broker.Broker, kind Kind[M]) *Coordinators[M] {
	c := &Coordinators[M]{
		w: w, b: b, kind: kind, runners: map[int32]*runner[M]{},
		tasks: env.NewGroup(w, "coordinator/tasks"), loaded: w.NewCond("coordinator/loaded"),
	}
	b.OnLead(c.follow)
	for _, v := range b.Views() {
		if v.Partition.Topic == kind.Topic && v.Role == broker.Leading {
			c.follow(v.Partition, v.LeaderEpoch)
		}
	}
	return c
}

// follow takes over that this node leads a partition in an epoch, or, with
// NoLeaderEpoch, that it no longer does.
func (c *Coordinators[M]) follow(p kafka.TopicPartition, epoch kafka.LeaderEpoch) {
	if p.Topic != c.kind.Topic || c.closed {
		return
	}
	if r := c.runners[p.Partition]; r != nil {
		if r.epoch == epoch {
			return
		}
		r.end(kafka.ErrNotCoordinator)
		delete(c.runners, p.Partition)
	}
	if epoch != kafka.NoLeaderEpoch {
		c.start(p, epoch)
	}
}

// start begins to run a machine.
func (c *Coordinators[M]) start(p kafka.TopicPartition, epoch kafka.LeaderEpoch) {
	r := &runner[M]{
		c: c, name: p, epoch: epoch, machine: c.kind.New(p.Partition),
		waiters: map[machine.Ticket]*waiter{}, wake: c.w.NewCond("coordinator/wake"),
	}
	c.runners[p.Partition] = r
	c.tasks.Go("coordinator/"+p.String(), r.run)
}

// Do asks the machine that a key belongs to, and waits for its answer. ask gives the
// machine the request with its ticket; it must not block. Blocks.
func (c *Coordinators[M]) Do(key string, ask func(m M, at machine.Moment, t machine.Ticket)) (any, error) {
	r, err := c.runnerOf(key)
	if err != nil {
		return nil, err
	}
	return r.do(ask)
}

// Each asks every machine that runs here in turn, in the order of the partitions,
// and returns their answers. It fails with COORDINATOR_LOAD_IN_PROGRESS if one is
// being loaded: what is there is not all. Blocks.
func (c *Coordinators[M]) Each(ask func(m M, at machine.Moment, t machine.Ticket)) (answers []any, err error) {
	for _, r := range c.inOrder() {
		answer, failed := r.do(ask)
		switch {
		case errors.Is(failed, env.ErrCanceled):
			return nil, failed
		case failed != nil && !errors.Is(failed, kafka.ErrNotCoordinator):
			err = failed
		case failed == nil:
			answers = append(answers, answer)
		}
	}
	return answers, err
}

// Visit shows every machine that has been loaded, in the order of the partitions.
// look must neither block nor change anything.
func (c *Coordinators[M]) Visit(look func(p kafka.TopicPartition, epoch kafka.LeaderEpoch, m M)) {
	for _, r := range c.inOrder() {
		if r.state == active {
			look(r.name, r.epoch, r.machine)
		}
	}
}

// Announce tells every machine that has been loaded something from outside.
// tell must not block.
func (c *Coordinators[M]) Announce(tell func(m M, at machine.Moment)) {
	for _, r := range c.inOrder() {
		if r.state == active {
			tell(r.machine, c.moment())
			r.collect()
		}
	}
}

// Check returns the first broken invariant.
func (c *Coordinators[M]) Check() error {
	for _, r := range c.inOrder() {
		if r.state != active {
			continue
		}
		if err := r.machine.Check(); err != nil {
			return fmt.Errorf("coordinator of %s in leader epoch %d: %w", r.name, r.epoch, err)
		}
	}
	return nil
}

// Usage is what coordinators have given to logs that these still need, and the logs
// that are being read, as plain numbers.
type Usage struct{ Appends, Bytes, Loads int64 }

// Usage returns what is on its way now.
func (c *Coordinators[M]) Usage() Usage {
	u := c.usage
	u.Loads = int64(c.loading)
	return u
}

// Stats returns the counts.
func (c *Coordinators[M]) Stats() Stats {
	s := c.stats
	for _, r := range c.inOrder() {
		switch r.state {
		case active:
			s.Active++
		case loading:
			s.Loading++
		}
	}
	return s
}

// Close forgets everything and answers those who wait. Blocks.
func (c *Coordinators[M]) Close(deadline kafka.Instant) error {
	c.closed = true
	for _, r := range c.inOrder() {
		r.end(kafka.ErrCoordinatorNotAvailable)
	}
	c.runners = map[int32]*runner[M]{}
	c.tasks.Cancel()
	return c.tasks.Wait(deadline)
}

// inOrder returns the runners in the order of their partitions.
func (c *Coordinators[M]) inOrder() []*runner[M] {
	out := make([]*runner[M], 0, len(c.runners))
	for _, number := range slices.Sorted(maps.Keys(c.runners)) {
		out = append(out, c.runners[number])
	}
	return out
}

func (c *Coordinators[M]) moment() machine.Moment {
	return machine.Moment{Now: c.w.Now(), Wall: c.w.Wall()}
}
