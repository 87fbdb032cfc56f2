package checker

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// judgeNoLostAck: an acknowledged record is read by everyone who reads past its
// offset, at the end of the run too. It looks at the sends whose
// acknowledgement promised the record to stay (Demands: acks=all; acks=1 while
// there is one leader; acks=0 never). Such a send is lost if
//
//   - a poll passed its offset and did not return its record, unless compaction
//     may have taken it; with transactions only read_uncommitted polls count; or
//   - a read-back that began after the acknowledgement found that the log ends at
//     or below its offset, or starts above it though the prefix was not
//     permitted to go; or
//   - the acknowledgement told no offset, a complete read-back from the first
//     offset on began after it, and nobody ever read the record.
//
// A send that is not lost but that no complete read-back began after leaves the
// verdict inconclusive.
func judgeNoLostAck(ix *index, f *findings) {
	f.unasked = "no send asked for an acknowledgement that promises anything"
	ix.judged(func(p *part) {
		l := newLostAcks(ix, ix.withLeaders(p))
		l.readBacks()
		l.polls()
		l.report(f)
		l.placeless(f)
	})
}

// A lostAcks is the search for lost acknowledgements in one partition.
type lostAcks struct {
	ix    *index
	p     *part
	fates keyFates

	afterwards bool // only polls that began after the acknowledgement count: offsets may have been filled again

	lost []witness // by place in p.acked
	next []int32   // by place in p.acked: it, or a place beyond the lost ones (union-find)

	confirmed history.Instant // acknowledgements before it were read back
	whole     history.Instant // and so were those without an offset, of a log that never lost its start
}

func newLostAcks(ix *index, p *part) *lostAcks {
	l := &lostAcks{ix: ix, p: p, fates: ix.fates, lost: make([]witness, len(p.acked)), next: make([]int32, len(p.acked)+1)}
	for i := range l.next {
		l.next[i] = int32(i)
	}
	return l
}

// withLeaders returns the partition with the sends that only a leader had when it
// acknowledged them, if it is known that nobody else was elected: they were not
// committed, but must come to stay.
func (ix *index) withLeaders(p *part) *part {
	if !ix.d.Leaders || !ix.d.Marked || p.elected || !ix.d.leaderKeeps() {
		return p
	}
	q := *p
	q.acked = nil
	for _, s := range p.sends {
		if x := &ix.h.Sends[s]; x.Outcome == history.OK && x.Acks != history.AcksNone && x.Offset >= 0 {
			q.acked = append(q.acked, s)
		}
	}
	ix.sortAcked(&q)
	return &q
}

// A witness is the operation that shows a loss. The zero value is none.
type witness struct {
	op  history.OpID
	why string
}

// readBacks looks at what was found at the end.
func (l *lostAcks) readBacks() {
	l.confirmed, l.whole = -1, -1
	for _, bi := range l.p.backs {
		b := &l.ix.h.ReadBacks[bi]
		if complete(l.ix, l.p, b) {
			l.confirmed = max(l.confirmed, b.Invoked)
			if b.LogStart <= l.p.begins {
				l.whole = max(l.whole, b.Invoked)
			}
		}
		l.beyond(b, l.p.acknowledged(b.LogEnd), len(l.p.acked))
		l.beyond(b, 0, l.p.acknowledged(b.LogStart))
	}
}

// beyond looks at the acknowledged sends of places i up to end, whose offsets the
// log does not have any more.
func (l *lostAcks) beyond(b *history.ReadBack, i, end int) {
	for i = l.from(i); i < end; i = l.from(i + 1) {
		s := &l.ix.h.Sends[l.p.acked[i]]
		switch {
		case s.Completed >= b.Invoked:
		case s.Offset >= b.LogEnd:
			l.lose(i, witness{b.Op, fmt.Sprintf("absent at the end: the log ends at offset %d", b.LogEnd)})
		case s.Offset >= l.p.mayGo && !l.fates.mayGo(s):
			l.lose(i, witness{b.Op, fmt.Sprintf("absent at the end: the log starts at offset %d", b.LogStart)})
		}
	}
}

// polls looks at the polls that passed acknowledged offsets, the final ones
// first: what they show is the clearer evidence.
func (l *lostAcks) polls() {
	for _, final := range []int{1, 0} {
		for _, pi := range l.p.polls {
			poll := &l.ix.h.Polls[pi]
			hidden := l.ix.d.Transactions && poll.Isolation == history.ReadCommitted
			if count(poll.Final) == final && !hidden {
				l.passed(poll)
			}
		}
	}
}

// passed looks at one poll. Lost sends are skipped, so that all polls together
// cost as much as there are records and sends.
func (l *lostAcks) passed(poll *history.Poll) {
	records := sortedRecords(l.ix.h, poll)
	for i := l.from(l.p.acknowledged(poll.Before)); i < len(l.p.acked); i = l.from(i + 1) {
		if l.p.ackedAt[i] >= poll.After {
			return
		}
		s := &l.ix.h.Sends[l.p.acked[i]]
		for len(records) > 0 && records[0].Offset < s.Offset {
			records = records[1:]
		}
		if holds(records, s) || l.fates.mayGo(s) || l.afterwards && poll.Invoked <= s.Completed {
			continue
		}
		why := fmt.Sprintf("skipped by %s at %v", l.ix.h.Clients[poll.Client], poll.Completed)
		if poll.Final {
			why = "absent at the end"
		}
		l.lose(i, witness{poll.Op, why})
	}
}

// holds reports whether the records, which begin at the send's offset or above,
// contain its record there.
func holds(records []history.Read, s *history.Send) bool {
	for i := range records {
		if records[i].Offset != s.Offset {
			return false
		}
		if records[i].Record == s.Record {
			return true
		}
	}
	return false
}

// from returns the first place at or after i that is not lost.
func (l *lostAcks) from(i int) int {
	for int(l.next[i]) != i {
		l.next[i] = l.next[l.next[i]]
		i = int(l.next[i])
	}
	return i
}

func (l *lostAcks) lose(i int, w witness) {
	l.lost[i] = w
	l.next[i] = int32(i + 1)
}

func (l *lostAcks) report(f *findings) {
	open := 0
	for i, si := range l.p.acked {
		f.checked++
		s := &l.ix.h.Sends[si]
		w := l.lost[i]
		if w.why == "" {
			open += count(s.Completed >= l.confirmed)
			continue
		}
		f.add(func() (string, []history.Event) {
			events := []history.Event{l.ix.sendEvent(si), l.ix.h.Event(w.op)}
			if at := slotAt(l.p.slots, s.Offset); at != nil {
				events = append(events, l.ix.readEvent(at.first))
			}
			return fmt.Sprintf("%s offset %d acknowledged at %v, %s", l.ix.name(l.p.id), s.Offset, s.Completed, w.why), events
		})
	}
	if open > 0 && f.open == "" {
		f.open = fmt.Sprintf("%s: %d acknowledged records were not read back at the end", l.ix.name(l.p.id), open)
	}
}

// placeless judges the sends that were acknowledged without an offset.
func (l *lostAcks) placeless(f *findings) {
	for _, si := range l.p.sends {
		s := &l.ix.h.Sends[si]
		if !l.ix.d.promises(s.Acks) {
			continue
		}
		f.unasked = ""
		if s.Outcome != history.OK || s.Offset >= 0 {
			continue
		}
		f.checked++
		if s.Completed >= l.whole || l.ix.seen[si].low != history.NoOffset || l.fates.mayGo(s) {
			continue
		}
		f.add(func() (string, []history.Event) {
			return fmt.Sprintf("%s record %d acknowledged at %v, absent at the end", l.ix.name(l.p.id), s.Record, s.Completed),
				[]history.Event{l.ix.sendEvent(si)}
		})
	}
}

// complete reports whether the final polls of a read-back passed every offset it
// claims to have read.
func complete(ix *index, p *part, b *history.ReadBack) bool {
	var final []*history.Poll
	for _, pi := range p.polls {
		poll := &ix.h.Polls[pi]
		if poll.Final && poll.Client == b.Client && poll.Invoked >= b.Invoked && poll.Completed <= b.Completed {
			final = append(final, poll)
		}
	}
	slices.SortStableFunc(final, func(a, b *history.Poll) int { return cmp.Compare(a.Before, b.Before) })
	at := b.LogStart
	for _, poll := range final {
		if poll.Before > at {
			break
		}
		at = max(at, poll.After)
	}
	return at >= b.LogEnd
}

// acknowledged returns the first place in p.acked at or above an offset.
func (p *part) acknowledged(o history.Offset) int {
	i, _ := slices.BinarySearch(p.ackedAt, o)
	return i
}

// sortedRecords returns the records of a poll by offset; almost always they are.
func sortedRecords(h *history.History, p *history.Poll) []history.Read {
	records := h.Records(p)
	if !slices.IsSortedFunc(records, byOffset) {
		records = slices.Clone(records)
		slices.SortStableFunc(records, byOffset)
	}
	return records
}
