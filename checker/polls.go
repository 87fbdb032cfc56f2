package checker

import (
	"fmt"

	"github.com/klammlog/klamm/checker/history"
)

// judgeMonotonicPoll: one consumer, without reassignment, reads offsets in order.
// A violation is a poll that returned records out of order or outside the
// offsets it passed, or that passed or returned an offset that an earlier poll of
// the same generation had passed or returned already. It holds for every run.
func judgeMonotonicPoll(ix *index, f *findings) {
	ix.judged(func(p *part) {
		for _, stream := range p.streams {
			floor, last := history.NoOffset, int32(-1)
			for _, pi := range stream {
				f.checked++
				poll := &ix.h.Polls[pi]
				top, why := pollInOrder(ix.h, poll)
				if why == "" && last >= 0 && poll.Before < floor {
					why = fmt.Sprintf("went back to offset %d from offset %d", poll.Before, floor)
				}
				if why != "" {
					backward(ix, pi, last, why, f)
				}
				if top >= floor || last < 0 {
					floor, last = top, pi
				}
			}
		}
	})
}

// pollInOrder returns the offset that polls after this one must not go below, and
// what is wrong with this one by itself, or "".
func pollInOrder(h *history.History, p *history.Poll) (top history.Offset, why string) {
	top = max(p.Before, p.After)
	if p.After < p.Before {
		why = fmt.Sprintf("went back to offset %d from offset %d", p.After, p.Before)
	}
	records := h.Records(p)
	for i := range records {
		o := records[i].Offset
		switch {
		case i > 0 && o <= records[i-1].Offset:
			why = fmt.Sprintf("returned offset %d after offset %d", o, records[i-1].Offset)
		case o < p.Before || o >= p.After:
			why = fmt.Sprintf("returned offset %d while moving from %d to %d", o, p.Before, p.After)
		}
		if o != history.Unbounded {
			top = max(top, o+1)
		}
	}
	return top, why
}

func backward(ix *index, poll, last int32, why string, f *findings) {
	f.add(func() (string, []history.Event) {
		p := &ix.h.Polls[poll]
		events := []history.Event{ix.pollEvent(poll)}
		if last >= 0 {
			events = []history.Event{ix.pollEvent(last), ix.pollEvent(poll)}
		}
		return fmt.Sprintf("%s: the poll of %s at %v %s", ix.name(p.Partition), ix.h.Clients[p.Client], p.Completed, why), events
	})
}

// judgeNoPollSkip: one consumer, without reassignment, reads offsets without gaps.
// The offsets a poll must return are those it passed, and those between the end
// of the poll before it and its beginning. A violation is a poll that did not
// return them all.
//
// With compaction or transactions an offset may be nobody's: then only those
// count at which somebody who sees no more than this consumer read a record that
// compaction may not have taken. It holds for every run.
func judgeNoPollSkip(ix *index, f *findings) {
	ix.judged(func(p *part) {
		for _, stream := range p.streams {
			for i, pi := range stream {
				f.checked++
				poll := &ix.h.Polls[pi]
				from := poll.Before
				if i > 0 {
					from = min(from, ix.h.Polls[stream[i-1]].After)
				}
				if at, ok := firstSkipped(ix, p, poll, from); ok {
					skipped(ix, stream[max(i-1, 0)], pi, at, f)
				}
			}
		}
	})
}

// firstSkipped returns the first offset that the poll, which must have begun at
// from, should have returned.
func firstSkipped(ix *index, p *part, poll *history.Poll, from history.Offset) (history.Offset, bool) {
	records := sortedRecords(ix.h, poll)
	if !ix.d.sparse() {
		at := from
		for i := range records {
			if records[i].Offset > at {
				break
			}
			if records[i].Offset == at {
				at++
			}
		}
		return at, at < poll.After
	}
	for i := slotFrom(p.slots, from); i < len(p.slots) && p.slots[i].offset < poll.After; i++ {
		s := &p.slots[i]
		for len(records) > 0 && records[0].Offset < s.offset {
			records = records[1:]
		}
		if len(records) > 0 && records[0].Offset == s.offset {
			continue
		}
		if visible(ix, s, poll) && !compacted(ix, s) {
			return s.offset, true
		}
	}
	return 0, false
}

// visible reports whether what was read in the slot is for this poll to see.
func visible(ix *index, s *slot, poll *history.Poll) bool {
	return !ix.d.Transactions || poll.Isolation == history.ReadUncommitted || s.committed
}

// compacted reports whether compaction may have emptied the slot. Where records can
// be lost, the one that was read may have made room for another that nobody saw.
func compacted(ix *index, s *slot) bool {
	if ix.fates == nil {
		return false
	}
	if ix.d.loss() != "" {
		return true
	}
	send := ix.sendOf[s.first.read]
	return send < 0 || ix.fates.mayGoAt(&ix.h.Sends[send], s.offset)
}

func skipped(ix *index, before, poll int32, at history.Offset, f *findings) {
	f.add(func() (string, []history.Event) {
		p := &ix.h.Polls[poll]
		events := []history.Event{ix.pollEvent(poll)}
		if before != poll {
			events = []history.Event{ix.pollEvent(before), ix.pollEvent(poll)}
		}
		if s := slotAt(ix.parts[p.Partition].slots, at); s != nil {
			events = append(events, ix.readEvent(s.first))
		}
		return fmt.Sprintf("%s offset %d skipped by %s in its poll at %v, which went on to offset %d", ix.name(p.Partition), at,
			ix.h.Clients[p.Client], p.Completed, p.After), events
	})
}
