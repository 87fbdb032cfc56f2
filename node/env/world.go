// Package env is the contract between a node and the world it runs in.
//
// Node code receives a World and touches nothing else outside its own memory:
// no clock, socket, file, goroutine, lock or random number but the World's. That
// is what lets the same code run on real machines (package osenv) and under the
// simulator (packages sim, netsim and disksim).
//
// Two promises hold in every world. One task of a node runs at a time, and it
// keeps the node until it calls a method whose comment says "Blocks."; so node
// code needs no mutex and has no data race. And a blocking call is the only
// place where anything else can change: whatever was read before it must be
// looked at again after it (the second look).
//
// A buffer handed to a blocking call belongs to the world until the call
// returns.
package env

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A World is all that a node may touch. The parts are fields, so that a test can
// replace the disk and keep the rest.
type World struct {
	Clock   Clock
	Tasks   Tasks
	Net     Net
	LogDirs []LogDir // in order; the first also holds the node's own files
	Random  Random
	Secret  io.Reader // nonces and keys; in simulations seeded, on real machines never
	Log     *slog.Logger
	Sight   Sight
}

// A Clock tells two times that cannot be mixed up.
type Clock interface {
	// Now returns monotonic time. It never goes back, and stands still between
	// blocking calls in a simulation.
	Now() kafka.Instant

	// Wall returns the wall-clock time in milliseconds. It may jump.
	Wall() kafka.Timestamp

	// Sleep waits for d. It returns ErrCanceled if the task is canceled. Blocks.
	Sleep(d time.Duration) error
}

// Tasks starts tasks and makes the one primitive that coordinates them.
type Tasks interface {
	// Go starts f as a task of this node. The name appears in traces. It does
	// not block: f runs after the caller's next blocking call at the earliest.
	Go(name string, f func()) Task

	// NewCond returns a condition with a label for traces and stall reports.
	NewCond(label string) Cond

	// Offload runs f, pure work on memory that f alone owns meanwhile, while
	// other tasks of the node may run. It returns when f has, canceled or not.
	// Blocks.
	Offload(f func())
}

// A Task is a handle to a started task.
type Task interface {
	// Cancel makes the task's current wait and all its later ones return
	// ErrCanceled: Sleep, Cond.Wait, and the calls of Net. Disk calls complete
	// and report the truth, because a write of unknown outcome helps nobody.
	// Canceling twice, or a finished task, does nothing.
	Cancel()

	// Done reports whether the task has returned.
	Done() bool
}

// A Cond lets tasks of one node wait for each other. There is no lock to pass:
// nothing else runs between looking at the state and waiting.
type Cond interface {
	// Wait waits for a Broadcast after the call began (nil), for the deadline
	// (ErrDeadline), or for cancellation (ErrCanceled). When several are due at
	// once any of them may be returned. A deadline that has passed returns
	// ErrDeadline without waiting. Callers look at their condition again:
	// Wait may wake when nothing they care about has changed. Blocks.
	Wait(deadline kafka.Instant) error

	// Broadcast wakes all tasks that are waiting. It does not block.
	Broadcast()
}

// Random hands out named streams of random numbers.
type Random interface {
	// Rand returns the stream of that name, the same one each time. Each
	// consumer of randomness uses a stream of its own, so that one more draw
	// here does not change what is drawn elsewhere. Never for secrets.
	Rand(name string) *rand.Rand
}

// Sight is how a node shows what it does. All of it is free when off.
type Sight interface {
	// Probe marks that a rare situation was reached.
	Probe(name string)

	// Buggify reports whether this point should now take its legal but unlucky
	// path. Always false outside the simulator.
	Buggify(name string) bool

	// Tracing reports whether Trace goes anywhere; callers ask before they
	// build attributes.
	Tracing() bool

	// Trace records an event of the node: an append, a new high watermark.
	// Common attributes are "partition", "conn" and "client".
	Trace(event string, attrs ...slog.Attr)
}

// Now returns monotonic time.
func (w *World) Now() kafka.Instant { return w.Clock.Now() }

// Wall returns the wall-clock time.
func (w *World) Wall() kafka.Timestamp { return w.Clock.Wall() }

// Sleep waits for d, or returns ErrCanceled. Blocks.
func (w *World) Sleep(d time.Duration) error { return w.Clock.Sleep(d) }

// Go starts f as a task of this node.
func (w *World) Go(name string, f func()) Task { return w.Tasks.Go(name, f) }

// NewCond returns a condition.
func (w *World) NewCond(label string) Cond { return w.Tasks.NewCond(label) }

// Offload runs pure work while other tasks may run. Blocks.
func (w *World) Offload(f func()) { w.Tasks.Offload(f) }

// Rand returns the named random stream.
func (w *World) Rand(name string) *rand.Rand { return w.Random.Rand(name) }

// Probe marks that a rare situation was reached.
func (w *World) Probe(name string) { w.Sight.Probe(name) }

// Buggify reports whether to take the legal but unlucky path called name.
func (w *World) Buggify(name string) bool { return w.Sight.Buggify(name) }

// Blind is a Sight that sees nothing.
type Blind struct{}

func (Blind) Probe(string)               {}
func (Blind) Buggify(string) bool        { return false }
func (Blind) Tracing() bool              { return false }
func (Blind) Trace(string, ...slog.Attr) {}

// Quiet returns a logger that drops everything.
func Quiet() *slog.Logger { return slog.New(quiet{}) }

type quiet struct{}

func (quiet) Enabled(context.Context, slog.Level) bool  { return false }
func (quiet) Handle(context.Context, slog.Record) error { return nil }
func (q quiet) WithAttrs([]slog.Attr) slog.Handler      { return q }
func (q quiet) WithGroup(string) slog.Handler           { return q }
