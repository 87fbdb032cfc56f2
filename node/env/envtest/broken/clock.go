package broken

import (
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// clock replaces the methods that are not nil.
type clock struct {
	env.Clock
	now   func() kafka.Instant
	wall  func() kafka.Timestamp
	sleep func(time.Duration) error
}

func (c clock) Now() kafka.Instant {
	if c.now != nil {
		return c.now()
	}
	return c.Clock.Now()
}

func (c clock) Wall() kafka.Timestamp {
	if c.wall != nil {
		return c.wall()
	}
	return c.Clock.Wall()
}

func (c clock) Sleep(d time.Duration) error {
	if c.sleep != nil {
		return c.sleep(d)
	}
	return c.Clock.Sleep(d)
}

var clockWorlds = []World{
	world("monotonic time goes back at times", func(w *env.World) {
		good, reads := w.Clock, 0
		w.Clock = clock{Clock: good, now: func() kafka.Instant {
			if reads++; reads%7 == 0 {
				return good.Now() - kafka.Instant(time.Millisecond)
			}
			return good.Now()
		}}
	}, "monotonic time never goes back"),

	world("sleeps end early", func(w *env.World) {
		good := w.Clock
		w.Clock = clock{Clock: good, sleep: func(d time.Duration) error { return good.Sleep(d / 2) }}
	}, "a sleep lasts at least as long as asked"),

	world("a sleep of nothing fails", func(w *env.World) {
		good := w.Clock
		w.Clock = clock{Clock: good, sleep: func(d time.Duration) error {
			if d <= 0 {
				return env.ErrDeadline
			}
			return good.Sleep(d)
		}}
	}, "a sleep of nothing returns"),

	world("wall-clock time is in nanoseconds", func(w *env.World) {
		good := w.Clock
		w.Clock = clock{Clock: good, wall: func() kafka.Timestamp { return good.Wall() * 1e6 }}
	}, "wall-clock time is in milliseconds"),

	world("a canceled sleep reports success", func(w *env.World) {
		good := w.Clock
		w.Clock = clock{Clock: good, sleep: func(d time.Duration) error {
			if err := good.Sleep(d); !errors.Is(err, env.ErrCanceled) {
				return err
			}
			return nil
		}}
	}, "canceling ends a sleep", "a task can cancel itself"),
}

// random returns what f does for every name.
type random func(name string) *rand.Rand

func (r random) Rand(name string) *rand.Rand { return r(name) }

// zeros is a bad source of secrets.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

var _ io.Reader = zeros{}

var randomWorlds = []World{
	world("a random stream begins again each time", func(w *env.World) {
		w.Random = random(func(string) *rand.Rand { return rand.New(rand.NewPCG(1, 2)) })
	}, "a random stream goes on where it was"),

	world("all names share one random stream", func(w *env.World) {
		one := rand.New(rand.NewPCG(1, 2))
		w.Random = random(func(string) *rand.Rand { return one })
	}, "each name has a random stream of its own"),

	world("secrets are zeros", func(w *env.World) { w.Secret = zeros{} }, "secrets are not repeated"),

	world("there is no logger", func(w *env.World) { w.Log = nil }, "logs, probes and traces are there"),
}
