package group

import "github.com/klammlog/klamm/node/kafka"

// A timer is due at an instant, if it is set. A timer that is moved to later, as a
// heartbeat does, is not moved in the heap: it is looked at again when it would
// have been due. So a heartbeat costs nothing there.
type timer struct {
	due   kafka.Instant // Never: not set
	at    kafka.Instant // where it is in the heap
	seq   uint64        // among those at the same instant, who was set first
	place int           // in the heap, plus one; 0: not there
	fire  func()
	group *group // nil: the shard's own
	ripe  bool   // was due while its group changed, and has not been set since
}

func (t *timer) set() bool { return t.place > 0 && t.due != kafka.Never }

// timers is a heap of what is set.
type timers struct {
	heap []*timer
	seq  uint64
}

// arm sets a timer, or moves it.
func (ts *timers) arm(t *timer, due kafka.Instant) {
	if due == kafka.Never {
		ts.disarm(t)
		return
	}
	t.due, t.ripe = due, false
	switch {
	case t.place == 0:
		ts.seq++
		t.at, t.seq = due, ts.seq
		ts.heap = append(ts.heap, t)
		t.place = len(ts.heap)
		ts.up(t.place - 1)
	case due < t.at:
		t.at = due
		ts.up(t.place - 1)
	}
}

// disarm has a timer never be due.
func (ts *timers) disarm(t *timer) {
	t.due, t.ripe = kafka.Never, false
	if t.place == 0 {
		return
	}
	i, last := t.place-1, len(ts.heap)-1
	ts.swap(i, last)
	ts.heap[last] = nil
	ts.heap = ts.heap[:last]
	t.place = 0
	if i < last {
		ts.up(i)
		ts.down(i)
	}
}

// next returns when to look at the timers again.
func (ts *timers) next() (kafka.Instant, bool) {
	if len(ts.heap) == 0 {
		return kafka.Never, false
	}
	return ts.heap[0].at, true
}

// pop takes out a timer that is due, or returns nil.
func (ts *timers) pop(now kafka.Instant) *timer {
	for len(ts.heap) > 0 && ts.heap[0].at <= now {
		t := ts.heap[0]
		if t.due <= now {
			ts.disarm(t)
			return t
		}
		t.at = t.due
		ts.down(0)
	}
	return nil
}

func (ts *timers) less(i, j int) bool {
	a, b := ts.heap[i], ts.heap[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (ts *timers) swap(i, j int) {
	ts.heap[i], ts.heap[j] = ts.heap[j], ts.heap[i]
	ts.heap[i].place, ts.heap[j].place = i+1, j+1
}

func (ts *timers) up(i int) {
	for i > 0 && ts.less(i, (i-1)/2) {
		ts.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (ts *timers) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(ts.heap) {
			return
		}
		if least+1 < len(ts.heap) && ts.less(least+1, least) {
			least++
		}
		if !ts.less(least, i) {
			return
		}
		ts.swap(i, least)
		i = least
	}
}
