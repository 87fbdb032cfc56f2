package broker

import (
	"math"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A wait is what one request waits for: credit that partitions give it. Each
// partition it is registered with holds marks of it; who changes a partition
// credits them, and only the wait that has all it needs wakes its task.
//
// Being woken proves nothing: the task looks at its partitions again.
type wait struct {
	need, got int64
	cond      env.Cond // the request's task, nil if nobody waits
	done      func()   // called once, when need is reached and nothing is unwritten; may be nil. Must not block, nor touch lists
	marks     []mark

	// unwritten is how many marks were credited while logs that work still had their
	// bytes to write.
	unwritten int

	// lost says that some log failed or went away: it may still be writing the
	// bytes it was given.
	lost bool
}

// A mark is a wait's place in one partition's list.
type mark struct {
	wait       *wait
	at         commitlog.AppendResult // what is waited for; fetches have none
	prev, next *mark
	list       *marks
}

// grow makes room for n marks. They do not move afterwards.
func (w *wait) grow(n int) { w.marks = make([]mark, 0, n) }

// add registers the wait in a list.
func (w *wait) add(l *marks, at commitlog.AppendResult) {
	w.marks = append(w.marks, mark{wait: w, at: at})
	l.insert(&w.marks[len(w.marks)-1])
}

// leave takes all marks out of their lists.
func (w *wait) leave() {
	for i := range w.marks {
		w.marks[i].remove()
	}
	w.marks = w.marks[:0]
}

// credit gives the wait n of what it needs.
func (w *wait) credit(n int64) {
	before := w.got
	w.got += n
	if before >= w.need || w.got < w.need {
		return
	}
	w.finish()
	if w.cond != nil {
		w.cond.Broadcast()
	}
}

// finish calls done when the wait has all it needs, and no log its bytes.
func (w *wait) finish() {
	if w.done != nil && w.satisfied() && w.unwritten == 0 {
		w.done()
	}
}

// satisfied reports whether the wait has what it needs.
func (w *wait) satisfied() bool { return w.got >= w.need }

// marks is a list of marks, the smallest end first. The zero value is empty.
type marks struct{ first, last *mark }

// insert puts m behind the last mark whose end is not larger: at the back, but
// for the odd duplicate.
func (l *marks) insert(m *mark) {
	m.list = l
	m.prev = l.last
	for m.prev != nil && m.prev.at.End > m.at.End {
		m.prev = m.prev.prev
	}
	if m.prev == nil {
		m.next, l.first = l.first, m
	} else {
		m.next, m.prev.next = m.prev.next, m
	}
	if m.next == nil {
		l.last = m
	} else {
		m.next.prev = m
	}
}

// remove takes m out of its list, if it is in one.
func (m *mark) remove() {
	l := m.list
	if l == nil {
		return
	}
	if m.prev == nil {
		l.first = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		l.last = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.list, m.prev, m.next = nil, nil, nil
}

// passed credits and removes the marks whose end is not above high. It looks at no
// others: there may be thousands.
func (l *marks) passed(high kafka.Offset) {
	for m := l.first; m != nil && m.at.End <= high; m = l.first {
		m.remove()
		m.wait.credit(1)
	}
}

// dropLost credits and removes the marks that lost says can no longer get there.
func (l *marks) dropLost(lost func(*mark) bool) {
	for m := l.first; m != nil; {
		next := m.next
		if lost(m) {
			m.remove()
			m.wait.lost = true
			m.wait.credit(1)
		}
		m = next
	}
}

// lose credits every mark, and empties the list: appends wait for as many as they have,
// and those in other lists count still. What the log has still to write goes to to.
func (l *marks) lose(to *unwritten) {
	for m := l.first; m != nil; m = l.first {
		m.remove()
		if m.wait.lost = true; to.has(m) {
			m.wait.unwritten++
			to.insert(m)
		}
		m.wait.credit(1)
	}
}

// unwritten are the marks of appends that were told that leadership is lost while
// their log still had their bytes to write. Until it has, or has dropped them,
// whoever sent them is charged for them: a broker whose disk is slow loses its
// leadership and takes it again, and could otherwise be given more than it has room for.
type unwritten struct {
	marks
	log *commitlog.Log
}

// has reports whether the log has still to write what a mark waits for. A log that
// has failed is not waited for: it may never return from its disk.
func (u *unwritten) has(m *mark) bool {
	return m.at.End > u.log.Written() && u.log.Lost(m.at) == nil
}

// settle lets go of what the log has written or dropped. What it is given is written
// in order, and dropped together.
func (u *unwritten) settle() {
	for m := u.first; m != nil && !u.has(m); m = u.first {
		m.remove()
		m.wait.unwritten--
		m.wait.finish()
	}
}

// each credits every mark and leaves it where it is. A wait that is satisfied
// leaves by itself.
func (l *marks) each(credit int64) {
	for m := l.first; m != nil; m = m.next {
		m.wait.credit(credit)
	}
}

// drop credits every wait with all it needs, so that it wakes, and empties the
// list. It is for fetches, which leave their other lists when they wake.
func (l *marks) drop() {
	for m := l.first; m != nil; m = l.first {
		m.remove()
		m.wait.lost = true
		m.wait.credit(math.MaxInt32)
	}
}
