// Package sim runs whole clusters on one thread, in virtual time, from a seed.
//
// What it does to the code it runs (the fault model of processes, schedulers and
// clocks; networks and disks are netsim's and disksim's):
//
//   - any task that is ready may run next, drawn from the seed;
//   - a ready task, or a whole node, is held for a drawn time while the others
//     run (garbage collection, SIGSTOP, a migrating virtual machine);
//   - a node is slow: each of its steps and disk operations costs a multiple;
//   - a node crashes between any two steps, all its tasks unwind, it restarts;
//   - wall clocks are skewed, drift, jump and freeze; monotonic clocks drift.
//
// A run is a function of (seed, options, code). Everything that could differ
// between two runs enters a hash chain, so that one number tells whether two runs
// were the same, and a recording tells where they parted.
//
// The one rule for callers: one goroutine at a time drives a Kernel, and what is
// simulated touches nothing outside it.
package sim

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// Options are what a run is a function of, besides the code.
type Options struct {
	Seed uint64

	// HoldOneIn holds a picked task for a drawn time instead of running it,
	// once in so many picks; 0 never.
	HoldOneIn uint64
	// HoldMax bounds how long.
	HoldMax time.Duration

	// PreemptOneIn lets time pass on a node between two looks at its clock by
	// one task, once in so many looks; 0 never.
	PreemptOneIn uint64

	// Buggify lets the named points of node code misbehave legally.
	Buggify bool

	// Continuations have the run go on otherwise from instants on, which rise; none leaves
	// it as it is.
	Continuations []Continuation
	// Stop ends the run early; the zero value does not.
	Stop Stop

	Recorder *Recorder // where events go as text; nil: nowhere
	Sink     Sink      // where log lines and traces go; nil: nowhere
}

// A Stop is where a run ends before it is over, between two steps: when the next event
// lies beyond At, or when the hash chain has Events events or more. 0 is never.
type Stop struct {
	At     kafka.Instant
	Events uint64
}

// A Kernel is one simulated universe: its time, its tasks and its randomness.
type Kernel struct {
	options Options
	now     kafka.Instant
	events  heap
	ready   []*Task
	free    []*coroutine // on which no task runs
	current *Task
	stepped *Node // whose task ran last; nil: none did in the last step
	nodes   []*Node
	tasks   uint64
	steps   uint64
	beat    atomic.Uint64 //klamm:world read by a watchdog outside the simulation

	chain   chain
	streams streams
	pick    *rand.PCG
	turns   []Continuation // still to come
	turnAt  kafka.Instant  // when the run goes on otherwise; Never if it does not, or has
	sight   sight
	panics  []Panic
}

// New returns a kernel at instant 0 with nothing in it.
func New(o Options) *Kernel {
	zeroEntropy()
	k := &Kernel{options: o, chain: newChain(o.Seed), streams: newStreams(o.Seed), turnAt: kafka.Never}
	k.awaitTurns(o.Continuations)
	k.pick = rand.NewPCG(k.streams.seeds("schedule"))
	k.sight = newSight(k)
	return k
}

// Seed returns the run's seed.
func (k *Kernel) Seed() uint64 { return k.options.Seed }

// Now returns virtual time, the true one that no node's clock shows.
func (k *Kernel) Now() kafka.Instant { return k.now }

// Steps returns how many task steps and events have run.
func (k *Kernel) Steps() uint64 { return k.steps }

// Beat returns a number that grows while virtual time advances: tasks that wake each
// other for ever at one instant are as stuck as one that never blocks. A watchdog
// on another goroutine may read it at any time.
func (k *Kernel) Beat() uint64 { return k.beat.Load() }

// Current returns the task that is running, or nil on the kernel's own stack.
func (k *Kernel) Current() *Task { return k.current }

// Stepped returns the node one of whose tasks has run in the last step, or nil: then
// an event did, or nothing.
func (k *Kernel) Stepped() *Node { return k.stepped }

// Rand returns the named random stream.
func (k *Kernel) Rand(name string) *rand.Rand { return k.streams.get(name) }

// At runs f on the kernel's stack at instant t, or now if t has passed. Events of
// one instant run in the order they were scheduled. f must not block.
func (k *Kernel) At(t kafka.Instant, f func()) {
	k.events.push(event{at: max(t, k.now), run: f})
}

// After runs f on the kernel's stack d from now. f must not block.
func (k *Kernel) After(d time.Duration, f func()) { k.At(k.now.Add(d), f) }

// Panics returns what tasks panicked with, in order.
func (k *Kernel) Panics() []Panic { return k.panics }

// Ending says why a run of the kernel stopped.
type Ending int

// The endings of Run.
const (
	Finished Ending = iota // done reported true
	Idle                   // nothing is ready and nothing is scheduled
	TimeUp                 // the next event lies beyond the limit
	Panicked               // a task panicked; see Panics
	Stopped                // Options.Stop ended it
)

func (e Ending) String() string {
	return [...]string{"finished", "idle", "time up", "panicked", "stopped"}[e]
}

// Run runs tasks and events until done reports true (it is asked between steps),
// nothing is left, the next event lies beyond limit, a task panics, or Options.Stop says so.
func (k *Kernel) Run(limit kafka.Instant, done func() bool) Ending {
	assert.That(k.current == nil, "a task runs the kernel that runs it")
	k.turn()
	stop := k.options.Stop
	for !done() {
		switch {
		case len(k.panics) > 0:
			return Panicked
		case stop.Events > 0 && k.chain.count >= stop.Events:
			return Stopped
		case len(k.ready) > 0:
			k.step()
		case k.events.empty():
			return Idle
		case stop.At > 0 && k.events.min().at > stop.At:
			return Stopped
		case k.events.min().at > limit:
			return TimeUp
		default:
			k.fire()
		}
		k.steps++
		if k.steps%64 == 0 {
			k.beat.Store(uint64(k.now) + 1)
		}
	}
	return Finished
}

// fire runs the next event.
func (k *Kernel) fire() {
	e := k.events.pop()
	k.now, k.stepped = e.at, nil
	if k.now >= k.turnAt {
		k.turn()
	}
	if e.run != nil {
		e.run()
		return
	}
	e.task.timeUp(e.wait)
}

// step picks one of the ready tasks and runs it to its next blocking call.
func (k *Kernel) step() {
	i := 0
	if n := uint64(len(k.ready)); n > 1 {
		hi, _ := bits.Mul64(k.pick.Uint64(), n)
		i = int(hi)
	}
	t := k.ready[i]
	last := len(k.ready) - 1
	k.ready[i] = k.ready[last]
	k.ready[last] = nil
	k.ready = k.ready[:last]
	k.stepped = nil
	if t.dead || k.held(t) {
		return
	}
	k.chain.add(NotePick, t.id, uint64(i))
	if k.Recording() {
		k.Record("pick %s/%s#%d of %d", t.node.name, t.name, t.id, last+1)
	}
	t.resume()
	if t.done {
		t.node.forget(t)
	}
	k.stepped = t.node
	t.node.pay()
}

// held reports whether t must not run now, and sees to it that it will.
func (k *Kernel) held(t *Task) bool {
	if t.node.hold(t) {
		return true
	}
	if k.options.HoldOneIn == 0 || k.pick.Uint64()%k.options.HoldOneIn != 0 {
		return false
	}
	d := time.Duration(k.pick.Uint64() % uint64(max(k.options.HoldMax, 1)))
	k.After(d, t.makeReady)
	return true
}

// Quiet ends the drawn holding of tasks and the buggify points, for good: a
// simulation does so before it demands progress.
func (k *Kernel) Quiet() {
	k.options.HoldOneIn, k.options.PreemptOneIn = 0, 0
	k.options.Buggify = false
}

// Close unwinds every task, so that nothing of the simulation stays behind.
func (k *Kernel) Close() {
	for _, n := range k.nodes {
		n.Crash()
	}
	k.freeAll()
}
