package osenv

import (
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A task is a goroutine that holds the baton, except inside blocking calls.
type task struct {
	host *Host
	name string
	run  func()

	// Of the task's goroutine alone.
	holding bool         // it has the baton
	spare   []releasable // lent to the host as its next list
	timer   *time.Timer

	// Below: only with the baton.
	index    int // in host.tasks
	started  bool
	canceled bool
	done     bool

	// at is where the task waits and can be canceled; nil if it cannot.
	at interruptible

	// parked is set while the task waits in park. Whoever clears it sets
	// outcome and owes the task exactly one token.
	parked  bool
	outcome error
	token   chan struct{}

	next, prev *task // in the list of at, if at is a cond
	queued     bool
}

// interruptible is a place where tasks wait.
type interruptible interface {
	// interrupt makes t, which has just been canceled and waits here, return.
	// It runs under the baton and does not block.
	interrupt(t *task)
}

// Cancel implements env.Task.
func (t *task) Cancel() {
	if t.done || t.canceled {
		return
	}
	t.canceled = true
	if t.at != nil {
		t.at.interrupt(t)
	}
}

// Done implements env.Task.
func (t *task) Done() bool { return t.done }

// release lets the task's goroutine go on, or begin.
func (t *task) release() {
	if t.started {
		t.token <- struct{}{}
		return
	}
	t.started = true
	go t.main()
}

func (t *task) main() {
	t.host.enter(t)
	defer t.host.end(t)
	t.run()
}

// park lays down the baton until somebody wakes the task or the deadline passes,
// and takes it again. The caller has put the task where it will be found.
func (t *task) park(deadline kafka.Instant) error {
	h := t.host
	if t.token == nil {
		t.token = make(chan struct{}, 1)
	}
	t.parked = true
	h.leave()
	expired := t.await(deadline)
	h.enter(t)
	if !expired {
		return t.outcome
	}
	if t.parked {
		t.parked = false
		return env.ErrDeadline
	}
	// Woken while the timer fired. The waker has laid down the baton, so the
	// token is there or about to be; left behind, it would cut short the
	// next wait.
	h.leave()
	<-t.token
	h.enter(t)
	return t.outcome
}

// await waits for the token, and reports whether the deadline passed instead.
func (t *task) await(deadline kafka.Instant) (expired bool) {
	if deadline == kafka.Never {
		<-t.token
		return false
	}
	d := max(0, time.Duration(deadline)-t.host.elapsed())
	if t.timer == nil {
		t.timer = time.NewTimer(d)
	} else {
		t.timer.Reset(d)
	}
	select {
	case <-t.token:
		t.timer.Stop() // no stale tick can follow: the channel is unbuffered
		return false
	case <-t.timer.C:
		return true
	}
}

// wake makes a parked task return outcome. It does not block.
func (t *task) wake(outcome error) {
	assert.That(t.parked, "osenv: task %q woken while it does not wait", t.name)
	t.parked = false
	t.outcome = outcome
	t.host.later(t)
}

// tasks implements env.Tasks.
type tasks struct{ h *Host }

func (ts tasks) Go(name string, f func()) env.Task {
	t := &task{host: ts.h, name: name, run: f, canceled: ts.h.closing}
	ts.h.register(t)
	ts.h.later(t)
	return t
}

func (ts tasks) NewCond(string) env.Cond { return &cond{h: ts.h} }

func (ts tasks) Offload(f func()) { ts.h.Outside(f) }
