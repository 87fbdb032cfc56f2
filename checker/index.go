package checker

import (
	"cmp"
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// An index is what the judges share: the history, sorted by partition, offset
// and stream, with every record read resolved to its send. Sends, polls and so
// on are named by their places in the tables of the history; -1 is none.
type index struct {
	h *history.History
	d Demands

	byRecord recordTable
	sendOf   []int32    // of every read: the send of its record, in the same partition
	seen     []sighting // of every send: where it was read
	parts    []part     // of every partition, by its ID
	inOrder  []*part    // by topic and number
	fates    keyFates   // nil without compaction
}

// A sighting is the lowest and the highest offset at which a send's record was
// read in its partition. Both are history.NoOffset if it never was.
type sighting struct {
	low, high         history.Offset
	lowRead, highRead readRef
}

// A readRef is a read and the poll that returned it.
type readRef struct{ read, poll int32 }

// A part is what happened to one partition.
type part struct {
	id       history.PartitionID
	sends    []int32
	polls    []int32
	lists    []int32
	backs    []int32
	begins   history.Offset    // what the log held before the run ends here
	mayGo    history.Offset    // records below may be removed
	elected  bool              // another broker than the one before, as marked
	first    history.Instant   // the first one that was marked
	election history.Instant   // the last one that was marked
	unclean  []uncleanElection // marked, in time
	deleted  bool              // its offsets started anew: only no-invention can be judged

	acked   []int32          // sends whose record must stay where it was acknowledged, by offset
	ackedAt []history.Offset // and those offsets
	slots   []slot           // by offset
	streams [][]int32        // polls of one generation of one consumer, in time
}

// A slot is an offset at which a record was read.
type slot struct {
	offset history.Offset
	first  readRef // in recording order
	early  int32   // the poll that completed first of those that read there
	other  readRef // one that disagrees with first, if other.poll >= 0; another record rather than other bytes

	committed bool // some poll with read_committed read there
}

func newIndex(h *history.History, d Demands) *index {
	ix := &index{h: h, d: d, parts: make([]part, len(h.Partitions))}
	ix.byRecord = newRecordTable(h.Sends)
	ix.groupOps()
	ix.readMarks()
	ix.resolveReads()
	ix.fates = newKeyFates(ix)
	for i := range ix.parts {
		p := &ix.parts[i]
		ix.collectAcked(p)
		ix.collectSlots(p)
		ix.collectStreams(p)
		ix.inOrder = append(ix.inOrder, p)
	}
	slices.SortFunc(ix.inOrder, func(a, b *part) int {
		x, y := &h.Partitions[a.id], &h.Partitions[b.id]
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Index, y.Index))
	})
	return ix
}

// groupOps sorts the operations by partition; polls that returned nothing are
// left out, and so are lookups and read-backs.
func (ix *index) groupOps() {
	h, n := ix.h, len(ix.parts)
	sends := group(n, len(h.Sends), func(i int) int32 { return int32(h.Sends[i].Partition) })
	polls := group(n, len(h.Polls), func(i int) int32 {
		return ifOK(h.Polls[i].Outcome, h.Polls[i].Partition)
	})
	lists := group(n, len(h.ListOffsets), func(i int) int32 {
		return ifOK(h.ListOffsets[i].Outcome, h.ListOffsets[i].Partition)
	})
	backs := group(n, len(h.ReadBacks), func(i int) int32 {
		return ifOK(h.ReadBacks[i].Outcome, h.ReadBacks[i].Partition)
	})
	for i := range ix.parts {
		p := &ix.parts[i]
		p.id = history.PartitionID(i)
		p.sends, p.polls, p.lists, p.backs = sends[i], polls[i], lists[i], backs[i]
	}
}

func ifOK(o history.Outcome, p history.PartitionID) int32 {
	if o != history.OK {
		return -1
	}
	return int32(p)
}

// group sorts the numbers below items into groups, keeping their order; keyOf
// says which group, or -1.
func group(groups, items int, keyOf func(int) int32) [][]int32 {
	sizes := make([]int32, groups)
	total := 0
	for i := range items {
		if k := keyOf(i); k >= 0 {
			sizes[k]++
			total++
		}
	}
	arena := make([]int32, total)
	out := make([][]int32, groups)
	for k, size := range sizes {
		out[k], arena = arena[:0:size], arena[size:]
	}
	for i := range items {
		if k := keyOf(i); k >= 0 {
			out[k] = append(out[k], int32(i))
		}
	}
	return out
}

// readMarks takes over what the marks permit.
func (ix *index) readMarks() {
	if ix.d.Retention {
		for i := range ix.parts {
			ix.parts[i].mayGo = history.Unbounded
		}
	}
	for i := range ix.h.Marks {
		m := &ix.h.Marks[i]
		if m.Partition == history.NoPartition {
			continue
		}
		p := &ix.parts[m.Partition]
		switch m.Kind {
		case history.LogBegins:
			p.begins = max(p.begins, m.Offset)
		case history.PrefixMayGo:
			p.mayGo = max(p.mayGo, m.Offset)
		case history.TopicDeleted:
			p.deleted = true
		case history.Election, history.UncleanLeader:
			ix.elected(p, m)
		}
	}
}

// elected takes over that another broker was elected.
func (ix *index) elected(p *part, m *history.Mark) {
	if !ix.d.Marked {
		return
	}
	if !p.elected || m.At < p.first {
		p.elected, p.first = true, m.At
	}
	if m.Kind == history.UncleanLeader {
		p.unclean = append(p.unclean, uncleanElection{since: p.election, at: m.At, offset: m.Offset})
		return
	}
	p.election = m.At
}

// resolveReads finds the send of every record read, and the sightings.
func (ix *index) resolveReads() {
	h := ix.h
	reads := h.Reads()
	ix.sendOf = make([]int32, len(reads))
	ix.seen = make([]sighting, len(h.Sends))
	for i := range ix.seen {
		ix.seen[i].low, ix.seen[i].high = history.NoOffset, history.NoOffset
	}
	for pi := range h.Polls {
		p := &h.Polls[pi]
		if p.Outcome != history.OK {
			continue
		}
		first := h.FirstRead(p)
		for k := range h.Records(p) {
			s := ix.byRecord.find(reads[first+k].Record)
			if s >= 0 && h.Sends[s].Partition != p.Partition {
				s = -1
			}
			ix.sendOf[first+k] = s
			if s >= 0 {
				ix.seen[s].add(reads[first+k].Offset, readRef{int32(first + k), int32(pi)})
			}
		}
	}
}

func (s *sighting) add(o history.Offset, at readRef) {
	if s.low == history.NoOffset || o < s.low {
		s.low, s.lowRead = o, at
	}
	if s.high == history.NoOffset || o > s.high {
		s.high, s.highRead = o, at
	}
}

// collectAcked finds the sends that must stay where they were acknowledged.
func (ix *index) collectAcked(p *part) {
	for _, s := range p.sends {
		send := &ix.h.Sends[s]
		if send.Offset >= 0 && ix.d.keeps(send) {
			p.acked = append(p.acked, s)
		}
	}
	ix.sortAcked(p)
}

// sortAcked sorts the sends that must stay by offset.
func (ix *index) sortAcked(p *part) {
	slices.SortStableFunc(p.acked, func(a, b int32) int {
		return cmp.Compare(ix.h.Sends[a].Offset, ix.h.Sends[b].Offset)
	})
	p.ackedAt = make([]history.Offset, len(p.acked))
	for i, s := range p.acked {
		p.ackedAt[i] = ix.h.Sends[s].Offset
	}
}

// collectSlots finds the offsets at which something was read.
func (ix *index) collectSlots(p *part) {
	t := newSlotTable(ix.h, p.polls)
	for _, pi := range p.polls {
		poll := &ix.h.Polls[pi]
		first := ix.h.FirstRead(poll)
		for k, r := range ix.h.Records(poll) {
			s, isNew := t.at(r.Offset)
			at := readRef{int32(first + k), pi}
			if isNew {
				*s = slot{offset: r.Offset, first: at, early: pi, other: readRef{-1, -1}}
			}
			ix.fillSlot(s, at)
		}
	}
	p.slots = t.sorted()
}

// fillSlot adds a read to its slot.
func (ix *index) fillSlot(s *slot, at readRef) {
	poll := &ix.h.Polls[at.poll]
	s.committed = s.committed || poll.Isolation == history.ReadCommitted
	if poll.Completed < ix.h.Polls[s.early].Completed {
		s.early = at.poll
	}
	reads := ix.h.Reads()
	was, is := &reads[s.first.read], &reads[at.read]
	switch {
	case was.Record != is.Record && (s.other.poll < 0 || reads[s.other.read].Record == was.Record):
		s.other = at
	case was.Digest != is.Digest && s.other.poll < 0:
		s.other = at
	}
}

// collectStreams sorts the polls by consumer generation, and each generation's
// in time.
func (ix *index) collectStreams(p *part) {
	p.streams = bucket(p.polls, func(pi int32) streamKey {
		poll := &ix.h.Polls[pi]
		return streamKey{poll.Client, poll.Incarnation, poll.Generation}
	})
	inTime := func(a, b int32) int {
		x, y := &ix.h.Polls[a], &ix.h.Polls[b]
		return cmp.Or(cmp.Compare(x.Invoked, y.Invoked), cmp.Compare(x.Op, y.Op))
	}
	for _, s := range p.streams {
		if !slices.IsSortedFunc(s, inTime) {
			slices.SortFunc(s, inTime)
		}
	}
}

// A streamKey names one life of one client: of a consumer also the generation.
type streamKey struct {
	client      history.ClientID
	incarnation int32
	generation  int32
}

// bucket sorts items by key; buckets are in the order of their first items, and
// items keep their order.
func bucket(items []int32, keyOf func(int32) streamKey) [][]int32 {
	numbers := map[streamKey]int32{}
	keys := make([]int32, len(items))
	for i, item := range items {
		k := keyOf(item)
		n, ok := numbers[k]
		if !ok {
			n = int32(len(numbers))
			numbers[k] = n
		}
		keys[i] = n
	}
	out := group(len(numbers), len(items), func(i int) int32 { return keys[i] })
	for _, b := range out {
		for i := range b {
			b[i] = items[b[i]]
		}
	}
	return out
}

// name returns the partition as people write it.
func (ix *index) name(p history.PartitionID) string { return ix.h.Partitions[p].String() }

// readEvent returns a read as evidence.
func (ix *index) readEvent(r readRef) history.Event {
	p := &ix.h.Polls[r.poll]
	return ix.h.ReadEvent(p, int(r.read)-ix.h.FirstRead(p))
}

func (ix *index) sendEvent(s int32) history.Event { return ix.h.Event(ix.h.Sends[s].Op) }

func (ix *index) pollEvent(p int32) history.Event { return ix.h.Event(ix.h.Polls[p].Op) }

// judged calls f for every partition whose offsets mean one thing throughout, by
// topic and number: reports must not depend on who was recorded first.
func (ix *index) judged(f func(*part)) {
	for _, p := range ix.inOrder {
		if !p.deleted {
			f(p)
		}
	}
}

func (ix *index) skippedSentences() []string {
	var out []string
	for _, p := range ix.inOrder {
		if p.deleted {
			out = append(out, ix.name(p.id)+": its topic was deleted during the run, so an offset does not name one record; "+
				"only no-invention and no-failed-visible were judged")
		}
	}
	return out
}
