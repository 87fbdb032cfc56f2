package sim

import "github.com/klammlog/klamm/node/kafka"

// An event is due at an instant: either a function, or a task's wait to end.
// Values, not pointers: the heap is the busiest structure of a simulation.
type event struct {
	at    kafka.Instant
	order uint64
	run   func()
	task  *Task
	wait  uint64
}

func (e *event) before(f *event) bool {
	return e.at < f.at || (e.at == f.at && e.order < f.order)
}

// A heap is a 4-ary heap of events: half the depth of a binary one, and the
// children of a node are neighbours in memory.
type heap struct {
	items []event
	next  uint64
	stale int // timers whose wait ended otherwise; swept when they are many
}

func (h *heap) empty() bool { return len(h.items) == 0 }
func (h *heap) min() *event { return &h.items[0] }

func (h *heap) push(e event) {
	e.order = h.next
	h.next++
	h.items = append(h.items, e)
	h.up(len(h.items) - 1)
}

func (h *heap) pop() event {
	top := h.items[0]
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	h.items[last] = event{}
	h.items = h.items[:last]
	if last > 0 {
		h.down(0)
	}
	return top
}

func (h *heap) up(i int) {
	e := h.items[i]
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&h.items[parent]) {
			break
		}
		h.items[i] = h.items[parent]
		i = parent
	}
	h.items[i] = e
}

func (h *heap) down(i int) {
	e := h.items[i]
	for {
		first := 4*i + 1
		if first >= len(h.items) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h.items)); c++ {
			if h.items[c].before(&h.items[least]) {
				least = c
			}
		}
		if !h.items[least].before(&e) {
			break
		}
		h.items[i] = h.items[least]
		i = least
	}
	h.items[i] = e
}

// abandon notes that one timer will find its wait over. Deadlines are mostly
// long and waits mostly short, so dead timers would otherwise outnumber the
// living by far.
func (h *heap) abandon() {
	h.stale++
	if h.stale > 1024 && h.stale > len(h.items)/2 {
		h.sweep()
	}
}

func (h *heap) sweep() {
	kept := h.items[:0]
	for _, e := range h.items {
		if e.task == nil || e.task.awaits(e.wait) {
			kept = append(kept, e)
		}
	}
	clear(h.items[len(kept):])
	h.items = kept
	for i := len(h.items) / 4; i >= 0 && i < len(h.items); i-- {
		h.down(i)
	}
	h.stale = 0
}
