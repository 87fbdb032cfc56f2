package sim

import "github.com/klammlog/klamm/node/kafka"

// An Outcome says how a wait ended.
type Outcome int

// The ends of a wait.
const (
	Woken Outcome = iota
	TimedOut
	Canceled
)

// Cancelable says whether Task.Cancel cuts a wait short.
type Cancelable int

// Waits for the network and for other tasks can be canceled; waits for the disk
// cannot.
const (
	CanCancel Cancelable = iota
	CannotCancel
)

// A Queue holds the tasks that wait for one thing. The zero value is empty.
type Queue struct {
	waiting []*Task
	first   [1]*Task // where waiting begins: most things are waited for by one
}

// Wait parks the running task until WakeAll, the deadline in the kernel's time,
// or, if it can be canceled, Task.Cancel. A task that was canceled before returns
// Canceled at once. Blocks.
func (q *Queue) Wait(k *Kernel, label string, deadline kafka.Instant, c Cancelable) Outcome {
	t := k.mustRun()
	if c == CanCancel && t.canceled {
		return Canceled
	}
	if q.waiting == nil {
		q.waiting = q.first[:0]
	}
	q.waiting = append(q.waiting, t)
	t.begin(q, label, deadline, c)
	return t.park()
}

// WakeAll makes every waiting task ready.
func (q *Queue) WakeAll(k *Kernel) {
	waiting := q.waiting
	q.waiting = nil
	for _, t := range waiting {
		t.wake(Woken)
	}
	if q.waiting == nil {
		q.waiting = waiting[:0]
	}
}

// Len returns how many tasks wait.
func (q *Queue) Len() int { return len(q.waiting) }

func (q *Queue) remove(t *Task) {
	for i, other := range q.waiting {
		if other == t {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return
		}
	}
}
