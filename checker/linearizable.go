package checker

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// judgeLinearizableLog: per partition, append, read and latest-offset are
// linearizable: every operation seems to happen at one instant between its
// invocation and its completion.
//
// The object is a log, a sequence of records. An append puts its record at the
// end and returns where; a read returns a record and its offset; latest returns
// the length. The answer to an append counts if it promised that the record
// stays; if it came from all in-sync replicas, its completion bounds the append,
// else the record may get there, for all others to see, at any later time. All
// other sends that did not fail are ambiguous: they are appended at some time
// after their invocation, or never. A send that is not idempotent may be appended
// any number of times.
//
// Because every append returns its place, no search is needed. Reads and answers
// resolve the ambiguous appends they show to an offset. What is known then lies
// on one line: latest 0, append at 0, latest 1, append at 1, and so on. The length
// never shrinks, so that line is the only possible order (operations at one place
// of it can only be lookups, which do not mind each other), and a history agrees
// with it if and only if no operation on the line was over before one that is
// lower began: then each can happen at the latest invocation at or below it. A
// read must only come after the append that it shows. Offsets of the line that
// nothing is known about need a send that is otherwise not known to be there, and
// early enough for all that lies above: the sends in order of invocation against
// the offsets in their order. Sorting is the only cost, O(n log n).
//
// A violation is an operation that was over before a lower one began; an offset
// with two records; a record that nobody sent there, or that failed; an idempotent
// send at two offsets; or an offset for which no send is left. With transactions,
// whose control records are nobody's sends, offsets are not counted, and only
// read_uncommitted lookups are judged. Gaps in polls are judged by no-poll-skip,
// the start of the log by offsets-forward.
func judgeLinearizableLog(ix *index, f *findings) {
	ix.judged(func(p *part) {
		l := logLine{ix: ix, p: p, f: f}
		l.collect()
		l.inRealTime()
		if !ix.d.Transactions {
			l.fillGaps()
		}
	})
}

// A logLine is what is known about one partition, in the order of its log.
type logLine struct {
	ix   *index
	p    *part
	f    *findings
	pins []pin // by rank
}

// A pin is an operation with a place on the line: an append, or a lookup of the
// latest offset.
type pin struct {
	rank      uint64          // 2e: the length was e. 2e+1: a record was appended at e
	invoked   history.Instant // the pin happened not before
	completed history.Instant // and not after, if it is not Never
	readBy    history.Instant // append: and it had happened by then, for a read shows it
	op        history.OpID    // the send, lookup, read-back or poll
	reader    int32           // append: the poll of readBy, or -1
}

const unknownOp history.OpID = -1

func latestRank(length history.Offset) uint64 { return 2 * uint64(length) }
func appendRank(at history.Offset) uint64     { return 2*uint64(at) + 1 }

func (p *pin) offset() history.Offset { return history.Offset(p.rank / 2) }

func (p *pin) deadline() history.Instant { return min(p.completed, p.readBy) }

// collect makes the pins, and complains about records at wrong places.
func (l *logLine) collect() {
	l.pins = make([]pin, 0, len(l.p.acked)+len(l.p.slots)+len(l.p.lists)+len(l.p.backs))
	slots, acked := l.p.slots, l.p.acked
	for len(slots) > 0 || len(acked) > 0 {
		var at *slot
		send := int32(-1)
		o := l.lowest(slots, acked)
		if len(slots) > 0 && slots[0].offset == o {
			at, slots = &slots[0], slots[1:]
		}
		for len(acked) > 0 && l.ix.h.Sends[acked[0]].Offset == o {
			if send >= 0 {
				l.twoRecords(acked[0], l.ix.sendEvent(send))
			} else {
				send = acked[0]
			}
			acked = acked[1:]
		}
		l.append(o, at, send)
	}
	l.idempotentOnce()
	l.lookups()
	slices.SortStableFunc(l.pins, func(a, b pin) int { return cmp.Compare(a.rank, b.rank) })
	l.f.checked += len(l.pins)
}

// lowest returns the lowest offset that is left.
func (l *logLine) lowest(slots []slot, acked []int32) history.Offset {
	o := history.Unbounded
	if len(slots) > 0 {
		o = slots[0].offset
	}
	if len(acked) > 0 {
		o = min(o, l.ix.h.Sends[acked[0]].Offset)
	}
	return o
}

// append pins the append at an offset: read there (at), acknowledged there (send),
// or both.
func (l *logLine) append(o history.Offset, at *slot, send int32) {
	n := pin{rank: appendRank(o), op: unknownOp, completed: history.Never, readBy: history.Never, reader: -1}
	if at != nil {
		l.checkSlot(at, send)
		n.readBy, n.reader = l.ix.h.Polls[at.early].Completed, at.early
		if send < 0 {
			send = l.ix.sendOf[at.first.read]
			if send >= 0 {
				n.invoked, n.op = l.ix.h.Sends[send].Invoked, l.ix.h.Sends[send].Op
			}
			l.pins = append(l.pins, n)
			return
		}
	}
	s := &l.ix.h.Sends[send]
	n.invoked, n.op = s.Invoked, s.Op
	if s.Acks == history.AcksAll {
		n.completed = s.Completed
	}
	l.pins = append(l.pins, n)
}

// checkSlot complains about what was read at an offset where the record of acked,
// if not -1, must be.
func (l *logLine) checkSlot(at *slot, acked int32) {
	ix := l.ix
	reads := ix.h.Reads()
	first := ix.sendOf[at.first.read]
	if acked >= 0 {
		if r, bad := otherRecord(ix, at, acked); bad {
			l.twoRecords(acked, ix.readEvent(r))
			return
		}
	} else if at.other.poll >= 0 && reads[at.other.read].Record != reads[at.first.read].Record {
		l.f.add(func() (string, []history.Event) {
			return fmt.Sprintf("%s offset %d was read as two records", ix.name(l.p.id), at.offset),
				[]history.Event{ix.readEvent(at.first), ix.readEvent(at.other)}
		})
		return
	}
	if at.offset >= l.p.begins && (first < 0 || ix.h.Sends[first].Outcome == history.Failed) {
		l.f.add(func() (string, []history.Event) {
			return fmt.Sprintf("%s offset %d was read as a record that nobody appended", ix.name(l.p.id), at.offset),
				[]history.Event{ix.readEvent(at.first)}
		})
	}
}

func (l *logLine) twoRecords(acked int32, other history.Event) {
	l.f.add(func() (string, []history.Event) {
		s := &l.ix.h.Sends[acked]
		return fmt.Sprintf("%s offset %d was acknowledged at %v for record %d, and another record is there", l.ix.name(l.p.id), s.Offset, s.Completed, s.Record),
			[]history.Event{l.ix.sendEvent(acked), other}
	})
}

// idempotentOnce complains about idempotent sends that are at two offsets.
func (l *logLine) idempotentOnce() {
	for _, si := range l.p.sends {
		s, seen := &l.ix.h.Sends[si], &l.ix.seen[si]
		if s.Delivery != history.Idempotent || seen.low == history.NoOffset {
			continue
		}
		low, high := places(l.ix, si)
		if low == high {
			continue
		}
		l.f.add(func() (string, []history.Event) {
			return fmt.Sprintf("%s record %d, sent once, is at offsets %d and %d", l.ix.name(l.p.id), s.Record, low, high),
				[]history.Event{l.ix.sendEvent(si), l.ix.readEvent(seen.lowRead), l.ix.readEvent(seen.highRead)}
		})
	}
}

// lookups pins the lengths that clients were told.
func (l *logLine) lookups() {
	ix := l.ix
	at := func(op history.OpID, end history.Offset, invoked, completed history.Instant) {
		if end < 0 {
			l.f.add(func() (string, []history.Event) {
				return fmt.Sprintf("%s was told to end at offset %d", ix.name(l.p.id), end), []history.Event{ix.h.Event(op)}
			})
			return
		}
		l.pins = append(l.pins, pin{rank: latestRank(end), invoked: invoked, completed: completed, readBy: history.Never, op: op, reader: -1})
	}
	for _, i := range l.p.lists {
		a := &ix.h.ListOffsets[i]
		if a.Query == history.Latest && !(ix.d.Transactions && a.Isolation == history.ReadCommitted) {
			at(a.Op, a.Offset, a.Invoked, a.Completed)
		}
	}
	for _, i := range l.p.backs {
		b := &ix.h.ReadBacks[i]
		at(b.Op, b.LogEnd, b.Invoked, b.Completed)
	}
	for _, i := range l.p.polls {
		p := &ix.h.Polls[i]
		if p.End != history.NoOffset && !(ix.d.Transactions && p.Isolation == history.ReadCommitted) {
			at(p.Op, p.End, p.Invoked, p.Completed)
		}
	}
}

// inRealTime complains about each operation that was over before one began that
// is lower on the line.
func (l *logLine) inRealTime() {
	var latest, sameRank *pin // the latest invocation strictly below, and so far at this rank
	later := func(a, b *pin) *pin {
		if a == nil || (b != nil && b.invoked > a.invoked) {
			return b
		}
		return a
	}
	for i := range l.pins {
		n := &l.pins[i]
		if i > 0 && n.rank != l.pins[i-1].rank {
			latest, sameRank = later(latest, sameRank), nil
		}
		sameRank = later(sameRank, n)
		switch {
		case latest != nil && n.completed < latest.invoked:
			l.tooEarly(n, latest)
		case n.readBy < later(latest, n).invoked:
			l.readTooEarly(n, later(latest, n))
		}
	}
}

func (l *logLine) tooEarly(n, lower *pin) {
	l.f.add(func() (string, []history.Event) {
		return fmt.Sprintf("%s %s was over at %v, but %s began only at %v", l.ix.name(l.p.id), n.describe(), n.completed, lower.describe(), lower.invoked),
			l.events(n, lower)
	})
}

func (l *logLine) readTooEarly(n, lower *pin) {
	l.f.add(func() (string, []history.Event) {
		events := append([]history.Event{l.ix.pollEvent(n.reader)}, l.events(n)...)
		if n != lower {
			events = append(events, l.events(lower)...)
		}
		return fmt.Sprintf("%s offset %d was read by %v, but %s began only at %v", l.ix.name(l.p.id), n.offset(), n.readBy, lower.describe(), lower.invoked), events
	})
}

func (n *pin) describe() string {
	if n.rank%2 == 0 {
		return fmt.Sprintf("the lookup that told the log ends at %d", n.offset())
	}
	return fmt.Sprintf("the append at offset %d", n.offset())
}

func (l *logLine) events(pins ...*pin) []history.Event {
	var events []history.Event
	for _, n := range pins {
		if n.op != unknownOp {
			events = append(events, l.ix.h.Event(n.op))
		}
	}
	return events
}

// fillGaps complains about the first offset for which no send is left.
func (l *logLine) fillGaps() {
	deadlines := make([]history.Instant, len(l.pins)+1) // by pin: the earliest deadline at or above it
	deadlines[len(l.pins)] = history.Never
	for i := len(l.pins) - 1; i >= 0; i-- {
		deadlines[i] = min(deadlines[i+1], l.pins[i].deadline())
	}
	free, always := l.unplaced()
	known := l.p.begins // everything below is accounted for
	for i := range l.pins {
		n := &l.pins[i]
		for ; known < n.offset() && (always == history.Never || deadlines[i] < always); known++ {
			if len(free) == 0 || free[0] > deadlines[i] {
				l.nobodyLeft(known, n)
				return
			}
			free = free[1:]
		}
		known = max(known, n.offset())
		if n.rank%2 == 1 && known == n.offset() && known != history.Unbounded {
			known++
		}
	}
}

// unplaced returns the invocations, sorted, of the sends that may be at an offset
// nothing is known about, once each; and from when on there is a send that may be
// at any number of them, or Never.
func (l *logLine) unplaced() (once []history.Instant, always history.Instant) {
	always = history.Never
	for _, si := range l.p.sends {
		s := &l.ix.h.Sends[si]
		if s.Outcome == history.Failed {
			continue
		}
		if s.Delivery != history.Idempotent {
			always = min(always, s.Invoked)
		} else if low, _ := places(l.ix, si); low == history.NoOffset {
			once = append(once, s.Invoked)
		}
	}
	slices.Sort(once)
	return once, always
}

func (l *logLine) nobodyLeft(at history.Offset, above *pin) {
	l.f.add(func() (string, []history.Event) {
		events := l.events(above)
		if above.reader >= 0 {
			events = append(events, l.ix.pollEvent(above.reader))
		}
		return fmt.Sprintf("%s offset %d lies below %s, but no send is left that could be there", l.ix.name(l.p.id), at, above.describe()), events
	})
}
