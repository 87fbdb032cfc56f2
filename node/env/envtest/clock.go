package envtest

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

var clockChecks = []Check{
	one("monotonic time never goes back", timeNeverGoesBack),
	one("a sleep lasts at least as long as asked", sleepLasts),
	one("a sleep of nothing returns", func(t *trial) error { return first(t.Sleep(0), t.Sleep(-time.Hour)) }),
	one("wall-clock time is in milliseconds", wallIsMilliseconds),
	one("canceling ends a sleep", func(t *trial) error {
		return t.canceling(func() error { return t.Sleep(time.Hour) })
	}),
}

func timeNeverGoesBack(t *trial) error {
	last := t.Now()
	look := func() error {
		now := t.Now()
		if now < last {
			return fmt.Errorf("it was %v, then %v", last, now)
		}
		last = now
		return nil
	}
	for range 4 {
		t.start("clock reader", func() error {
			for i := range 100 {
				if err := look(); err != nil {
					return err
				}
				if i%10 == 0 {
					_ = t.Sleep(100 * time.Microsecond)
				}
			}
			return nil
		})
	}
	return look()
}

func sleepLasts(t *trial) error {
	for i := range 8 {
		d := time.Duration(i*i) * 300 * time.Microsecond
		t.start("sleeper", func() error {
			began := t.Now()
			if err := t.Sleep(d); err != nil {
				return err
			}
			if took := t.Now().Sub(began); took < d {
				return fmt.Errorf("a sleep of %v lasted %v", d, took)
			}
			return nil
		})
	}
	return nil
}

func wallIsMilliseconds(t *trial) error {
	const year2001, year2200 = kafka.Timestamp(1e12), kafka.Timestamp(7.3e12)
	if wall := t.Wall(); wall < year2001 || wall > year2200 {
		return fmt.Errorf("%d is not a time of our days in milliseconds", wall)
	}
	return nil
}

// canceling cancels a task that waits, one that is about to wait, and one that
// has not begun, and demands that wait tells.
func (t *trial) canceling(wait func() error) error {
	var tasks []env.Task
	add := func() {
		tasks = append(tasks, t.start("canceled", func() error {
			return first(
				wants("the wait", wait(), env.ErrCanceled),
				wants("a wait after that", wait(), env.ErrCanceled),
			)
		}))
	}
	add()
	t.settle()
	tasks[0].Cancel()
	add()
	tasks[1].Cancel()
	tasks[1].Cancel()
	return t.until("canceled tasks end", func() bool { return tasks[0].Done() && tasks[1].Done() })
}
