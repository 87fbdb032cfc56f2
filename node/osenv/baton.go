package osenv

import (
	"github.com/klammlog/klamm/internal/assert"
)

// The baton is a plain mutex: whoever comes first has it, and a task that lays
// it down and wants it again at once may win over tasks that have waited longer.
// Handing it over fairly costs a quarter of the throughput; the mutex's own
// starvation mode bounds the wait.

// releasable is something that was decided under the baton and takes effect when
// the baton is down: a task that may go on, a socket to be closed. A task woken
// earlier would only run into the baton.
type releasable interface{ release() }

// enter takes the baton for t, which is the calling goroutine's task.
func (h *Host) enter(t *task) {
	h.baton.Lock()
	t.holding = true
	h.current = t
	h.since = h.elapsed()
}

// leave lays down the baton and returns the task that held it: the caller's,
// because nobody else runs node code meanwhile.
func (h *Host) leave() *task {
	t := h.current
	assert.That(t != nil, "osenv: a goroutine that is no task made a blocking call; it must enter by Do")
	h.current = nil
	t.holding = false
	h.holds.add(h.elapsed() - h.since)
	released := h.released
	h.released = t.spare
	t.spare = nil
	h.baton.Unlock()
	for _, r := range released {
		r.release()
	}
	clear(released)
	t.spare = released[:0]
	return t
}

// visit runs f with the baton on a goroutine that is no task. f must not block.
func (h *Host) visit(f func()) {
	h.baton.Lock()
	f()
	released := h.released
	h.released = nil
	h.baton.Unlock()
	for _, r := range released {
		r.release()
	}
}

// later has r released when the baton is laid down.
func (h *Host) later(r releasable) { h.released = append(h.released, r) }

func (h *Host) register(t *task) {
	t.index = len(h.tasks)
	h.tasks = append(h.tasks, t)
}

// end is deferred at the root of every task: it reports a panic, takes the task
// off the list and lays down the baton.
func (h *Host) end(t *task) {
	v := recover() //klamm:recover the root of a task
	if !t.holding {
		h.enter(t) // it panicked inside a system call's wrapper
	}
	if v != nil {
		h.report(t, v)
	}
	t.done = true
	last := h.tasks[len(h.tasks)-1]
	h.tasks[t.index] = last
	last.index = t.index
	h.tasks[len(h.tasks)-1] = nil
	h.tasks = h.tasks[:len(h.tasks)-1]
	if len(h.tasks) == 0 {
		h.idle.Broadcast()
	}
	h.leave()
}
