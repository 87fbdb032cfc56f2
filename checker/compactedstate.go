package checker

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/checker/history"
)

// judgeCompactedState: who reads a compacted partition from its start to its end
// sees each key's last record, or nothing of a key that was deleted. A violation is
//
//   - a complete read-back without a key's last record or a later one of that
//     key, though that record was acknowledged, or read, before it began, is no
//     tombstone, and nothing of its key can have come later and gone unseen;
//   - a tombstone that a poll passed and did not return within
//     delete.retention.ms of its being sent, though it is the last record of its
//     key;
//   - a record that a poll passed and did not return although its timestamp was
//     younger than min.compaction.lag.ms;
//   - a record, no tombstone, that a read-back showed at a lower offset than a
//     tombstone which is the last record of its key, when a poll that was over
//     before, and that began when the tombstone was known, had shown that it is
//     gone: a deleted key has come back. (Other readers may have had it in
//     memory since earlier.) Only of a partition that has one leader for ever, and
//     only if both were shown by that leader's log: where followers answer polls, one
//     read-back is held against another.
//
// With transactions only read_uncommitted polls count.
func judgeCompactedState(ix *index, f *findings) {
	ix.judged(func(p *part) {
		c := compactedPart{ix: ix, p: p}
		c.collect()
		for _, pi := range p.polls {
			if poll := &ix.h.Polls[pi]; !ix.d.Transactions || poll.Isolation == history.ReadUncommitted {
				c.poll(poll)
			}
		}
		f.checked += len(c.spots)
		c.lastRecords(f)
		for i := range c.spots {
			c.tombstoneGone(&c.spots[i], f)
			c.youngGone(&c.spots[i], f)
		}
		c.broughtBack(f)
	})
}

// waivedCompaction waives what only compaction can break.
func waivedCompaction(d *Demands) string {
	if !d.Compaction {
		return "nothing is compacted"
	}
	return d.loss()
}

// A spot is an offset at which a record is known to have been, and what polls
// showed of it.
type spot struct {
	offset history.Offset
	send   int32           // whose record it is, or -1
	acked  bool            // its acknowledgement promised it to stay there
	known  history.Instant // since then

	absent  history.Instant // the earliest end of a poll that passed it, or Never
	without history.OpID    // that poll
	gone    history.Instant // likewise, of polls of the leader's log that began after known
	goneOp  history.OpID
	read    history.Instant // the latest beginning of a read-back that showed a record there, or -1
	readOp  history.OpID    // its poll
}

// compactedPart is the evidence about one partition.
type compactedPart struct {
	ix    *index
	p     *part
	spots []spot // by offset
}

// collect makes the spots: of what was read, and of what was acknowledged.
func (c *compactedPart) collect() {
	slots, acked := c.p.slots, c.p.acked
	for len(slots) > 0 || len(acked) > 0 {
		s := spot{offset: history.Unbounded, send: -1, known: history.Never, absent: history.Never, gone: history.Never, read: -1}
		if len(slots) > 0 {
			s.offset = slots[0].offset
		}
		if len(acked) > 0 {
			s.offset = min(s.offset, c.ix.h.Sends[acked[0]].Offset)
		}
		if len(slots) > 0 && slots[0].offset == s.offset {
			s.send, s.known = c.ix.sendOf[slots[0].first.read], c.ix.h.Polls[slots[0].early].Completed
			slots = slots[1:]
		}
		for len(acked) > 0 && c.ix.h.Sends[acked[0]].Offset == s.offset {
			if !s.acked {
				s.send, s.acked = acked[0], true
				s.known = min(s.known, c.ix.h.Sends[acked[0]].Completed)
			}
			acked = acked[1:]
		}
		c.spots = append(c.spots, s)
	}
}

// poll notes what one poll shows.
func (c *compactedPart) poll(poll *history.Poll) {
	records, began := sortedRecords(c.ix.h, poll), c.began(poll)
	leaders := poll.Final || !c.ix.d.Followers // it shows the log that read-backs show
	for i := c.from(poll.Before); i < len(c.spots) && c.spots[i].offset < poll.After; i++ {
		s := &c.spots[i]
		for len(records) > 0 && records[0].Offset < s.offset {
			records = records[1:]
		}
		switch {
		case len(records) > 0 && records[0].Offset == s.offset:
			if began > s.read {
				s.read, s.readOp = began, poll.Op
			}
			continue
		case poll.Completed < s.absent:
			s.absent, s.without = poll.Completed, poll.Op
		}
		if leaders && poll.Invoked > s.known && poll.Completed < s.gone {
			s.gone, s.goneOp = poll.Completed, poll.Op
		}
	}
}

// began returns when the read-back began that a poll belongs to, or -1.
func (c *compactedPart) began(poll *history.Poll) history.Instant {
	began := history.Instant(-1)
	for _, bi := range c.p.backs {
		b := &c.ix.h.ReadBacks[bi]
		if poll.Final && poll.Client == b.Client && poll.Invoked >= b.Invoked && poll.Completed <= b.Completed {
			began = max(began, b.Invoked)
		}
	}
	return began
}

// from returns the first spot at or above an offset.
func (c *compactedPart) from(o history.Offset) int {
	low, high := 0, len(c.spots)
	for low < high {
		if mid := (low + high) / 2; c.spots[mid].offset < o {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// fate returns what is known about the key of a spot's record; ok is false if
// nobody sent it.
func (c *compactedPart) fate(s *spot) (fate keyFate, ok bool) {
	if s.send < 0 {
		return keyFate{}, false
	}
	return c.ix.fates[partKey{c.p.id, c.ix.h.Sends[s.send].Key}], true
}

// lastRecords looks for the last record of each key in each complete read-back.
func (c *compactedPart) lastRecords(f *findings) {
	for _, bi := range c.p.backs {
		b := &c.ix.h.ReadBacks[bi]
		if !complete(c.ix, c.p, b) {
			continue
		}
		found := c.latestByKey(b)
		for i := range c.spots {
			s := &c.spots[i]
			fate, ok := c.fate(s)
			if !ok || fate.last != s.offset || fate.unseen || c.ix.h.Sends[s.send].Tombstone || s.known >= b.Invoked {
				continue
			}
			if s.offset < b.LogStart && s.offset < c.p.mayGo {
				continue
			}
			f.checked++
			if at, ok := found[c.ix.h.Sends[s.send].Key]; !ok || at < s.offset {
				c.lastMissing(s, b, f)
			}
		}
	}
}

// latestByKey returns the highest offset at which a read-back showed each key.
func (c *compactedPart) latestByKey(b *history.ReadBack) map[history.Digest]history.Offset {
	found := map[history.Digest]history.Offset{}
	for _, pi := range c.p.polls {
		poll := &c.ix.h.Polls[pi]
		if !poll.Final || poll.Client != b.Client || poll.Invoked < b.Invoked || poll.Completed > b.Completed {
			continue
		}
		first := c.ix.h.FirstRead(poll)
		for k, r := range c.ix.h.Records(poll) {
			if send := c.ix.sendOf[first+k]; send >= 0 {
				key := c.ix.h.Sends[send].Key
				if at, ok := found[key]; !ok || r.Offset > at {
					found[key] = r.Offset
				}
			}
		}
	}
	return found
}

func (c *compactedPart) lastMissing(s *spot, b *history.ReadBack, f *findings) {
	f.add(func() (string, []history.Event) {
		return fmt.Sprintf("%s offset %d holds the last record of its key, and nothing so late of that key was read back by %v",
				c.ix.name(c.p.id), s.offset, b.Completed),
			[]history.Event{c.ix.sendEvent(s.send), c.ix.h.Event(b.Op)}
	})
}

// tombstoneGone complains about a tombstone that went before delete.retention.ms.
func (c *compactedPart) tombstoneGone(s *spot, f *findings) {
	fate, ok := c.fate(s)
	if !ok || !s.acked || fate.unseen || fate.last > s.offset || c.ix.d.DeleteRetention <= 0 {
		return
	}
	send := &c.ix.h.Sends[s.send]
	if !send.Tombstone || s.absent == history.Never || s.absent >= send.Invoked+history.Instant(c.ix.d.DeleteRetention) {
		return
	}
	f.add(func() (string, []history.Event) {
		return fmt.Sprintf("%s offset %d: the tombstone sent at %v was gone at %v, before %v had passed", c.ix.name(c.p.id), s.offset,
				send.Invoked, s.absent, c.ix.d.DeleteRetention),
			[]history.Event{c.ix.sendEvent(s.send), c.ix.h.Event(s.without)}
	})
}

// youngGone complains about a record that went before min.compaction.lag.ms.
func (c *compactedPart) youngGone(s *spot, f *findings) {
	if !s.acked || s.absent == history.Never || c.ix.d.MinCompactionLag <= 0 {
		return
	}
	send := &c.ix.h.Sends[s.send]
	wall := c.ix.d.WallZero + history.Timestamp(int64(s.absent)/int64(time.Millisecond))
	if send.Timestamp == history.NoTimestamp || wall >= send.Timestamp+history.Timestamp(c.ix.d.MinCompactionLag.Milliseconds()) {
		return
	}
	f.add(func() (string, []history.Event) {
		return fmt.Sprintf("%s offset %d: the record of timestamp %d was gone at %v, when clocks showed %d, before %v had passed",
				c.ix.name(c.p.id), s.offset, send.Timestamp, s.absent, wall, c.ix.d.MinCompactionLag),
			[]history.Event{c.ix.sendEvent(s.send), c.ix.h.Event(s.without)}
	})
}

// broughtBack complains about deleted keys that came back. Another leader may show them
// once more, because it has compacted less, or because it was away for longer than the
// tombstone stayed and never got it.
func (c *compactedPart) broughtBack(f *findings) {
	if c.ix.d.Leaders && (!c.ix.d.Marked || c.p.elected) {
		return
	}
	latest := map[history.Digest]*spot{} // by key, below the spot at hand: the one read last
	for i := range c.spots {
		s := &c.spots[i]
		fate, ok := c.fate(s)
		if !ok {
			continue
		}
		send := &c.ix.h.Sends[s.send]
		old := latest[send.Key]
		switch {
		case !send.Tombstone:
			if old == nil || s.read > old.read {
				latest[send.Key] = s
			}
		case old != nil && old.read > s.gone && fate.last <= s.offset && !fate.unseen:
			c.back(old, s, f)
		}
	}
}

func (c *compactedPart) back(old, tombstone *spot, f *findings) {
	f.add(func() (string, []history.Event) {
		return fmt.Sprintf("%s offset %d was read back from %v on, though the tombstone at offset %d that deletes its key was gone at %v",
				c.ix.name(c.p.id), old.offset, old.read, tombstone.offset, tombstone.gone),
			[]history.Event{c.ix.sendEvent(old.send), c.ix.sendEvent(tombstone.send), c.ix.h.Event(tombstone.goneOp), c.ix.h.Event(old.readOp)}
	})
}
