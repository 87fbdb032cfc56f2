package checker

import (
	"fmt"

	"github.com/klammlog/klamm/checker/history"
)

// judgeReadCommittedOnly: nothing above the high watermark is ever served. What is
// committed stays, so what was served must stay: a violation is an offset at which
// a record was read, if afterwards
//
//   - a poll passed it and returned no record there, unless compaction may have
//     taken it; or
//   - a read-back found that the log ends at or below it, or starts above it
//     though the prefix was not permitted to go.
//
// Afterwards means begun when the first of the polls that read there was over.
// With transactions a read_committed poll must return only what another one read.
func judgeReadCommittedOnly(ix *index, f *findings) {
	f.unasked = "nobody read anything"
	ix.judged(func(p *part) {
		c := committedReads{ix: ix, p: p, gone: make([]witness, len(p.slots))}
		for _, bi := range p.backs {
			c.readBack(&ix.h.ReadBacks[bi])
		}
		for _, pi := range p.polls {
			c.poll(&ix.h.Polls[pi])
		}
		c.report(f)
	})
}

// committedReads is the search for records that were read and went.
type committedReads struct {
	ix   *index
	p    *part
	gone []witness // by slot
}

// since returns when a slot's record had been read.
func (c *committedReads) since(s *slot) history.Instant { return c.ix.h.Polls[s.early].Completed }

func (c *committedReads) readBack(b *history.ReadBack) {
	for i := range c.p.slots {
		s := &c.p.slots[i]
		switch {
		case c.since(s) >= b.Invoked:
		case s.offset >= b.LogEnd:
			c.gone[i] = witness{b.Op, fmt.Sprintf("the log ended at offset %d", b.LogEnd)}
		case s.offset < b.LogStart && s.offset >= c.p.mayGo && !compacted(c.ix, s):
			c.gone[i] = witness{b.Op, fmt.Sprintf("the log started at offset %d", b.LogStart)}
		}
	}
}

func (c *committedReads) poll(poll *history.Poll) {
	records := sortedRecords(c.ix.h, poll)
	for i := slotFrom(c.p.slots, poll.Before); i < len(c.p.slots) && c.p.slots[i].offset < poll.After; i++ {
		s := &c.p.slots[i]
		for len(records) > 0 && records[0].Offset < s.offset {
			records = records[1:]
		}
		if len(records) > 0 && records[0].Offset == s.offset {
			continue
		}
		if c.since(s) < poll.Invoked && visible(c.ix, s, poll) && !compacted(c.ix, s) {
			c.gone[i] = witness{poll.Op, fmt.Sprintf("%s passed it and found nothing", c.ix.h.Clients[poll.Client])}
		}
	}
}

func (c *committedReads) report(f *findings) {
	for i, w := range c.gone {
		f.checked++
		if w.why == "" {
			continue
		}
		s := &c.p.slots[i]
		f.add(func() (string, []history.Event) {
			reader := &c.ix.h.Polls[s.early]
			return fmt.Sprintf("%s offset %d was read by %s at %v, and later %s", c.ix.name(c.p.id), s.offset,
					c.ix.h.Clients[reader.Client], reader.Completed, w.why),
				[]history.Event{c.ix.readEvent(s.first), c.ix.h.Event(w.op)}
		})
	}
}
