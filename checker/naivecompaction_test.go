package checker

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/history"
)

// passes says whether a poll passed an offset of a partition.
func passes(p *history.Poll, id history.PartitionID, o history.Offset) bool {
	return p.Outcome == history.OK && p.Partition == id && p.Before <= o && o < p.After
}

func (n naive) returns(p *history.Poll, o history.Offset) bool {
	return slices.ContainsFunc(n.h.Records(p), func(r history.Read) bool { return r.Offset == o })
}

// offsetsRead returns the offsets of a partition at which anybody read anything.
func (n naive) offsetsRead(id history.PartitionID) []history.Offset {
	var out []history.Offset
	for _, o := range n.observed() {
		if o.poll.Partition == id {
			out = append(out, o.Offset)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// firstRead returns the send whose record was read first at an offset, if
// anybody sent it, and when the first poll that read there was over.
func (n naive) firstRead(id history.PartitionID, at history.Offset) (send *history.Send, over history.Instant) {
	over = history.Never
	first := true
	for _, o := range n.observed() {
		if o.poll.Partition != id || o.Offset != at {
			continue
		}
		if first {
			send = n.sentAs(o)
		}
		first = false
		over = min(over, o.poll.Completed)
	}
	return send, over
}

func (n naive) sentAs(o observed) *history.Send {
	for i := range n.h.Sends {
		if s := &n.h.Sends[i]; s.Record == o.Record && s.Partition == o.poll.Partition {
			return s
		}
	}
	return nil
}

func (n naive) readCommittedOnly() int {
	bad := 0
	for id := range n.h.Partitions {
		for _, o := range n.offsetsRead(history.PartitionID(id)) {
			bad += count(n.vanished(history.PartitionID(id), o))
		}
	}
	return bad
}

func (n naive) vanished(id history.PartitionID, o history.Offset) bool {
	send, over := n.firstRead(id, o)
	mayGo := n.d.Compaction && (send == nil || n.compacted(send, o))
	for i := range n.h.ReadBacks {
		b := &n.h.ReadBacks[i]
		if b.Outcome != history.OK || b.Partition != id || over >= b.Invoked {
			continue
		}
		if o >= b.LogEnd || o < b.LogStart && o >= n.mayGo(id) && !mayGo {
			return true
		}
	}
	for i := range n.h.Polls {
		p := &n.h.Polls[i]
		if passes(p, id, o) && !n.returns(p, o) && over < p.Invoked && !mayGo && n.forThem(p, o) {
			return true
		}
	}
	return false
}

// forThem says whether a poll may see what was read at an offset.
func (n naive) forThem(p *history.Poll, at history.Offset) bool {
	if !n.d.Transactions || p.Isolation == history.ReadUncommitted {
		return true
	}
	return slices.ContainsFunc(n.observed(), func(o observed) bool {
		return o.poll.Partition == p.Partition && o.Offset == at && o.poll.Isolation == history.ReadCommitted
	})
}

// A standing is a record known to have been at an offset.
type standing struct {
	offset history.Offset
	send   *history.Send
	acked  bool
	known  history.Instant
}

func (n naive) standings(id history.PartitionID) []standing {
	offsets := n.offsetsRead(id)
	for i := range n.h.Sends {
		if s := &n.h.Sends[i]; s.Partition == id && s.Offset >= 0 && n.keeps(s) {
			offsets = append(offsets, s.Offset)
		}
	}
	slices.Sort(offsets)
	var out []standing
	for _, o := range slices.Compact(offsets) {
		x := standing{offset: o}
		x.send, x.known = n.firstRead(id, o)
		for i := range n.h.Sends {
			if s := &n.h.Sends[i]; s.Partition == id && s.Offset == o && n.keeps(s) && !x.acked {
				x.acked, x.send, x.known = true, s, min(x.known, s.Completed)
			}
		}
		if x.send != nil {
			out = append(out, x)
		}
	}
	return out
}

func (n naive) compactedState() int {
	bad := 0
	for i := range n.h.Partitions {
		id := history.PartitionID(i)
		for _, x := range n.standings(id) {
			for k := range n.h.ReadBacks {
				if b := &n.h.ReadBacks[k]; b.Outcome == history.OK && b.Partition == id {
					bad += count(n.lastMissing(id, x, b))
				}
			}
			young, early := n.goneEarly(id, x)
			bad += count(young) + count(early) + count(n.broughtBack(id, x))
		}
	}
	return bad
}

// last returns the highest offset known of the key of a send, and whether a
// record of that key may have been anywhere and gone.
func (n naive) last(s *history.Send) (o history.Offset, unseen bool) {
	o = history.NoOffset
	for i := range n.h.Sends {
		t := &n.h.Sends[i]
		if t.Partition != s.Partition || t.Key != s.Key {
			continue
		}
		unseen = unseen || n.unseen(t)
		if t.Outcome == history.OK {
			o = max(o, t.Offset)
		}
		for _, at := range n.readAt(t) {
			o = max(o, at)
		}
	}
	return o, unseen
}

func (n naive) lastMissing(id history.PartitionID, x standing, b *history.ReadBack) bool {
	last, unseen := n.last(x.send)
	if last != x.offset || unseen || x.send.Tombstone || x.known >= b.Invoked || !n.readAll(b) {
		return false
	}
	if x.offset < b.LogStart && x.offset < n.mayGo(id) {
		return false
	}
	for _, o := range n.observed() {
		p := o.poll
		if p.Partition == id && p.Final && p.Client == b.Client && p.Invoked >= b.Invoked && p.Completed <= b.Completed && o.Offset >= x.offset {
			if s := n.sentAs(o); s != nil && s.Key == x.send.Key {
				return false
			}
		}
	}
	return true
}

// counted says whether a poll is for compacted-state to look at.
func (n naive) counted(p *history.Poll) bool {
	return !n.d.Transactions || p.Isolation == history.ReadUncommitted
}

func (n naive) goneEarly(id history.PartitionID, x standing) (young, early bool) {
	last, unseen := n.last(x.send)
	for i := range n.h.Polls {
		p := &n.h.Polls[i]
		if !x.acked || !passes(p, id, x.offset) || !n.counted(p) || n.returns(p, x.offset) {
			continue
		}
		if n.d.DeleteRetention > 0 && x.send.Tombstone && !unseen && last <= x.offset && p.Completed < x.send.Invoked+history.Instant(n.d.DeleteRetention) {
			early = true
		}
		now := n.d.WallZero + history.Timestamp(p.Completed/history.Instant(time.Millisecond))
		if n.d.MinCompactionLag > 0 && x.send.Timestamp != history.NoTimestamp && now < x.send.Timestamp+history.Timestamp(n.d.MinCompactionLag/time.Millisecond) {
			young = true
		}
	}
	return young, early
}

func (n naive) broughtBack(id history.PartitionID, tomb standing) bool {
	if last, another := n.last(tomb.send); !tomb.send.Tombstone || another || last > tomb.offset {
		return false
	}
	elected := slices.ContainsFunc(n.h.Marks, func(m history.Mark) bool {
		return m.Partition == id && (m.Kind == history.Election || m.Kind == history.UncleanLeader)
	})
	if n.d.Leaders && (elected || !n.d.Marked) {
		return false
	}
	for _, old := range n.standings(id) {
		if old.offset >= tomb.offset || old.send.Tombstone || old.send.Key != tomb.send.Key {
			continue
		}
		for i := range n.h.Polls {
			for k := range n.h.Polls {
				without, with := &n.h.Polls[i], &n.h.Polls[k]
				if n.counted(without) && n.counted(with) && (without.Final || !n.d.Followers) && passes(without, id, tomb.offset) && !n.returns(without, tomb.offset) &&
					without.Invoked > tomb.known && passes(with, id, old.offset) && n.returns(with, old.offset) && n.readBackAfter(with, without.Completed) {
					return true
				}
			}
		}
	}
	return false
}

// readBackAfter says whether a poll belongs to a read-back that began after a time.
func (n naive) readBackAfter(p *history.Poll, t history.Instant) bool {
	return slices.ContainsFunc(n.h.ReadBacks, func(b history.ReadBack) bool {
		return b.Outcome == history.OK && b.Partition == p.Partition && b.Client == p.Client && p.Final &&
			p.Invoked >= b.Invoked && p.Completed <= b.Completed && b.Invoked > t
	})
}
