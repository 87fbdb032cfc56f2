package broken

import (
	"errors"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// cond replaces the methods that are not nil.
type cond struct {
	env.Cond
	wait      func(deadline kafka.Instant) error
	broadcast func()
}

func (c cond) Wait(deadline kafka.Instant) error {
	if c.wait != nil {
		return c.wait(deadline)
	}
	return c.Cond.Wait(deadline)
}

func (c cond) Broadcast() {
	if c.broadcast != nil {
		c.broadcast()
		return
	}
	c.Cond.Broadcast()
}

// eachCond describes a world in which change is made to every Cond.
func eachCond(name string, change func(w *env.World, good env.Cond) env.Cond, noticed ...string) World {
	return world(name, func(w *env.World) {
		old := *w
		w.Tasks = tasks{Tasks: w.Tasks, cond: func(good env.Cond) env.Cond { return change(&old, good) }}
	}, noticed...)
}

// eachWait describes a world in which wait stands for every Cond's Wait.
func eachWait(name string, wait func(w *env.World, good env.Cond, deadline kafka.Instant) error, noticed ...string) World {
	return eachCond(name, func(w *env.World, good env.Cond) env.Cond {
		return cond{Cond: good, wait: func(deadline kafka.Instant) error { return wait(w, good, deadline) }}
	}, noticed...)
}

var condWorlds = []World{
	eachCond("Broadcast wakes one task", wakeOne, "Broadcast wakes all that wait"),

	eachCond("Broadcast wakes nobody", func(_ *env.World, good env.Cond) env.Cond {
		return cond{Cond: good, broadcast: func() {}}
	}, "Broadcast wakes all that wait", "a mailbox keeps order and loses nothing",
		"a closed mailbox drains, then tells", "a group waits for all its tasks", "a Turn is first come first served"),

	eachCond("every seventh Broadcast is lost", func(_ *env.World, good env.Cond) env.Cond {
		count := 0
		return cond{Cond: good, broadcast: func() {
			if count++; count%7 != 0 {
				good.Broadcast()
			}
		}}
	}, "no wake-up is lost"),

	eachCond("the first Broadcast is lost", func(_ *env.World, good env.Cond) env.Cond {
		count := 0
		return cond{Cond: good, broadcast: func() {
			if count++; count > 1 {
				good.Broadcast()
			}
		}}
	}, "a Turn is kept across blocking calls", "a Turn is first come first served"),

	eachWait("Wait lets others run before it listens", func(w *env.World, good env.Cond, deadline kafka.Instant) error {
		if err := w.Sleep(0); err != nil {
			return err
		}
		return good.Wait(deadline)
	}, "no wake-up is lost"),

	eachWait("Wait ignores deadlines", func(_ *env.World, good env.Cond, _ kafka.Instant) error {
		return good.Wait(kafka.Never)
	}, "Wait returns at its deadline, not before", "a Turn that was not granted is not held",
		"a mailbox holds no more than its limit"),

	eachWait("Wait returns before its deadline", func(w *env.World, good env.Cond, deadline kafka.Instant) error {
		return good.Wait(deadline - (deadline-w.Now())/2)
	}, "Wait returns at its deadline, not before"),

	eachWait("a passed deadline is a wake-up", func(w *env.World, good env.Cond, deadline kafka.Instant) error {
		if deadline <= w.Now() {
			return nil
		}
		return good.Wait(deadline)
	}, "a deadline that has passed does not wait"),

	eachWait("a far deadline has passed", func(w *env.World, good env.Cond, deadline kafka.Instant) error {
		if deadline > w.Now().Add(30*time.Minute) {
			return env.ErrDeadline
		}
		return good.Wait(deadline)
	}, "a wake-up comes before a far deadline"),

	eachWait("a canceled wait is a wake-up", func(_ *env.World, good env.Cond, deadline kafka.Instant) error {
		if err := good.Wait(deadline); !errors.Is(err, env.ErrCanceled) {
			return err
		}
		return nil
	}, "canceling ends a wait", "canceling ends a wait with a deadline"),

	world("a wait that has ended ends the next sleep", func(w *env.World) {
		good, stale := w.Clock, false
		w.Tasks = tasks{Tasks: w.Tasks, cond: func(c env.Cond) env.Cond {
			return cond{Cond: c, wait: func(deadline kafka.Instant) error {
				err := c.Wait(deadline)
				stale = true
				return err
			}}
		}}
		w.Clock = clock{Clock: good, sleep: func(d time.Duration) error {
			if stale {
				stale, d = false, 0
			}
			return good.Sleep(d)
		}}
	}, "a wait that ended is not counted by the next"),
}

// wakeOne gives each waiting task a Cond of its own, and wakes the first.
func wakeOne(w *env.World, _ env.Cond) env.Cond {
	var waiting []env.Cond
	return cond{
		wait: func(deadline kafka.Instant) error {
			mine := w.NewCond("one of many")
			waiting = append(waiting, mine)
			return mine.Wait(deadline)
		},
		broadcast: func() {
			if len(waiting) > 0 {
				waiting[0].Broadcast()
				waiting = waiting[1:]
			}
		},
	}
}
