package envtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

var condChecks = []Check{
	one("Broadcast wakes all that wait", broadcastWakesAll),
	one("no wake-up is lost", noWakeUpLost),
	one("Wait returns at its deadline, not before", waitDeadline),
	one("a deadline that has passed does not wait", waitPassed),
	one("a wake-up comes before a far deadline", wakeBeforeDeadline),
	one("a wait that ended is not counted by the next", waitsAreIndependent),
	one("canceling ends a wait", func(t *trial) error {
		c := t.NewCond("never")
		return t.canceling(func() error { return c.Wait(kafka.Never) })
	}),
	one("canceling ends a wait with a deadline", func(t *trial) error {
		c := t.NewCond("late")
		return t.canceling(func() error { return c.Wait(t.Now().Add(time.Hour)) })
	}),
}

func broadcastWakesAll(t *trial) error {
	c, open, through := t.NewCond("door"), false, 0
	for range 20 {
		t.start("waiter", func() error {
			for !open {
				if err := c.Wait(t.soon()); err != nil {
					return err
				}
			}
			through++
			return nil
		})
	}
	t.settle()
	open = true
	c.Broadcast()
	if err := t.finish(); err != nil {
		return err
	}
	if through != 20 {
		return fmt.Errorf("%d of 20 waiters came through", through)
	}
	return nil
}

// Two tasks take turns; a single lost wake-up stops both.
func noWakeUpLost(t *trial) error {
	const rounds = 500
	c, turn := t.NewCond("turn"), 0
	for me := range 2 {
		t.start("player", func() error {
			for turn < rounds {
				for turn < rounds && turn%2 != me {
					if err := c.Wait(t.soon()); err != nil {
						return fmt.Errorf("round %d: %w", turn, err)
					}
				}
				turn++
				c.Broadcast()
			}
			return nil
		})
	}
	return nil
}

func waitDeadline(t *trial) error {
	c := t.NewCond("silent")
	for i := range 5 {
		t.start("waiter", func() error {
			deadline := t.Now().Add(time.Duration(i+1) * time.Millisecond)
			for {
				err := c.Wait(deadline)
				now := t.Now()
				switch {
				case err == nil && now < deadline.Add(t.patience):
					// Woken for nothing, which is allowed.
				case err == nil:
					return errors.New("it goes on returning nil after the deadline")
				case !errors.Is(err, env.ErrDeadline):
					return wants("Wait", err, env.ErrDeadline)
				case now < deadline:
					return fmt.Errorf("the deadline %v was called at %v", deadline, now)
				default:
					return nil
				}
			}
		})
	}
	return nil
}

func waitPassed(t *trial) error {
	c := t.NewCond("silent")
	return first(
		wants("Wait until now", c.Wait(t.Now()), env.ErrDeadline),
		wants("Wait until the beginning", c.Wait(0), env.ErrDeadline),
		wants("Wait until before that", c.Wait(-1), env.ErrDeadline),
	)
}

func wakeBeforeDeadline(t *trial) error {
	c, open := t.NewCond("door"), false
	for _, far := range []kafka.Instant{t.Now().Add(time.Hour), kafka.Never - 1, kafka.Never} {
		t.start("waiter", func() error {
			for !open {
				if err := c.Wait(far); err != nil {
					return fmt.Errorf("until %d: %w", far, err)
				}
			}
			return nil
		})
	}
	t.settle()
	open = true
	c.Broadcast()
	return nil
}

// Wake-ups and deadlines of one wait that coincide must not end the next.
func waitsAreIndependent(t *trial) error {
	c, stop := t.NewCond("noisy"), false
	t.start("broadcaster", func() error {
		for !stop {
			c.Broadcast()
			if err := t.Sleep(50 * time.Microsecond); err != nil {
				return err
			}
		}
		return nil
	})
	const nap = 300 * time.Microsecond
	for range 50 {
		_ = c.Wait(t.Now().Add(50 * time.Microsecond))
		began := t.Now()
		if err := t.Sleep(nap); err != nil {
			return err
		}
		if took := t.Now().Sub(began); took < nap {
			return fmt.Errorf("a sleep of %v after a wait lasted %v", nap, took)
		}
	}
	stop = true
	return nil
}
