package osenv

import (
	"runtime"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// clock implements env.Clock on Go's two clocks.
type clock struct{ h *Host }

func (c clock) Now() kafka.Instant { return c.h.now() }

func (c clock) Wall() kafka.Timestamp { return kafka.Timestamp(time.Now().UnixMilli()) }

func (c clock) Sleep(d time.Duration) error {
	t := c.h.current
	if t.canceled {
		return env.ErrCanceled
	}
	if d <= 0 {
		c.h.Outside(runtime.Gosched)
		return nil
	}
	t.at = sleep{}
	err := t.park(c.h.now().Add(d))
	t.at = nil
	if err == env.ErrDeadline {
		return nil
	}
	return err
}

// sleep is where sleeping tasks wait.
type sleep struct{}

func (sleep) interrupt(t *task) {
	if t.parked {
		t.wake(env.ErrCanceled)
	}
}

// elapsed reads the monotonic clock.
func (h *Host) elapsed() time.Duration { return time.Since(h.began) }

func (h *Host) now() kafka.Instant { return kafka.Instant(h.elapsed()) }

// real turns an instant into what the net package takes as a deadline.
func (h *Host) real(t kafka.Instant) time.Time {
	if t == kafka.Never {
		return time.Time{}
	}
	return h.began.Add(time.Duration(t))
}

// longAgo as a deadline makes a waiting call return.
var longAgo = time.Unix(1, 0)
