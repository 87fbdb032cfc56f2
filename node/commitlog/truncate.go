package commitlog

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/txn"
)

// Truncate removes every batch that ends above to, written or queued. A batch
// that holds to goes entirely, so that End may be below to afterwards. Who
// waits for what is removed gets ErrUnknownOutcome. The offsets will be given
// again: the caller, who is a follower, sees to it that nobody confuses them.
//
// It fails with ErrOutOfRange below LogStart. Blocks.
func (l *Log) Truncate(to kafka.Offset) error {
	if err := l.usable(); err != nil {
		return err
	}
	if to < l.start {
		return fmt.Errorf("%s: truncate to %d: %w: log starts at %d", l.name, to, ErrOutOfRange, l.start)
	}
	if to >= l.end {
		return nil
	}
	return l.cutAway(to, l.cutLog)
}

// Reset removes everything and begins again at an offset: what a follower does
// that has fallen behind its leader's log start. Blocks.
func (l *Log) Reset(at kafka.Offset) error {
	if err := l.usable(); err != nil {
		return err
	}
	return l.cutAway(at, l.cutEverything)
}

// cutAway takes the turn, drops what is queued, and cuts. Nothing may be at work
// behind the scenes: it would bring back a snapshot of what is cut.
func (l *Log) cutAway(to kafka.Offset, how func(kafka.Offset) error) error {
	if err := l.complete(); err != nil {
		return err
	}
	leave, err := l.halt()
	if err != nil {
		return err
	}
	defer leave()
	if err := l.writableOr(); err != nil {
		return err
	}
	if len(l.queue) > 0 {
		l.w.Probe("a truncation dropped what was queued")
		l.takeBack(fmt.Errorf("%s: %w: truncated", l.name, ErrUnknownOutcome))
	}
	if err := l.flush(); err != nil {
		return err
	}
	l.cutting = true
	defer func() { l.cutting = false }()
	cuts := l.manifest.catalog.cuts
	if err := how(to); err != nil {
		if cuts != l.manifest.catalog.cuts {
			// The manifest knows of a cut that the files do not show yet: the next
			// Open carries it out.
			l.w.Probe("a cut was left to recovery")
			l.fail(fmt.Errorf("cut at %d is not complete: %w", to, err))
		}
		return err
	}
	l.endEra(l.end, fmt.Errorf("%s: %w: truncated to %d", l.name, ErrUnknownOutcome, l.end))
	l.trace("truncate", slog.Int64("end", int64(l.end)))
	l.waiters.all()
	l.announce()
	return nil
}

// cutLog cuts at the first batch that ends above to. Everything is durable.
func (l *Log) cutLog(to kafka.Offset) error {
	if len(l.segments()) == 0 || to >= l.written {
		return nil // only what was queued had to go
	}
	s := l.segments()[l.segmentFor(to)]
	at, end, err := l.positionOf(s, to)
	if err != nil {
		return err
	}
	if end <= l.start {
		return l.cutEverything(l.start)
	}
	if err := l.carryOutCut(s, at, end); err != nil {
		return err
	}
	l.end = end
	return l.afterCut(s)
}

// positionOf returns where the first batch begins that ends above an offset, and
// where the batches before it end.
func (l *Log) positionOf(s *segment, to kafka.Offset) (int64, kafka.Offset, error) {
	f, err := s.log().pin()
	if err != nil {
		return 0, 0, l.readError(s, 0, err)
	}
	defer s.log().unpin()
	e, err := s.index.floor(l, before(to))
	if err != nil {
		return 0, 0, l.readError(s, 0, err)
	}
	at, _, err := lastBefore(walk{f: f, at: e.position, end: s.size}, s.base, func(h head) bool { return h.end <= to })
	if err != nil {
		return 0, 0, l.readError(s, at, err)
	}
	if e, err = s.index.floor(l, func(e entry) bool { return e.position < at }); err != nil {
		return 0, 0, l.readError(s, 0, err)
	}
	_, end, err := lastBefore(walk{f: f, at: e.position, end: at}, s.base, func(head) bool { return true })
	if err != nil {
		return 0, 0, l.readError(s, at, err)
	}
	return at, end, nil
}

// lastBefore walks while a condition holds, and returns the position it got to
// and the end of the last batch before it: base if there was none.
func lastBefore(w walk, base kafka.Offset, holds func(head) bool) (int64, kafka.Offset, error) {
	at, end := w.at, base
	for {
		h, ok, err := w.next()
		if err != nil || !ok || !holds(h) {
			return at, end, err
		}
		at, end = h.next(), h.end
	}
}

// carryOutCut makes the cut known, durably, and then cuts: what is above the cut
// and had been synced would look lost otherwise. What is below has been synced.
// Blocks.
func (l *Log) carryOutCut(s *segment, at int64, end kafka.Offset) error {
	// A cut of a segment that nobody knows would be forgotten.
	if err := l.settle(s); err != nil {
		return err
	}
	// The next recovery reads from the cut on: where epochs below it began, which no
	// checkpoint has told yet, nothing else would say.
	facts := append(l.newEpochs(), cutFact(s.base, cut{number: l.manifest.catalog.cuts + 1, position: at, offset: end}))
	if !l.listed(s) {
		facts = append([]fact{s.added()}, facts...)
	}
	if err := l.manifest.append(mustFit, facts...); err != nil {
		return err
	}
	i := slices.Index(l.segments(), s) + 1
	later := slices.Clone(l.segments()[i:])
	l.known = l.segments()[:i]
	for _, g := range later {
		g.gone, g.durable = true, g.size
		g.letGo()
	}
	// All of it at once, and before the files: should they fail, the log goes on being
	// read, and a segment that reached above its end would show what was cut.
	s.size, s.durable, s.end, s.sealed = at, at, max(s.base, end), false
	l.durable, l.written, l.lastPoint = end, end, min(l.lastPoint, end)
	l.recent = recent{}
	var bases []kafka.Offset
	for _, g := range later {
		bases = append(bases, g.base)
	}
	if err := l.removeFiles(bases, end); err != nil {
		return err
	}
	return l.shorten(s, at)
}

// shorten cuts a segment's file off, durably.
func (l *Log) shorten(s *segment, at int64) error {
	f, err := s.log().pin()
	if err != nil {
		return l.judge("open "+s.String(), err)
	}
	defer s.log().unpin()
	if err := f.Truncate(at); err != nil {
		return l.dir.fail("truncate "+s.String(), err)
	}
	if err := l.alone(&s.syncing); err != nil {
		return err
	}
	err = f.Sync()
	l.leave(&s.syncing)
	if err != nil {
		return l.dir.fail("sync "+s.String(), err)
	}
	s.letGo()
	s.checked, s.bad = nil, s.bad.below(at)
	if err := s.index.cut(l, at); err != nil && !errors.Is(err, errIndex) {
		return l.judge("cut index of "+s.String(), err)
	}
	return nil
}

// removeFiles removes the files of segments, the last one first so that no gap
// can be seen, and the snapshots above end. Then the directory is durable.
// Blocks.
func (l *Log) removeFiles(bases []kafka.Offset, end kafka.Offset) error {
	slices.Sort(bases)
	var paths []string
	for _, b := range slices.Backward(bases) {
		paths = append(paths, fileName(b, logSuffix), fileName(b, indexSuffix))
	}
	names, err := l.dir.fs.ReadDir(l.o.Path)
	if err != nil {
		return l.judge("list "+l.o.Path, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if at, ok := parseName(name, snapshotSuffix); ok && at > end {
			paths = append(paths, name)
		}
	}
	return l.removeAll(paths)
}

// removeAll removes files of the log's directory, in order, durably. Blocks.
func (l *Log) removeAll(names []string) error {
	for _, name := range names {
		path := l.o.Path + "/" + name
		if err := l.dir.fs.Remove(path); err != nil && !errors.Is(err, env.ErrNotExist) {
			return l.judge("remove "+path, err)
		}
	}
	if err := l.dir.fs.SyncDir(l.o.Path); err != nil {
		return l.dir.fail("sync directory "+l.o.Path, err)
	}
	return nil
}

// afterCut puts together again what is known of what is left, and records that
// the cut was carried out. Blocks.
func (l *Log) afterCut(s *segment) error {
	if err := l.restat(s); err != nil {
		return err
	}
	l.epochs.TruncateEnd(l.end)
	if err := l.reloadProducers(); err != nil {
		return err
	}
	l.setTail(s, l.end)
	return l.recordCut(s)
}

// recordCut says that the last cut was carried out.
func (l *Log) recordCut(s *segment) error {
	entries := s.index.entries
	if err := s.index.sync(l); err != nil {
		return err
	}
	return l.manifest.append(mustFit, pointFact(point{base: s.base, position: s.size, offset: l.end, entries: entries,
		maxTimestamp: s.maxTimestamp, maxAt: s.maxAt}))
}

// restat finds the largest timestamp of a segment that was cut: that of its last
// index entry, and of the batches behind.
func (l *Log) restat(s *segment) error {
	size := s.size
	f, err := s.log().pin()
	if err != nil {
		return l.readError(s, 0, err)
	}
	defer s.log().unpin()
	e, err := s.index.floor(l, func(entry) bool { return true })
	if err != nil {
		return l.readError(s, 0, err)
	}
	s.maxTimestamp, s.maxAt = kafka.NoTimestamp, s.base
	if e.length > 0 {
		s.maxTimestamp, s.maxAt = e.maxTimestamp, e.maxAt
		s.index.last = e.position
	}
	w := walk{f: f, at: e.position, end: size}
	for {
		h, ok, err := w.next()
		if err != nil {
			return l.readError(s, w.at, err)
		}
		if !ok {
			return nil
		}
		if h.maxTimestamp > s.maxTimestamp {
			s.maxTimestamp, s.maxAt = h.maxTimestamp, h.base
		}
	}
}

// reloadProducers reads the producers' state again, from the last snapshot on.
// Blocks.
func (l *Log) reloadProducers() error {
	var at []kafka.Offset
	for _, s := range l.segments() {
		at = append(at, s.base)
	}
	p, from, err := l.loadProducers(at)
	if err != nil {
		return err
	}
	l.producers = p
	return l.replayFrom(from)
}

// replayFrom notes what the producers have done from an offset on.
func (l *Log) replayFrom(from kafka.Offset) error {
	if err := l.replay(l.producers, l.segments()[min(l.segmentFor(from), len(l.segments())):], from); err != nil {
		return err
	}
	l.producers.Settle(l.written)
	return nil
}

// replay notes in p what the producers have done in some segments from an offset on.
// Blocks.
func (l *Log) replay(p *txn.Producers, segments []*segment, from kafka.Offset) error {
	for _, s := range segments {
		if s.end <= from || s.size == 0 {
			continue
		}
		if err := l.replaySegment(p, s, from); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) replaySegment(p *txn.Producers, s *segment, from kafka.Offset) error {
	f, err := s.log().pin()
	if err != nil {
		return l.readError(s, 0, err)
	}
	defer s.log().unpin()
	w := walk{f: f, end: s.size}
	for at := s.base; ; {
		h, ok, err := w.next()
		if err != nil {
			return l.readError(s, w.at, err)
		}
		if !ok {
			return nil
		}
		// Heads are believed here without their checksums, as long as somebody
		// could have appended them. Reads will find what has rotted.
		possible := h.base >= at && h.base < h.end && h.end <= s.end
		if possible {
			at = h.end
		}
		switch {
		case possible && (h.base < from || h.producer == kafka.NoProducerID):
		case !possible || h.producer < 0 || h.producerEpoch < 0 || h.sequence < kafka.NoSequence:
			l.w.Log.Warn("a batch tells nothing of its producer any more", "partition", l.name, "segment", s.String(), "position", h.position)
		default:
			l.rememberProducer(p, h)
		}
	}
}

// cutEverything removes all segments; the log begins and ends at an offset.
func (l *Log) cutEverything(at kafka.Offset) error {
	number := l.manifest.catalog.cuts + 1
	if err := l.manifest.append(mustFit, cutFact(kafka.NoOffset, cut{number: number, offset: at})); err != nil {
		return err
	}
	var bases []kafka.Offset
	for _, s := range l.segments() {
		s.gone, s.durable = true, s.size
		s.letGo()
		bases = append(bases, s.base)
	}
	l.known = nil
	l.start, l.durable, l.written, l.end, l.lastPoint = at, at, at, at, at
	l.tail, l.recent, l.producers = tail{end: at}, recent{}, &txn.Producers{}
	l.epochs.Clear()
	if err := l.removeFiles(bases, kafka.NoOffset); err != nil {
		return err
	}
	return l.manifest.append(mustFit, fact{is: factFirst, n: [6]int64{int64(at), int64(at)}}, emptyPoint(at))
}
