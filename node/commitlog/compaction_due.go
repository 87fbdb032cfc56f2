package commitlog

import (
	"fmt"
	"math/bits"

	"github.com/klammlog/klamm/node/kafka"
)

// Dirt is how much of a log a compaction would look at again, and whether it is
// due for one.
type Dirt struct {
	Due   bool
	Dirty int64 // bytes that were written since the last pass
	Total int64 // with those that were there before
}

// More reports whether a larger share of a log is dirty than of another.
func (d Dirt) More(than Dirt) bool {
	h1, l1 := bits.Mul64(uint64(d.Dirty), uint64(than.Total))
	h2, l2 := bits.Mul64(uint64(than.Dirty), uint64(d.Total))
	return h1 > h2 || h1 == h2 && l1 > l2
}

// Dirt tells whether CompactBelow has something to do, so that the dirtiest of
// several logs can come first. If max.compaction.lag.ms has passed since the
// active segment's first record, that segment is rolled: only what is not
// written to any more is compacted. A log in which a pass met rot is not due any
// more. Blocks.
func (l *Log) Dirt(now kafka.Timestamp, stable kafka.Offset) (Dirt, error) {
	if err := l.usable(); err != nil || l.o.Config.Cleanup&CleanupCompact == 0 || l.rotten {
		return Dirt{}, err
	}
	if err := l.complete(); err != nil {
		return Dirt{}, err
	}
	if err := l.rollOverdue(now); err != nil {
		return Dirt{}, err
	}
	p, err := l.planCompaction(now, stable)
	return Dirt{Due: p.due, Dirty: p.fresh, Total: p.clean + p.fresh}, err
}

// planCompaction decides about a pass. Blocks if it has to look when the first
// dirty record was written.
func (l *Log) planCompaction(now kafka.Timestamp, stable kafka.Offset) (cleanPlan, error) {
	if l.o.Config.MaxCompactionLag > 0 {
		if err := l.findOpening(); err != nil {
			return cleanPlan{}, err
		}
	}
	dirty := max(l.manifest.catalog.cleaned, l.start)
	return planCleaning(l.cleanables(), dirty, min(stable, l.durable), l.cleanRules(), now), nil
}

// findOpening reads the timestamp of the first dirty segment's first batch, which
// is not known after a restart. Blocks.
func (l *Log) findOpening() error {
	dirty := max(l.manifest.catalog.cleaned, l.start)
	for _, s := range l.segments() {
		if s.end <= dirty || s.size == 0 {
			continue
		}
		if s.opening != kafka.NoTimestamp {
			return nil
		}
		f, err := s.log().pin()
		if err != nil {
			return l.readError(s, 0, err)
		}
		defer s.log().unpin()
		w := walk{f: f, end: s.size}
		h, ok, err := w.next()
		if ok {
			s.opening = h.maxTimestamp
		}
		return l.maybeReadError(s, 0, err)
	}
	return nil
}

// rollOverdue rolls and seals the active segment if its first record is older
// than max.compaction.lag.ms and nothing was appended that would have rolled it.
// Blocks.
func (l *Log) rollOverdue(now kafka.Timestamp) error {
	if !l.overdue(now) {
		return nil
	}
	if err := l.rollNow(now); err != nil {
		return err
	}
	return l.sealSegments()
}

func (l *Log) overdue(now kafka.Timestamp) bool {
	s, lag := l.active(), l.o.Config.compactionLag()
	if lag <= 0 || s == nil || s.size == 0 || l.tail.segment != s {
		return false
	}
	opening := s.opening
	if opening < 0 {
		opening = s.began
	}
	return now-opening > milliseconds(lag)
}

// rollNow has the next append go to a new segment, without waiting for one.
func (l *Log) rollNow(now kafka.Timestamp) error {
	if err := l.turn.Take(kafka.Never); err != nil {
		return err
	}
	defer l.turn.Leave()
	if err := l.usable(); err != nil {
		return err
	}
	// Second look: an append may have rolled it. What is queued for it goes there.
	if !l.overdue(now) || len(l.queue) > 0 {
		return nil
	}
	if err := l.reopen(); err != nil {
		return err
	}
	if !l.overdue(now) || len(l.queue) > 0 {
		return nil
	}
	l.w.Probe("a segment was rolled so that it can be compacted")
	l.roll(l.end)
	s := l.tail.segment
	err := l.begin(s)
	switch {
	case err == nil:
		return nil
	case len(l.queue) > 0:
		return nil // it is the writer's segment now, and the writer finds out
	}
	if passing(err) {
		l.abandon(s)
		l.tailAtEnd()
		return fmt.Errorf("%s: %w", l.name, err)
	}
	l.fail(err)
	return err
}
