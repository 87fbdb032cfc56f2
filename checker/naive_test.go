package checker

import (
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// The definitions of the guarantees, each written as nested loops over the
// history and nothing else. They count violations as the judges' comments say.
// A naive value holds the history and the demands; partitions are those that are
// not deleted (no test deletes one here).
type naive struct {
	h *history.History
	d Demands
}

// An observed is one record as one poll returned it.
type observed struct {
	history.Read
	poll *history.Poll
}

func (n naive) observed() []observed {
	var out []observed
	for i := range n.h.Polls {
		p := &n.h.Polls[i]
		if p.Outcome == history.OK {
			for _, r := range n.h.Records(p) {
				out = append(out, observed{r, p})
			}
		}
	}
	return out
}

// mark returns the highest offset of the partition's marks of a kind, or 0.
func (n naive) mark(k history.MarkKind, p history.PartitionID) history.Offset {
	var o history.Offset
	for _, m := range n.h.Marks {
		if m.Kind == k && m.Partition == p {
			o = max(o, m.Offset)
		}
	}
	return o
}

func (n naive) mayGo(p history.PartitionID) history.Offset {
	if n.d.Retention {
		return history.Unbounded
	}
	return n.mark(history.PrefixMayGo, p)
}

// keeps says whether a send was promised to stay.
func (n naive) keeps(s *history.Send) bool { return n.d.keeps(s) }

// stays says whether a send was promised to come to stay at least.
func (n naive) stays(s *history.Send) bool {
	elected := slices.ContainsFunc(n.h.Marks, func(m history.Mark) bool {
		return m.Partition == s.Partition && (m.Kind == history.Election || m.Kind == history.UncleanLeader)
	})
	alone := n.d
	alone.Leaders = alone.Leaders && (elected || !alone.Marked || s.Offset < 0)
	return alone.keeps(s)
}

// unclean returns the unclean elections of a partition: from the mark of the
// election before to their own.
func (n naive) unclean(p history.PartitionID) []uncleanElection {
	var out []uncleanElection
	var since history.Instant
	for _, m := range n.h.Marks {
		switch {
		case m.Partition != p || !n.d.Marked:
		case m.Kind == history.Election:
			since = m.At
		case m.Kind == history.UncleanLeader:
			out = append(out, uncleanElection{since, m.At, m.Offset})
		}
	}
	return out
}

// uncleanBounded counts what is lost below the offset of every unclean election
// since it was sent.
func (n naive) uncleanBounded() int {
	promised := n
	promised.d.Unclean = false
	bad := 0
	for i := range n.h.Sends {
		s := &n.h.Sends[i]
		if s.Offset < 0 || !promised.keeps(s) || !n.lost(s, s.Completed) {
			continue
		}
		bad += count(!slices.ContainsFunc(n.unclean(s.Partition), func(u uncleanElection) bool { return u.at >= s.Invoked && u.offset <= s.Offset }))
	}
	return bad
}

// readAt returns the offsets at which the record of a send was read.
func (n naive) readAt(s *history.Send) []history.Offset {
	var out []history.Offset
	for _, o := range n.observed() {
		if o.poll.Partition == s.Partition && o.Record == s.Record {
			out = append(out, o.Offset)
		}
	}
	return out
}

func (n naive) placesOf(s *history.Send) []history.Offset {
	places := n.readAt(s)
	if n.keeps(s) && s.Offset >= 0 {
		places = append(places, s.Offset)
	}
	return places
}

// compacted says whether compaction may remove a record of s at an offset.
func (n naive) compacted(s *history.Send, at history.Offset) bool {
	if !n.d.Compaction {
		return false
	}
	if s.Tombstone {
		return true
	}
	for i := range n.h.Sends {
		t := &n.h.Sends[i]
		if t.Partition != s.Partition || t.Key != s.Key {
			continue
		}
		if n.unseen(t) {
			return true
		}
		if t.Outcome == history.OK && t.Offset > at {
			return true
		}
		for _, o := range n.readAt(t) {
			if o > at {
				return true
			}
		}
	}
	return false
}

// unseen says whether a record may have been anywhere and gone without a trace.
func (n naive) unseen(t *history.Send) bool {
	if t.Outcome == history.Failed || t.Offset >= 0 {
		return false
	}
	vanishes := n.d.loss() != "" || n.mayGo(t.Partition) > n.mark(history.LogBegins, t.Partition)
	return t.Tombstone || vanishes && len(n.readAt(t)) == 0
}

func (n naive) agreement() int {
	type spot struct {
		p     history.PartitionID
		o     history.Offset
		epoch int32
	}
	var bad []spot
	all := n.observed()
	for _, a := range all {
		for _, b := range all {
			s, t := spot{a.poll.Partition, a.Offset, 0}, spot{b.poll.Partition, b.Offset, 0}
			if n.d.Unclean {
				s.epoch, t.epoch = a.Epoch, b.Epoch
				if a.Epoch == history.NoEpoch {
					continue
				}
			}
			if s == t && (a.Record != b.Record || a.Digest != b.Digest) && !slices.Contains(bad, s) {
				bad = append(bad, s)
			}
		}
	}
	return len(bad)
}

func (n naive) noInvention() int {
	bad := 0
	for _, o := range n.observed() {
		sent, known := false, false
		for i := range n.h.Sends {
			s := &n.h.Sends[i]
			if s.Record == o.Record && s.Partition == o.poll.Partition {
				known = true
				sent = s.Digest == o.Digest && s.Invoked <= o.poll.Completed
			}
		}
		if !sent && (known || o.Offset >= n.mark(history.LogBegins, o.poll.Partition)) {
			bad++
		}
	}
	return bad
}

func (n naive) noFailedVisible() int {
	bad := 0
	for i := range n.h.Sends {
		if s := &n.h.Sends[i]; s.Outcome == history.Failed && len(n.readAt(s)) > 0 {
			bad++
		}
	}
	return bad
}

func (n naive) noLostAck() int {
	bad := 0
	for i := range n.h.Sends {
		if s := &n.h.Sends[i]; n.stays(s) && n.lost(s, -1) {
			bad++
		}
	}
	return bad
}

// lost says whether a send is lost, by polls of any time or those after it.
func (n naive) lost(s *history.Send, since history.Instant) bool {
	for i := range n.h.Polls {
		p := &n.h.Polls[i]
		if p.Partition != s.Partition || p.Outcome != history.OK || (n.d.Transactions && p.Isolation == history.ReadCommitted) {
			continue
		}
		there := slices.ContainsFunc(n.h.Records(p), func(r history.Read) bool { return r.Record == s.Record && r.Offset == s.Offset })
		if s.Offset >= 0 && p.Before <= s.Offset && s.Offset < p.After && p.Invoked > since && !there && !n.compacted(s, s.Offset) {
			return true
		}
	}
	for i := range n.h.ReadBacks {
		b := &n.h.ReadBacks[i]
		if b.Partition != s.Partition || b.Outcome != history.OK || s.Completed >= b.Invoked {
			continue
		}
		switch {
		case s.Offset >= b.LogEnd:
			return true
		case s.Offset >= 0 && s.Offset < b.LogStart && s.Offset >= n.mayGo(s.Partition) && !n.compacted(s, s.Offset):
			return true
		case s.Offset < 0 && n.readAll(b) && b.LogStart <= n.mark(history.LogBegins, b.Partition) && len(n.readAt(s)) == 0 && !n.compacted(s, s.Offset):
			return true
		}
	}
	return false
}

// readAll says whether final polls passed every offset of a read-back.
func (n naive) readAll(b *history.ReadBack) bool {
	for o := b.LogStart; o < b.LogEnd; o++ {
		passed := false
		for i := range n.h.Polls {
			p := &n.h.Polls[i]
			if p.Final && p.Outcome == history.OK && p.Client == b.Client && p.Partition == b.Partition && p.Invoked >= b.Invoked && p.Completed <= b.Completed {
				passed = passed || (p.Before <= o && o < p.After)
			}
		}
		if !passed {
			return false
		}
	}
	return true
}

func (n naive) noDuplicate() int {
	bad := 0
	for i := range n.h.Sends {
		s := &n.h.Sends[i]
		if at := n.readAt(s); s.Delivery == history.Idempotent && len(at) > 0 && slices.Min(at) != slices.Max(at) {
			bad++
		}
	}
	return bad
}

func (n naive) ackedOffsetTrue() int {
	bad := 0
	for i := range n.h.Sends {
		s := &n.h.Sends[i]
		if s.Outcome != history.OK || s.Offset < 0 || s.Acks == history.AcksNone {
			continue
		}
		wrong := false
		for _, o := range n.readAt(s) {
			wrong = wrong || (s.Delivery == history.Idempotent && n.d.loss() == "" && o != s.Offset)
		}
		if n.keeps(s) {
			for _, o := range n.observed() {
				wrong = wrong || (o.poll.Partition == s.Partition && o.Offset == s.Offset && o.Record != s.Record)
			}
			for j := range n.h.Sends[:i] {
				t := &n.h.Sends[j]
				wrong = wrong || (n.keeps(t) && t.Partition == s.Partition && t.Offset == s.Offset)
			}
		}
		bad += count(wrong)
	}
	return bad
}

func (n naive) producerOrder() int {
	bad := 0
	for i := range n.h.Sends {
		b, wrong := &n.h.Sends[i], false
		for j := range n.h.Sends {
			a := &n.h.Sends[j]
			if a.Client != b.Client || a.Incarnation != b.Incarnation || a.Partition != b.Partition || a.Seq >= b.Seq || a.Delivery != b.Delivery {
				continue
			}
			for _, y := range n.placesOf(b) {
				switch a.Delivery {
				case history.Idempotent:
					for _, x := range n.placesOf(a) {
						wrong = wrong || x > y
					}
				case history.OneInFlight:
					wrong = wrong || (n.keeps(a) && a.Offset > y)
				}
			}
		}
		bad += count(wrong)
	}
	return bad
}

// before returns the polls of the same generation before p, in time.
func (n naive) before(p *history.Poll) []*history.Poll {
	var out []*history.Poll
	for i := range n.h.Polls {
		q := &n.h.Polls[i]
		same := q.Outcome == history.OK && q.Client == p.Client && q.Incarnation == p.Incarnation && q.Generation == p.Generation && q.Partition == p.Partition
		if same && (q.Invoked < p.Invoked || (q.Invoked == p.Invoked && q.Op < p.Op)) {
			out = append(out, q)
		}
	}
	slices.SortFunc(out, func(a, b *history.Poll) int {
		if a.Invoked != b.Invoked {
			return int(a.Invoked - b.Invoked)
		}
		return int(a.Op - b.Op)
	})
	return out
}

func (n naive) monotonicPoll() int {
	bad := 0
	for i := range n.h.Polls {
		p := &n.h.Polls[i]
		if p.Outcome != history.OK {
			continue
		}
		records := n.h.Records(p)
		wrong := p.After < p.Before
		for k, r := range records {
			wrong = wrong || r.Offset < p.Before || r.Offset >= p.After || (k > 0 && r.Offset <= records[k-1].Offset)
		}
		for _, q := range n.before(p) {
			wrong = wrong || p.Before < q.After || p.Before < q.Before
			for _, r := range n.h.Records(q) {
				wrong = wrong || p.Before <= r.Offset
			}
		}
		bad += count(wrong)
	}
	return bad
}

func (n naive) noPollSkip() int {
	bad := 0
	for i := range n.h.Polls {
		p := &n.h.Polls[i]
		if p.Outcome != history.OK {
			continue
		}
		from := p.Before
		if b := n.before(p); len(b) > 0 {
			from = min(from, b[len(b)-1].After)
		}
		wrong := false
		for o := from; o < p.After; o++ {
			there := slices.ContainsFunc(n.h.Records(p), func(r history.Read) bool { return r.Offset == o })
			wrong = wrong || (!there && n.mustShow(p, o))
		}
		bad += count(wrong)
	}
	return bad
}

// mustShow says whether a poll that passes an offset must return a record.
func (n naive) mustShow(p *history.Poll, at history.Offset) bool {
	if !n.d.Compaction && !n.d.Transactions {
		return true
	}
	for _, o := range n.observed() {
		if o.poll.Partition != p.Partition || o.Offset != at {
			continue
		}
		// The first read decides whose record it was.
		var send *history.Send
		for _, first := range n.observed() {
			if first.poll.Partition == p.Partition && first.Offset == at {
				for i := range n.h.Sends {
					if n.h.Sends[i].Record == first.Record && n.h.Sends[i].Partition == p.Partition {
						send = &n.h.Sends[i]
					}
				}
				break
			}
		}
		if n.d.Compaction && (n.d.loss() != "" || send == nil || n.compacted(send, at)) {
			return false
		}
		if !n.d.Transactions || p.Isolation == history.ReadUncommitted || o.poll.Isolation == history.ReadCommitted {
			return true
		}
	}
	return false
}

// mayComeBack says whether what one leader had removed may be there again at a time, on
// a leader that has not.
func (n naive) mayComeBack(p history.PartitionID, q history.Query, at history.Instant) bool {
	elected := slices.ContainsFunc(n.h.Marks, func(m history.Mark) bool {
		return m.Partition == p && m.At <= at && (m.Kind == history.Election || m.Kind == history.UncleanLeader)
	})
	removed := n.mayGo(p) > n.mark(history.LogBegins, p) || q == history.ByTime && n.d.Compaction
	return q != history.Latest && removed && n.d.Leaders && (elected || !n.d.Marked)
}

func (n naive) offsetsForward() int {
	type told struct {
		history.ListOffsets
		from int
	}
	var all []told
	for _, l := range n.h.ListOffsets {
		if l.Outcome == history.OK {
			all = append(all, told{l, 0})
		}
	}
	for _, b := range n.h.ReadBacks {
		if b.Outcome == history.OK {
			l := history.ListOffsets{Partition: b.Partition, Invoked: b.Invoked, Completed: b.Completed, Query: history.Earliest, Offset: b.LogStart}
			all = append(all, told{l, 1})
			l.Query, l.Offset = history.Latest, b.LogEnd
			all = append(all, told{l, 1})
		}
	}
	bad := 0
	for _, b := range all {
		wrong := false
		for _, a := range all {
			if a.Partition != b.Partition || a.Query != b.Query || a.Completed >= b.Invoked || a.Offset < 0 {
				continue
			}
			if b.Query == history.Latest && n.d.Transactions && a.Isolation != b.Isolation {
				continue
			}
			if b.Query == history.ByTime && a.Asked != b.Asked {
				continue
			}
			if slices.ContainsFunc(n.unclean(b.Partition), func(u uncleanElection) bool { return u.at >= a.Invoked && u.since <= b.Completed }) {
				continue
			}
			if n.mayComeBack(b.Partition, b.Query, b.Completed) || n.mayComeBack(a.Partition, a.Query, a.Completed) {
				continue
			}
			removes := n.d.Compaction || n.mayGo(b.Partition) > n.mark(history.LogBegins, b.Partition)
			wrong = wrong || (b.Offset < a.Offset && !(b.Offset < 0 && removes))
		}
		bad += count(wrong)
	}
	return bad
}

func (n naive) byTimeFirst() int {
	bad := 0
	for _, l := range n.h.ListOffsets {
		if l.Outcome != history.OK || l.Query != history.ByTime {
			continue
		}
		wrong := false
		for i := range n.h.Sends {
			s := &n.h.Sends[i]
			if s.Partition != l.Partition || s.Offset < 0 || s.Timestamp == history.NoTimestamp || !n.keeps(s) {
				continue
			}
			found := s.Timestamp >= l.Asked && s.Completed < l.Invoked
			stays := s.Offset >= n.mayGo(s.Partition) && s.Offset >= n.mark(history.LogBegins, s.Partition) && !n.compacted(s, s.Offset)
			wrong = wrong || (s.Offset == l.Offset && s.Timestamp < l.Asked)
			wrong = wrong || (found && stays && (l.Offset == history.NoOffset || s.Offset < l.Offset))
		}
		bad += count(wrong)
	}
	return bad
}
