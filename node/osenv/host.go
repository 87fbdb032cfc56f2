// Package osenv is the World on a real machine: goroutines, clocks, sockets and
// files.
//
// It promises what package env promises of every world. One task of a Host runs
// at a time: a task is a goroutine that holds the Host's baton, a mutex, except
// inside the calls that env marks "Blocks.". System calls run outside the baton
// and in parallel, a bounded number for each log directory.
//
// It decides nothing and retries nothing. An errno becomes the env error it
// stands for, with the object's name.
//
// The one rule: a goroutine that is not a task touches nothing of a node except
// inside Do, and a task that calls foreign code which may wait or call back does
// so inside Outside.
package osenv

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
)

// systemEntropy is the operating system's randomness, taken when the process
// starts: a simulator in the same process replaces crypto/rand.Reader.
var systemEntropy = crand.Reader

// Options says what a Host is made of. The zero value is a world without disks
// that logs nothing.
type Options struct {
	LogDirs []string     // directories, made if they are missing
	Logger  *slog.Logger // nil drops everything. Its handler runs under the baton and must not block: see Async
	Sight   env.Sight    // nil sees nothing

	// Seed seeds the named random streams, never the secrets; 0 draws a seed.
	Seed uint64

	// DiskCalls bounds the system calls in flight for each log directory: so
	// many that read, and so many that change something. 0 means 64. Tasks
	// beyond it queue, because a disk that hangs would otherwise take a thread
	// of the process for each of them.
	DiskCalls int

	// OnPanic is told of a task that panicked; the task is over, and its node
	// cannot be trusted. Nil prints the panic and exits the process. It runs
	// under the baton.
	OnPanic func(Panic)
}

// A Host is one node's World with what only its owner may do: enter it from
// other goroutines, and end it.
type Host struct {
	world  *env.World
	began  time.Time // instant 0
	panics func(Panic)

	baton   sync.Mutex
	current *task // who holds the baton; nil between tasks and in visit

	// Below: only with the baton.
	since    time.Duration // when current took it
	holds    Holds
	released []releasable // to be released when the baton is down
	tasks    []*task
	idle     *sync.Cond // the last task ended
	closing  bool
	open     map[io.Closer]struct{} // sockets, files and locks nobody has closed
	streams  map[string]*rand.Rand
	seed     uint64
}

// New makes a Host and its log directories.
func New(o Options) (*Host, error) {
	h := &Host{
		began:   time.Now(),
		panics:  o.OnPanic,
		open:    make(map[io.Closer]struct{}),
		streams: make(map[string]*rand.Rand),
		seed:    o.Seed,
	}
	h.idle = sync.NewCond(&h.baton)
	if h.panics == nil {
		h.panics = printAndExit
	}
	if h.seed == 0 {
		h.seed = drawSeed()
	}
	dirs, err := logDirs(h, o)
	if err != nil {
		return nil, err
	}
	h.world = &env.World{
		Clock:   clock{h},
		Tasks:   tasks{h},
		Net:     network{h},
		LogDirs: dirs,
		Random:  streams{h},
		Secret:  systemEntropy,
		Log:     o.Logger,
		Sight:   o.Sight,
	}
	if h.world.Log == nil {
		h.world.Log = env.Quiet()
	}
	if h.world.Sight == nil {
		h.world.Sight = env.Blind{}
	}
	return h, nil
}

func logDirs(h *Host, o Options) ([]env.LogDir, error) {
	calls := o.DiskCalls
	if calls <= 0 {
		calls = 64
	}
	var dirs []env.LogDir
	for _, path := range o.LogDirs {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("log directory: %w", diskError(err))
		}
		dirs = append(dirs, env.LogDir{Name: path, FS: newDisk(h, path, calls)})
	}
	return dirs, nil
}

// World returns the node's world. Only tasks may use it.
func (h *Host) World() *env.World { return h.world }

// Do runs f as a task of the host on the calling goroutine, and returns what f
// returns. It is how goroutines that are not tasks enter. When ctx is done, the
// task is canceled: its waits return env.ErrCanceled. It fails without running f
// with env.ErrClosed after Close, and with env.ErrCanceled if ctx is done.
//
// A task that calls Do of its own host waits for itself for ever.
func (h *Host) Do(ctx context.Context, f func() error) (err error) {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", env.ErrCanceled, context.Cause(ctx))
	}
	t := &task{host: h, name: doTask, started: true}
	h.enter(t)
	if h.closing {
		h.leave()
		return env.ErrClosed
	}
	h.register(t)
	err = errDoPanicked
	defer h.end(t)
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { h.visit(t.Cancel) })
		defer stop()
	}
	err = f()
	return err
}

// Outside runs f, foreign code such as a user's callback, without the baton: f
// may take its time, and may call Do. The calling task waits for it, and other
// tasks run meanwhile. Blocks.
func (h *Host) Outside(f func()) {
	t := h.leave()
	defer h.enter(t)
	f()
}

// Wait returns when no task is left. It is not for tasks.
func (h *Host) Wait() {
	h.baton.Lock()
	defer h.baton.Unlock()
	for len(h.tasks) > 0 {
		h.idle.Wait()
	}
}

// Close cancels every task, those to come included, refuses further Do, waits
// until no task is left, and closes what they left open. It is not for tasks.
func (h *Host) Close() {
	h.visit(func() {
		h.closing = true
		for _, t := range h.tasks {
			t.Cancel()
		}
	})
	h.Wait()
	h.visit(func() {
		for c := range h.open {
			_ = c.Close() // what was not synced is as lost as after a kill
		}
		clear(h.open)
	})
}

// Holds returns how long the baton was held each time so far. It is not for
// tasks.
func (h *Host) Holds() (holds Holds) {
	h.visit(func() { holds = h.holds })
	return holds
}

func drawSeed() uint64 {
	var b [8]byte
	_, err := io.ReadFull(systemEntropy, b[:])
	assert.NoError(err) // the system's source never fails: it ends the process instead
	return binary.LittleEndian.Uint64(b[:])
}
