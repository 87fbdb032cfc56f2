package commitlog

import (
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A fact is one record of the manifest: what happened to the log's files, said
// in up to six numbers.
//
//	0 CRC-32C u32   5 version u8   8 synced u32   16 six numbers i64
//	4 type u8       6 zero u16     12 cut u32
type fact struct {
	is     factType
	synced uint32 // how many facts of this file were known durable
	cut    uint32 // how many cuts there had been, this one included
	n      [6]int64
}

type factType uint8

// What the six numbers mean is given in order.
const (
	factAdded  factType = iota + 1 // base, end of the log before it
	factSealed                     // base, size, end, largest timestamp, the batch that has it, index entries
	factFirst                      // log start offset, base of the first segment that is kept
	factEpoch                      // leader epoch, its first offset
	factPoint                      // base, position, offset, index entries, largest timestamp, the batch that has it
	factCut                        // base, position, offset
	factOpen                       // the clean fact before does not hold any more
	factClean                      // timestamp of the active segment's first batch, end of the log, its snapshot's offset, facts before if they are summed up
	factSwap                       // base, end of what a compacted segment replaces, stage, end of what is clean
	factTotals                     // segments before the active one, their bytes, log start offset, first base, end of what is clean, end of the log before the active one
	factEpochs                     // three times a leader epoch and its first offset
	factLast   = factEpochs
)

const (
	factSize    = 64
	factVersion = 1
)

func (f fact) encode(b []byte, seed uint32) {
	clear(b[:factSize])
	b[4], b[5] = byte(f.is), factVersion
	le.PutUint32(b[8:], f.synced)
	le.PutUint32(b[12:], f.cut)
	for i, n := range f.n {
		le.PutUint64(b[16+8*i:], uint64(n))
	}
	seal(b[:factSize], seed)
}

func parseFact(b []byte, seed uint32) (fact, bool) {
	if !sound(b[:factSize], seed) || b[4] == 0 || factType(b[4]) > factLast || b[5] != factVersion {
		return fact{}, false
	}
	f := fact{is: factType(b[4]), synced: le.Uint32(b[8:]), cut: le.Uint32(b[12:])}
	for i := range f.n {
		f.n[i] = int64(le.Uint64(b[16+8*i:]))
	}
	return f, true
}

// A listed is a segment as the manifest knows it.
type listed struct {
	base         kafka.Offset
	sealed       bool // the numbers below are exact and synced
	size         int64
	end          kafka.Offset
	maxTimestamp kafka.Timestamp
	maxAt        kafka.Offset
	entries      int
	follows      kafka.Offset // where the log ended before it
	cuts         []cut        // made in it since it was added
}

// A cut says that side records with a smaller number prove nothing at or above
// the position.
type cut struct {
	number   uint32
	position int64
	offset   kafka.Offset
}

// A point is a place below which everything is synced, with so many entries of
// the index. The point of an empty log has base NoOffset.
type point struct {
	base         kafka.Offset
	position     int64
	offset       kafka.Offset
	entries      int
	maxTimestamp kafka.Timestamp
	maxAt        kafka.Offset
}

// A catalog is what the facts amount to. Pure.
//
// After a clean start it may be partial: of the segments only the last is known,
// and of the others what they amount to. The rest is as it is.
type catalog struct {
	segments []listed // by base
	partial  bool
	elder    totals // of the segments that are not known yet
	start    kafka.Offset
	first    kafka.Offset // segments below are gone
	epochs   Epochs
	point    point
	cuts     uint32
	cutting  *cut         // the last cut, if nothing says that it was carried out
	cutBase  kafka.Offset // the segment it is in
	clean    bool         // the last fact is a clean one
	opening  kafka.Timestamp
	snapshot kafka.Offset // the producers of a clean shutdown, or NoOffset
	end      kafka.Offset // the end as of the last point, cut, seal or clean
	swapping *swapping    // the swap that is not done, nil if there is none
	cleaned  kafka.Offset // compaction has seen every key below
}

const unknownEntries = -1

// list returns all segments. Whoever asks has completed the catalog.
func (c *catalog) list() []listed {
	assert.That(!c.partial, "the segments are not known yet")
	return c.segments
}

// apply adds one fact.
func (c *catalog) apply(f fact) {
	assert.That(!c.partial, "a fact is added to a part of them")
	c.cuts = max(c.cuts, f.cut)
	c.clean = f.is == factClean
	n := f.n
	base := kafka.Offset(n[0])
	switch f.is {
	case factAdded:
		c.add(listed{base: base, follows: kafka.Offset(n[1])})
	case factSealed:
		c.seal(listed{base: base, sealed: true, size: n[1], end: kafka.Offset(n[2]),
			maxTimestamp: kafka.Timestamp(n[3]), maxAt: kafka.Offset(n[4]), entries: int(n[5])})
	case factFirst:
		c.dropBelow(base, kafka.Offset(n[1]))
	case factEpoch:
		c.epochs.Assign(kafka.LeaderEpoch(n[0]), kafka.Offset(n[1]))
	case factPoint:
		c.point = point{base: base, position: n[1], offset: kafka.Offset(n[2]), entries: int(n[3]),
			maxTimestamp: kafka.Timestamp(n[4]), maxAt: kafka.Offset(n[5])}
		c.cutting, c.end = nil, c.point.offset
	case factCut:
		c.cutAt(base, cut{number: f.cut, position: n[1], offset: kafka.Offset(n[2])})
	case factClean:
		c.opening, c.end, c.snapshot = kafka.Timestamp(n[0]), kafka.Offset(n[1]), kafka.Offset(n[2])
	case factSwap:
		c.swap(f)
	}
}

// find returns where the segment with that base is, or would be.
func (c *catalog) find(base kafka.Offset) (int, bool) {
	assert.That(!c.partial, "a segment is looked for among some")
	if n := len(c.segments); n == 0 || c.segments[n-1].base < base {
		return n, false // as it is with nearly all facts
	} else if c.segments[n-1].base == base {
		return n - 1, true
	}
	return slices.BinarySearchFunc(c.segments, base, func(s listed, b kafka.Offset) int {
		return int(min(1, max(-1, s.base-b)))
	})
}

func (c *catalog) add(s listed) {
	if i, found := c.find(s.base); !found { // it is said twice if a gap was before it
		c.segments = slices.Insert(c.segments, i, s)
	}
}

func (c *catalog) seal(s listed) {
	c.commitSwap(s)
	i, found := c.find(s.base)
	if !found {
		c.segments = slices.Insert(c.segments, i, s)
	} else {
		s.follows = c.segments[i].follows
		c.segments[i] = s
	}
	c.end = max(c.end, s.end)
}

func (c *catalog) dropBelow(start, first kafka.Offset) {
	i, _ := c.find(first)
	c.segments = slices.Delete(c.segments, 0, i)
	c.start, c.first = start, first
	c.epochs.TruncateStart(start)
	c.end = max(c.end, start)
}

// cutAt notes a cut: later segments are void, and the one it is in is not sealed
// any more. What is below had been synced before the cut was noted, the index
// excepted.
func (c *catalog) cutAt(base kafka.Offset, at cut) {
	i, found := c.find(base)
	if found {
		s := &c.segments[i]
		*s = listed{base: s.base, follows: s.follows, cuts: append(s.cuts, at)}
		i++
	}
	c.segments = c.segments[:i]
	c.cutting, c.cutBase = &at, base
	c.cleaned = min(c.cleaned, at.offset)
	c.epochs.TruncateEnd(at.offset)
	if base == kafka.NoOffset {
		c.epochs.Clear()
	}
	c.point = point{base: base, position: at.position, offset: at.offset, entries: unknownEntries}
	c.end = at.offset
}

// facts returns the shortest list of facts that amounts to the catalog.
func (c *catalog) facts() []fact {
	assert.That(!c.partial, "some facts are not known yet")
	fs := []fact{{is: factFirst, n: [6]int64{int64(c.start), int64(c.first)}}}
	fs = append(fs, c.swapFacts()...)
	for _, s := range c.segments {
		fs = append(fs, fact{is: factAdded, n: [6]int64{int64(s.base), int64(s.follows)}})
		if s.sealed {
			fs[len(fs)-1] = fact{is: factSealed, n: [6]int64{int64(s.base), s.size, int64(s.end),
				int64(s.maxTimestamp), int64(s.maxAt), int64(s.entries)}}
		}
		for _, k := range s.cuts {
			fs = append(fs, cutFact(s.base, k))
		}
	}
	for _, e := range c.epochs.entries {
		fs = append(fs, epochFact(e))
	}
	if c.cutting == nil {
		p := c.point
		p.offset = c.end
		fs = append(fs, pointFact(p))
	}
	for i := range fs {
		if fs[i].is != factCut {
			fs[i].cut = c.cuts
		}
	}
	return fs
}

func epochFact(e EpochStart) fact {
	return fact{is: factEpoch, n: [6]int64{int64(e.Epoch), int64(e.Start)}}
}

func cutFact(base kafka.Offset, k cut) fact {
	return fact{is: factCut, cut: k.number, n: [6]int64{int64(base), k.position, int64(k.offset)}}
}

func pointFact(p point) fact {
	return fact{is: factPoint, n: [6]int64{int64(p.base), p.position, int64(p.offset), int64(p.entries),
		int64(p.maxTimestamp), int64(p.maxAt)}}
}
