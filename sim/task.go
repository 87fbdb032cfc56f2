package sim

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A Task is a coroutine of one node. It runs until it blocks, and resumes when
// the scheduler picks it.
type Task struct {
	k    *Kernel
	node *Node
	name string
	id   uint64
	slot int // its place in node.tasks

	body func()
	on   *coroutine // nil before it runs first, and when it is done

	// The wait it is in. Timers and queues name the wait they mean, for the
	// task may be in a later one when they come to it.
	wait       uint64
	parked     bool
	cancelable bool
	deadline   kafka.Instant
	queue      *Queue
	label      string
	outcome    Outcome

	canceled bool
	dead     bool // unwinding, or gone
	done     bool
}

// killed is what a task of a crashed node unwinds with. Only the task's root
// recovers it.
type killed struct{}

// A Panic is what a task died of.
type Panic struct {
	Node, Task string
	Value      any
	Stack      string
}

func (p Panic) String() string {
	return fmt.Sprintf("%s: task %s panicked: %v", p.Node, p.Task, p.Value)
}

// Node returns the node the task belongs to.
func (t *Task) Node() *Node { return t.node }

// Name returns the task's name.
func (t *Task) Name() string { return t.name }

// Done reports whether the task has returned.
func (t *Task) Done() bool { return t.done }

// Dead reports whether the task's node has crashed: it is unwinding, and what it
// does has no effect.
func (t *Task) Dead() bool { return t.dead }

// Canceled reports whether Cancel was called.
func (t *Task) Canceled() bool { return t.canceled }

// Waiting returns the label of what the task waits for, for stall reports.
func (t *Task) Waiting() string {
	if t.parked {
		return t.label
	}
	return "ready"
}

// Cancel ends the task's wait, if it is in one that can be canceled.
func (t *Task) Cancel() {
	if t.done || t.dead || t.canceled {
		return
	}
	t.canceled = true
	if t.parked && t.cancelable {
		t.wake(Canceled)
	}
}

func (t *Task) makeReady() {
	if !t.dead && !t.done {
		t.k.ready = append(t.k.ready, t)
	}
}

// resume runs the task to its next blocking call or its end.
func (t *Task) resume() {
	if t.on == nil {
		t.on = t.k.coroutine()
		t.on.task = t
	}
	before := t.k.current
	t.k.current = t
	t.on.next()
	t.k.current = before
	if t.done {
		t.on.task = nil
		t.k.free = append(t.k.free, t.on)
		t.on, t.body = nil, nil
	}
}

// run is the bottom of the task's stack.
func (t *Task) run() {
	defer t.finish()
	t.body()
}

func (t *Task) finish() {
	r := recover() //klamm:recover a task's root: unwinding ends here, and stacks are captured
	t.done = true
	if r == nil || t.dead {
		return
	}
	t.k.panics = append(t.k.panics, Panic{
		Node: t.node.name, Task: t.name, Value: r, Stack: string(debug.Stack()),
	})
}

// kill unwinds the task. It is not running.
func (t *Task) kill() {
	t.dead = true
	t.leaveQueue()
	if t.on == nil {
		t.done = true
		return
	}
	t.resume()
}

// park gives up the thread until the task is woken and picked.
func (t *Task) park() Outcome {
	if t.k.current != t {
		assert.That(false, "task %s parks while it is not running", t.name)
	}
	if t.dead {
		panic(killed{})
	}
	t.on.yield(struct{}{})
	if t.dead {
		panic(killed{})
	}
	return t.outcome
}

// begin enters a wait.
func (t *Task) begin(q *Queue, label string, deadline kafka.Instant, c Cancelable) {
	t.wait++
	t.parked, t.queue, t.label, t.deadline = true, q, label, deadline
	t.cancelable = c == CanCancel
	if deadline != kafka.Never {
		t.k.events.push(event{at: max(deadline, t.k.now), task: t, wait: t.wait})
	}
}

// awaits reports whether the task is still in that wait.
func (t *Task) awaits(wait uint64) bool { return t.parked && t.wait == wait && !t.dead }

func (t *Task) timeUp(wait uint64) {
	if !t.awaits(wait) {
		t.k.events.stale--
		return
	}
	t.deadline = kafka.Never
	t.wake(TimedOut)
}

// wake ends the task's wait. When its deadline is due at this very instant too,
// either answer is legal, and one is drawn.
func (t *Task) wake(why Outcome) {
	if !t.parked || t.dead {
		return
	}
	t.parked = false
	if t.deadline != kafka.Never {
		if why == Woken && t.queue != nil && t.deadline <= t.k.now && t.k.pick.Uint64()&1 == 0 {
			why = TimedOut
		}
		t.k.events.abandon()
	}
	t.leaveQueue()
	t.outcome = why
	t.makeReady()
}

func (t *Task) leaveQueue() {
	if t.queue != nil {
		t.queue.remove(t)
		t.queue = nil
	}
}

// mustRun returns the running task, unwinding it if its node is dead.
func (k *Kernel) mustRun() *Task {
	t := k.current
	assert.That(t != nil, "a blocking call outside a task")
	if t.dead {
		panic(killed{})
	}
	return t
}

// Block parks the running task for d. Nothing cuts it short but a crash. Blocks.
func (k *Kernel) Block(label string, d time.Duration) {
	t := k.mustRun()
	t.begin(nil, label, k.now.Add(d), CannotCancel)
	t.park()
}

// Yield lets the other ready tasks of the kernel run first, or not. Blocks.
func (k *Kernel) Yield() {
	t := k.mustRun()
	t.makeReady()
	t.park()
}
