package osenv

import (
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A cond is a list of the tasks that wait, first come first. The links are in
// the tasks, because a task waits at one place at a time; leaving the list early
// is as cheap as joining it.
type cond struct {
	h           *Host
	first, last *task
}

// Wait implements env.Cond.
func (c *cond) Wait(deadline kafka.Instant) error {
	t := c.h.current
	if t.canceled {
		return env.ErrCanceled
	}
	if deadline != kafka.Never && deadline <= c.h.now() {
		return env.ErrDeadline
	}
	c.join(t)
	t.at = c
	err := t.park(deadline)
	t.at = nil
	if t.queued {
		c.drop(t)
	}
	return err
}

// Broadcast implements env.Cond.
func (c *cond) Broadcast() {
	for t := c.first; t != nil; t = c.first {
		c.drop(t)
		if t.parked {
			t.wake(nil)
		}
	}
}

func (c *cond) interrupt(t *task) {
	if t.parked {
		t.wake(env.ErrCanceled)
	}
}

func (c *cond) join(t *task) {
	t.queued = true
	t.prev, t.next = c.last, nil
	if c.last == nil {
		c.first = t
	} else {
		c.last.next = t
	}
	c.last = t
}

func (c *cond) drop(t *task) {
	t.queued = false
	if t.prev == nil {
		c.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		c.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
}
