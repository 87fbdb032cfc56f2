package envtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

var taskChecks = []Check{
	one("a started task waits for its starter to block", goWaits),
	one("one task runs at a time", oneAtATime),
	one("a task keeps the node until it blocks", keepsTheNode),
	one("Done tells when a task has returned", doneTells),
	one("canceling a finished task does nothing", cancelFinished),
	one("canceling concerns one task alone", cancelOne),
	one("a task can cancel itself", cancelSelf),
	one("offloaded work is done when Offload returns", offloadDone),
	one("offloaded work of a canceled task is done", offloadCanceled),
}

func goWaits(t *trial) error {
	ran := false
	t.start("eager", func() error { ran = true; return nil })
	spin()
	if ran {
		return errors.New("it ran while its starter did")
	}
	return t.until("the task runs", func() bool { return ran })
}

// spin takes a while without blocking, by its own count: in virtual time the
// clock would stand still.
//
//go:noinline
func spin() {
	x := uint64(1)
	for range 20_000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	// Zero is never reached; that nobody but spin knows it keeps a compiler from
	// leaving the work out.
	assert.That(x != 0, "a xorshift came to zero")
}

func oneAtATime(t *trial) error {
	running := 0
	for range 8 {
		t.start("busy", func() error {
			for range 20 {
				running++
				spin()
				if running != 1 {
					return fmt.Errorf("%d tasks run at once", running)
				}
				running--
				_ = t.Sleep(0)
			}
			return nil
		})
	}
	return nil
}

func keepsTheNode(t *trial) error {
	sum, rounds := 0, 50
	for range 4 {
		t.start("adder", func() error {
			for range rounds {
				read := sum
				spin()
				sum = read + 1
				t.Offload(func() {})
			}
			return nil
		})
	}
	if err := t.finish(); err != nil {
		return err
	}
	if sum != 4*rounds {
		return fmt.Errorf("%d additions left %d", 4*rounds, sum)
	}
	return nil
}

func doneTells(t *trial) error {
	c, leave := t.NewCond("leave"), false
	task := t.start("told to leave", func() error {
		for !leave {
			if err := c.Wait(kafka.Never); err != nil {
				return err
			}
		}
		return nil
	})
	t.settle()
	if task.Done() {
		return errors.New("a task is done while it waits")
	}
	leave = true
	c.Broadcast()
	if task.Done() {
		return errors.New("a task is done before it could run")
	}
	return t.until("Done", task.Done)
}

func cancelFinished(t *trial) error {
	task := t.start("short", func() error { return nil })
	if err := t.until("Done", task.Done); err != nil {
		return err
	}
	task.Cancel()
	task.Cancel()
	return t.Sleep(time.Microsecond)
}

func cancelOne(t *trial) error {
	c, open := t.NewCond("door"), false
	wait := func() error {
		for !open {
			if err := c.Wait(t.soon()); err != nil {
				return err
			}
		}
		return t.Sleep(time.Microsecond)
	}
	t.start("before", wait)
	victim := t.start("victim", func() error { return wants("Wait", wait(), env.ErrCanceled) })
	t.start("after", wait)
	t.settle()
	victim.Cancel()
	if err := t.until("the victim ends", victim.Done); err != nil {
		return err
	}
	open = true
	c.Broadcast()
	return nil
}

func cancelSelf(t *trial) error {
	var self env.Task
	self = t.start("suicidal", func() error {
		self.Cancel()
		return wants("Sleep", t.Sleep(time.Hour), env.ErrCanceled)
	})
	return t.until("Done", self.Done)
}

func offloadDone(t *trial) error {
	for range 4 {
		t.start("offloader", func() error {
			done := false
			t.Offload(func() { spin(); done = true })
			if !done {
				return errors.New("an offload returned before its work was done")
			}
			return nil
		})
	}
	return nil
}

func offloadCanceled(t *trial) error {
	task := t.start("canceled", func() error {
		done := false
		t.Offload(func() { done = true })
		if !done {
			return errors.New("the work was not done")
		}
		return wants("Sleep", t.Sleep(time.Hour), env.ErrCanceled)
	})
	task.Cancel()
	return nil
}
