package osenv_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/env/envtest"
	"github.com/klammlog/klamm/node/env/envtest/broken"
	"github.com/klammlog/klamm/node/kafka"
)

// A world that waits in vain is found out after this long.
const shortPatience = 150 * time.Millisecond

func TestBrokenWorldsAreNoticed(t *testing.T) {
	checks := make(map[string]envtest.Check)
	for _, c := range envtest.Checks() {
		checks[c.Name] = c
	}
	noticed := make(map[string]bool)
	for _, w := range append(broken.Worlds(), parallel()...) {
		for _, name := range w.Noticed {
			noticed[name] = true
			t.Run(w.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				check, ok := checks[name]
				if !ok {
					t.Fatalf("there is no check %q", name)
				}
				if !notices(t, check, w) {
					t.Fatal("the check did not notice")
				}
			})
		}
	}
	for _, c := range envtest.Checks() {
		if !noticed[c.Name] && !(raceEnabled && slices.Contains(parallelNoticed, c.Name)) {
			t.Errorf("no broken world is noticed by the check %q", c.Name)
		}
	}
}

// notices reports whether the check complains. What it sees depends on how the
// goroutines are scheduled, so on a busy machine it may take several looks.
func notices(t *testing.T, check envtest.Check, w broken.World) bool {
	for i := range 20 {
		h := newHarness(t, shortPatience)
		h.quiet, h.seed = true, uint64(i+1)
		if err := check.Run(w.Harness(h)); err != nil {
			t.Logf("look %d: %v", i+1, err)
			return true
		}
	}
	return false
}

var parallelNoticed = []string{"one task runs at a time", "a task keeps the node until it blocks"}

// parallel returns a world whose tasks run in parallel, which is a data race of
// course; nothing when those are looked for.
func parallel() []broken.World {
	if raceEnabled {
		return nil
	}
	return []broken.World{{
		Name:    "tasks run in parallel",
		Noticed: parallelNoticed,
		Harness: func(h envtest.Harness) envtest.Harness { return parallelHarness{h} },
	}}
}

type parallelHarness struct{ envtest.Harness }

func (h parallelHarness) Run(parts ...envtest.Part) error {
	for i, p := range parts {
		parts[i].Run = func(w *env.World) error {
			mine := *w
			mine.Tasks = parallelTasks{}
			mine.Clock = parallelClock{w.Clock}
			return p.Run(&mine)
		}
	}
	return h.Harness.Run(parts...)
}

// parallelTasks are goroutines without a baton. Their conds wake all the time,
// which is allowed.
type parallelTasks struct{}

func (parallelTasks) Go(_ string, f func()) env.Task {
	go func() {
		defer func() { _ = recover() }() // the node's own memory is a mess
		f()
	}()
	return parallelTask{}
}

func (parallelTasks) NewCond(string) env.Cond { return parallelCond{} }
func (parallelTasks) Offload(f func())        { runtime.Gosched(); f() }

type parallelTask struct{}

func (parallelTask) Cancel()    {}
func (parallelTask) Done() bool { return false }

type parallelCond struct{}

func (parallelCond) Wait(kafka.Instant) error { time.Sleep(100 * time.Microsecond); return nil }
func (parallelCond) Broadcast()               {}

type parallelClock struct{ env.Clock }

func (parallelClock) Sleep(d time.Duration) error { time.Sleep(d); return nil }
