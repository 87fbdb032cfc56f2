package commitlog

import (
	"fmt"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// A Located is a record that was looked for. Without one the offset is
// kafka.NoOffset and the timestamp kafka.NoTimestamp.
type Located struct {
	Offset    kafka.Offset
	Timestamp kafka.Timestamp
	Epoch     kafka.LeaderEpoch
}

var nowhere = Located{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp, Epoch: kafka.NoLeaderEpoch}

// unpackLimit bounds what one batch may become in memory when its records are
// looked at.
const unpackLimit = 1 << 30

// OffsetForTimestamp returns the first record in the log whose timestamp is ts or
// later. It does not look above Written. Blocks.
func (l *Log) OffsetForTimestamp(ts kafka.Timestamp) (Located, error) {
	return l.locate(func() (Located, error) { return l.offsetFor(ts) })
}

// MaxTimestamp returns the first of the records with the largest timestamp
// (KIP-734). Blocks.
func (l *Log) MaxTimestamp() (Located, error) {
	return l.locate(l.maxTimestamp)
}

// locate repeats a search if segments were deleted, truncated or replaced
// meanwhile.
func (l *Log) locate(search func() (Located, error)) (Located, error) {
	for {
		if l.ended {
			return nowhere, fmt.Errorf("%s: %w", l.name, ErrClosed)
		}
		if err := l.complete(); err != nil {
			return nowhere, err
		}
		start, cuts, swaps := l.start, l.manifest.catalog.cuts, l.swaps
		at, err := search()
		if start == l.start && cuts == l.manifest.catalog.cuts && swaps == l.swaps {
			return at, l.tell(err)
		}
	}
}

func (l *Log) offsetFor(ts kafka.Timestamp) (Located, error) {
	for i := l.segmentFor(l.start); i < len(l.segments()); i++ {
		s := l.segments()[i]
		if s.maxTimestamp < ts {
			continue
		}
		at, err := l.offsetIn(s, ts)
		if err != nil || at != nowhere {
			return at, err
		}
	}
	return nowhere, nil
}

// offsetIn looks in one segment: behind the last index entry up to which no
// timestamp is large enough.
func (l *Log) offsetIn(s *segment, ts kafka.Timestamp) (Located, error) {
	f, err := s.log().pin()
	if err != nil {
		return nowhere, l.unreadable(s, 0, err)
	}
	defer s.log().unpin()
	end, cuts := s.size, l.manifest.catalog.cuts
	e, err := s.index.floor(l, func(e entry) bool { return e.maxTimestamp < ts })
	if err != nil {
		return nowhere, l.unreadable(s, 0, err)
	}
	w := walk{f: f, at: e.position, end: end}
	for {
		h, ok, err := w.next()
		if err != nil {
			return nowhere, l.unreadable(s, w.at, err)
		}
		if !ok {
			return nowhere, l.mustBeGood(part{s: s, f: f, from: e.position, to: end, cuts: cuts})
		}
		if h.maxTimestamp < ts || h.end <= l.start {
			continue
		}
		if err := l.mustBeGood(part{s: s, f: f, from: e.position, to: h.next(), cuts: cuts}); err != nil {
			return nowhere, err
		}
		at, err := l.recordIn(s, f, h, func(r kafka.Timestamp) bool { return r >= ts })
		if err != nil || at != nowhere {
			return at, err
		}
	}
}

// mustBeGood fails if not all of a part is what was written. Blocks.
func (l *Log) mustBeGood(p part) error {
	if p.from >= p.to {
		return nil // the index still knows of what is being cut off
	}
	good, err := l.verify(p)
	if err == nil && good < p.to {
		err = fmt.Errorf("%w: at %d", errBatch, good)
	}
	return l.maybeUnreadable(p.s, good, err)
}

func (l *Log) maybeUnreadable(s *segment, at int64, err error) error {
	if err == nil {
		return nil
	}
	return l.unreadable(s, at, err)
}

func (l *Log) maxTimestamp() (Located, error) {
	var best *segment
	for _, s := range l.segments() {
		if s.maxTimestamp >= 0 && (best == nil || s.maxTimestamp > best.maxTimestamp) {
			best = s
		}
	}
	if best == nil {
		return nowhere, nil
	}
	if best.maxAt < l.start || best.maxAt >= best.end {
		// DeleteRecords may have passed the record that the segment remembers, or a
		// cut that failed half way may have taken it.
		return l.maxByWalk()
	}
	return l.recordWith(best, best.maxAt, best.maxTimestamp)
}

// recordWith returns the first record of a timestamp in the batch at an offset.
func (l *Log) recordWith(s *segment, base kafka.Offset, ts kafka.Timestamp) (Located, error) {
	f, err := s.log().pin()
	if err != nil {
		return nowhere, l.unreadable(s, 0, err)
	}
	defer s.log().unpin()
	end, cuts := s.size, l.manifest.catalog.cuts
	e, err := s.index.floor(l, before(base))
	if err != nil {
		return nowhere, l.unreadable(s, 0, err)
	}
	w := walk{f: f, at: e.position, end: end}
	for {
		h, ok, err := w.next()
		if err != nil || !ok {
			return nowhere, l.maybeUnreadable(s, e.position, err)
		}
		if h.base >= base {
			if err := l.mustBeGood(part{s: s, f: f, from: e.position, to: h.next(), cuts: cuts}); err != nil {
				return nowhere, err
			}
			at, err := l.recordIn(s, f, h, func(r kafka.Timestamp) bool { return r == ts })
			return at, err
		}
	}
}

// maxByWalk looks at every batch from the log start on.
func (l *Log) maxByWalk() (Located, error) {
	best := nowhere
	for i := l.segmentFor(l.start); i < len(l.segments()); i++ {
		s := l.segments()[i]
		if s.maxTimestamp <= best.Timestamp {
			continue
		}
		ts, base, err := l.maxFrom(s)
		if err != nil {
			return nowhere, err
		}
		if ts <= best.Timestamp {
			continue
		}
		at, err := l.recordWith(s, base, ts)
		if err != nil {
			return nowhere, err
		}
		if at.Timestamp > best.Timestamp {
			best = at
		}
	}
	return best, nil
}

// maxFrom returns the largest timestamp of a segment's batches that end above
// the log start, and the batch that has it.
func (l *Log) maxFrom(s *segment) (kafka.Timestamp, kafka.Offset, error) {
	f, err := s.log().pin()
	if err != nil {
		return 0, 0, l.unreadable(s, 0, err)
	}
	defer s.log().unpin()
	ts, base := kafka.NoTimestamp, s.base
	w := walk{f: f, end: s.size}
	for {
		h, ok, err := w.next()
		if err != nil || !ok {
			return ts, base, l.maybeUnreadable(s, w.at, err)
		}
		if h.end > l.start && h.maxTimestamp > ts {
			ts, base = h.maxTimestamp, h.base
		}
	}
}

// recordIn returns the first record of a batch, at or above the log start, whose
// timestamp is wanted.
func (l *Log) recordIn(s *segment, f env.File, h head, wanted func(kafka.Timestamp) bool) (Located, error) {
	buf := make([]byte, h.size)
	if err := readFull(f, buf, h.position); err != nil {
		return nowhere, l.unreadable(s, h.position, err)
	}
	b, _, err := record.View(buf)
	if err == nil {
		err = b.CheckCRC()
	}
	if err != nil {
		return nowhere, l.unreadable(s, h.position, err)
	}
	if b.TimestampType() == record.LogAppendTime || b.Control() {
		at := max(h.base, l.start)
		if !wanted(h.maxTimestamp) || at >= h.end {
			return nowhere, nil
		}
		return Located{Offset: at, Timestamp: h.maxTimestamp, Epoch: h.epoch}, nil
	}
	best := nowhere
	l.w.Offload(func() { best, err = firstRecord(b, l.start, wanted) })
	if err != nil {
		return nowhere, l.unreadable(s, h.position, err)
	}
	return best, nil
}

// firstRecord is pure.
func firstRecord(b record.Batch, start kafka.Offset, wanted func(kafka.Timestamp) bool) (Located, error) {
	it := b.Records(unpackLimit)
	for it.Next() {
		if it.Offset() >= start && wanted(it.Timestamp()) {
			return Located{Offset: it.Offset(), Timestamp: it.Timestamp(), Epoch: b.LeaderEpoch()}, nil
		}
	}
	return nowhere, it.Err()
}
