package coordinator

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
	"github.com/klammlog/klamm/node/record"
)

// A state is how far a runner is.
type state uint8

const (
	loading state = iota
	active
	over
)

// A runner runs one machine as long as one leadership lasts.
//
// Requests enter the machine in the task of whoever asks; what it wants appended is
// appended by the runner's own task, in the machine's order.
type runner[M Machine] struct {
	c       *Coordinators[M]
	name    kafka.TopicPartition
	epoch   kafka.LeaderEpoch
	machine M
	state   state
	why     kafka.Error // it is over

	waiters map[machine.Ticket]*waiter
	pending []machine.Append // not yet given to the log
	flights []*flight        // given to the log, in its order
	wake    env.Cond         // the task has something to do
	busy    bool             // the task appends: Append may let others run
}

// A waiter is a request that waits for its answer.
type waiter struct {
	cond     env.Cond // nil until somebody waits
	answered bool
	value    any
}

// A flight is an append on its way to being committed.
type flight struct {
	id     machine.AppendID
	append broker.Append
	landed bool // what became of it is known
}

// run is the runner's task: it reads the log, then appends what the machine wants
// and tells it the time, until leadership goes.
func (r *runner[M]) run() {
	if !r.load() {
		return
	}
	for r.state == active {
		r.appendPending()
		r.land()
		if r.state != active {
			return
		}
		next, some := r.machine.Next()
		if !some {
			next = kafka.Never
		}
		switch {
		case some && r.c.w.Now() >= next:
			r.machine.Advance(r.c.moment())
			r.collect()
		case len(r.pending) == 0 && !r.anyLanded():
			if err := r.wake.Wait(next); err != nil && !errors.Is(err, env.ErrDeadline) {
				r.end(kafka.ErrCoordinatorNotAvailable)
			}
		}
	}
}

// do gives the machine a request and waits for the answer. Blocks.
func (r *runner[M]) do(ask func(M, machine.Moment, machine.Ticket)) (any, error) {
	if err := r.usable(); err != nil {
		return nil, err
	}
	r.c.ticket++
	t, w := r.c.ticket, &waiter{}
	r.waiters[t] = w
	ask(r.machine, r.c.moment(), t)
	r.collect()
	for !w.answered {
		if w.cond == nil {
			w.cond = r.c.w.NewCond("coordinator/answer")
		}
		if err := w.cond.Wait(kafka.Never); err != nil {
			delete(r.waiters, t) // the machine answers nobody
			return nil, err
		}
	}
	return w.value, nil
}

// usable tells whether the machine can be asked. A leader that may have lost its
// leadership without knowing answers nothing: what it knows may be of yesterday.
func (r *runner[M]) usable() error {
	switch {
	case r.state == loading:
		return fmt.Errorf("%s: the coordinator reads its log: %w", r.name, kafka.ErrCoordinatorLoadInProgress)
	case r.state == over:
		return fmt.Errorf("%s: %w", r.name, r.why)
	case !r.c.b.SurelyLeads():
		r.c.w.Probe("a coordinator did not know whether it still leads")
		return fmt.Errorf("%s: no controller was heard for a session: %w", r.name, kafka.ErrNotCoordinator)
	}
	return nil
}

// collect takes what came out of the machine: answers are given, appends left to
// the task. It does not block.
func (r *runner[M]) collect() {
	e := r.machine.Take()
	for _, a := range e.Answers {
		r.answer(a)
	}
	r.pending = append(r.pending, e.Appends...)
	r.wake.Broadcast() // the next deadline may be another, too
}

func (r *runner[M]) answer(a machine.Answer) {
	w := r.waiters[a.Ticket]
	if w == nil {
		return // who asked has gone
	}
	delete(r.waiters, a.Ticket)
	w.answered, w.value = true, a.Value
	if w.cond != nil {
		w.cond.Broadcast()
	}
}

// appendPending appends what the machine wants appended, in order. Blocks if
// there is much of it.
func (r *runner[M]) appendPending() {
	assert.That(!r.busy, "%s: appended to by two tasks", r.name)
	r.busy = true
	for r.state == active && len(r.pending) > 0 {
		a := r.pending[0]
		r.pending = r.pending[1:]
		r.append(a)
	}
	r.busy = false
}

// append gives the log one batch. Blocks if it is large.
func (r *runner[M]) append(a machine.Append) {
	f := &flight{id: a.ID}
	encoded := batch(a.Records, r.c.w.Wall())
	size := int64(len(encoded))
	f.append = broker.Append{
		Acks: kafka.AcksAll, Deadline: kafka.Never,
		Items: []broker.AppendItem{{
			Topic: r.name.Topic, Partition: r.name.Partition, Records: encoded, Within: &r.epoch,
		}},
		Landed: func() {
			f.landed = true
			r.c.usage.Appends--
			r.c.usage.Bytes -= size
			r.wake.Broadcast()
		},
	}
	r.c.stats.Appends++
	r.c.usage.Appends++
	r.c.usage.Bytes += size
	r.flights = append(r.flights, f)
	r.c.b.Append(&f.append)
}

// batch encodes the records of one decision.
func batch(records []machine.Record, at kafka.Timestamp) []byte {
	var b record.Builder
	for _, rec := range records {
		b.Append(record.Record{Timestamp: at, Key: rec.Key, Value: rec.Value})
	}
	built, err := b.Build(record.Spec{}, nil)
	assert.That(err == nil, "a batch without compression: %v", err)
	return built.Bytes()
}

// anyLanded reports whether there is something to tell the machine.
func (r *runner[M]) anyLanded() bool { return len(r.flights) > 0 && r.flights[0].landed }

// land tells the machine what became of its appends, in their order.
func (r *runner[M]) land() {
	for r.state == active && r.anyLanded() {
		f := r.flights[0]
		r.flights = r.flights[1:]
		if err := r.c.b.AwaitAppend(&f.append); err != nil { // canceled: nobody knows
			r.end(kafka.ErrCoordinatorNotAvailable)
			return
		}
		r.landed(f)
	}
}

// landed tells the machine of one append. If nobody can say what became of it the
// machine does not know what is true any more, and is loaded anew.
func (r *runner[M]) landed(f *flight) {
	err := f.append.Items[0].Err
	if err == nil && r.c.w.Buggify("a coordinator is not told that its append is held") {
		err = kafka.ErrNotEnoughReplicasAfterAppend
	}
	code := kafka.ErrorOf(err)
	switch {
	case err == nil:
		r.c.changes++
		r.machine.Committed(r.c.moment(), f.id)
	case errors.Is(err, kafka.ErrNotLeaderOrFollower), errors.Is(err, kafka.ErrFencedLeaderEpoch), errors.Is(err, kafka.ErrUnknownTopicOrPartition):
		r.end(kafka.ErrNotCoordinator)
		return
	case code.Outcome() == kafka.Unknown:
		r.c.w.Probe("a coordinator did not know what became of an append")
		r.c.w.Log.Warn("coordinator does not know what became of an append, and reads its log again", "partition", r.name.String(), "err", err)
		r.c.restart(r)
		return
	default:
		r.c.w.Probe("an append of a coordinator was refused")
		r.c.stats.Refused++
		r.machine.Refused(r.c.moment(), f.id, code)
	}
	r.collect()
}

// restart loads a machine anew in the same leadership.
func (c *Coordinators[M]) restart(r *runner[M]) {
	r.end(kafka.ErrCoordinatorLoadInProgress)
	if c.runners[r.name.Partition] == r && !c.closed {
		c.start(r.name, r.epoch)
	}
}

// end answers everybody who waits and forgets the machine. It does not block.
func (r *runner[M]) end(why kafka.Error) {
	if r.state == over {
		return
	}
	before := r.state
	r.state, r.why = over, why
	if before == active {
		r.c.stats.Unloads++
		r.machine.Unload(why)
		for _, a := range r.machine.Take().Answers {
			r.answer(a)
		}
		assert.That(len(r.waiters) == 0, "%s: %d requests were not answered when it was unloaded", r.name, len(r.waiters))
	}
	r.pending, r.flights = nil, nil
	r.wake.Broadcast()
}
