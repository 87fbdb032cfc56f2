package commitlog

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/txn"
)

// Retain deletes the oldest segments as far as retention.ms and retention.bytes
// say, whether anybody has read them or not, and then does what Checkpoint
// does. Only whole segments are deleted; the active one is rolled first, if all
// of it is too old. Without cleanup.policy=delete only what is below the log
// start goes. Nothing is deleted that is not held. Blocks.
func (l *Log) Retain(now kafka.Timestamp) error { return l.RetainBelow(now, l.Held()) }

// RetainBelow is Retain for a log of which only what is below upTo may go: the
// high watermark. Blocks.
func (l *Log) RetainBelow(now kafka.Timestamp, upTo kafka.Offset) error {
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.complete(); err != nil {
		return err
	}
	first, err := l.retainFrom(now, upTo)
	if err != nil {
		return err
	}
	if first > l.start {
		l.w.Probe("retention deleted a segment")
		if err := l.advanceStart(first); err != nil {
			return err
		}
	}
	if err := l.dropSegments(); err != nil {
		return err
	}
	return l.Checkpoint()
}

// retainFrom returns the offset below which retention deletes. What is above upTo
// does not count as kept: it may have to go. Blocks.
func (l *Log) retainFrom(now kafka.Timestamp, upTo kafka.Offset) (kafka.Offset, error) {
	c := l.o.Config
	if c.Cleanup&CleanupDelete == 0 {
		return l.start, nil
	}
	excess := l.Size() - c.RetentionBytes
	if c.RetentionBytes >= 0 && excess > 0 && upTo < l.written {
		above, err := l.sizeAbove(upTo)
		if err != nil {
			return l.start, err
		}
		excess = l.Size() - above - c.RetentionBytes
	}
	from := l.start
	for i, s := range l.segments() {
		last := i == len(l.segments())-1
		if s.size == 0 && last || s.end > upTo {
			break
		}
		old := c.RetentionTime >= 0 && int64(now-s.newest()) > c.RetentionTime.Milliseconds()
		large := c.RetentionBytes >= 0 && excess >= s.size
		if !old && (!large || last) {
			break
		}
		excess -= s.size
		from = max(from, s.end)
	}
	return from, nil
}

// sizeAbove returns how many bytes there are in batches that end above an offset, at
// the moment when it returns. Blocks.
func (l *Log) sizeAbove(upTo kafka.Offset) (n int64, err error) {
	if err := l.care.Take(kafka.Never); err != nil { // nothing is cut meanwhile
		return 0, err
	}
	defer l.care.Leave()
	if upTo >= l.written || len(l.segments()) == 0 { // second look: it may have been begun anew
		return 0, nil
	}
	cut := l.segments()[l.segmentFor(upTo)]
	at, _, err := l.positionOf(cut, upTo)
	if err != nil {
		return 0, err
	}
	for _, s := range l.segments() {
		switch {
		case s == cut:
			n += s.size - min(at, s.size)
		case s.base >= cut.end:
			n += s.size
		}
	}
	return n, nil
}

// newest returns the largest timestamp of a segment, or when it was begun if its
// records have none.
func (s *segment) newest() kafka.Timestamp {
	if s.maxTimestamp >= 0 {
		return s.maxTimestamp
	}
	return s.began
}

// DeleteRecords makes before the log start, so that nothing below it is served
// again. It returns the log start, which may be higher already. It fails with
// ErrOutOfRange above Written. Blocks.
func (l *Log) DeleteRecords(before kafka.Offset) (kafka.Offset, error) {
	if err := l.usable(); err != nil {
		return l.start, err
	}
	if before > l.written {
		return l.start, fmt.Errorf("%s: offset %d: %w: log ends at %d", l.name, before, ErrOutOfRange, l.written)
	}
	if err := l.complete(); err != nil {
		return l.start, err
	}
	if before > l.start {
		if err := l.advanceStart(before); err != nil {
			return l.start, err
		}
	}
	return l.start, l.dropSegments()
}

// advanceStart records a higher log start, and then only acts upon it. What was
// below it has to be durable up to there: a log must not end before it begins.
func (l *Log) advanceStart(to kafka.Offset) error {
	if err := l.turn.Take(kafka.Never); err != nil {
		return err
	}
	defer l.turn.Leave()
	if err := l.writableOr(); err != nil {
		return err
	}
	to = min(to, l.written)
	if to <= l.start {
		return nil
	}
	if l.durable < to {
		if err := l.flush(); err != nil {
			return err
		}
	}
	f := fact{is: factFirst, n: [6]int64{int64(to), int64(l.manifest.catalog.first)}}
	if err := l.manifest.append(mustFit, f); err != nil {
		return err
	}
	l.start = max(l.start, to)
	l.epochs.TruncateStart(l.start)
	l.trace("log start", slog.Int64("offset", int64(l.start)))
	l.announce()
	return nil
}

// writableOr is usable for what goes on without appends.
func (l *Log) writableOr() error {
	if l.ended {
		return fmt.Errorf("%s: %w", l.name, ErrClosed)
	}
	if l.failed != nil {
		return l.failed
	}
	return l.dir.failed
}

// dropSegments deletes the segments that are wholly below the log start. The
// manifest says so first, because what is missing and was not dropped counts as
// lost. Blocks.
func (l *Log) dropSegments() error {
	if err := l.care.Take(kafka.Never); err != nil {
		return err
	}
	defer l.care.Leave()
	gone, err := l.forgetSegments()
	if err != nil || len(gone) == 0 {
		return err
	}
	return l.dir.sweep.remove(l, gone) // appends do not wait for that
}

// forgetSegments takes the segments out of the log that are wholly below its
// start, durably, and returns them. Blocks.
func (l *Log) forgetSegments() ([]*segment, error) {
	if err := l.turn.Take(kafka.Never); err != nil {
		return nil, err
	}
	defer l.turn.Leave()
	if err := l.writableOr(); err != nil {
		return nil, err
	}
	n := 0
	for n < len(l.segments()) && l.segments()[n].end <= l.start && (l.segments()[n].size > 0 || n+1 < len(l.segments())) {
		n++
	}
	n, err := l.keepProducers(n)
	if err != nil {
		return nil, err
	}
	if n == len(l.segments()) && n > 0 {
		n = l.rollForRetention(n)
	}
	if n == 0 {
		return nil, nil
	}
	// What is queued may go to the segments that stay, never to those that go.
	first := l.start
	if n < len(l.segments()) {
		first = l.segments()[n].base
	}
	facts := []fact{{is: factFirst, n: [6]int64{int64(l.start), int64(first)}}}
	if n == len(l.segments()) {
		facts = append(facts, emptyPoint(l.written))
	}
	if err := l.manifest.append(mustFit, facts...); err != nil {
		return nil, err
	}
	gone := slices.Clone(l.segments()[:n])
	l.known = slices.Delete(l.segments(), 0, n)
	for _, s := range gone {
		s.gone = true
		s.durable = s.size
		s.letGo()
	}
	l.stats.Dropped += uint64(n)
	return gone, nil
}

// keepProducers has a durable snapshot of the producers where the log begins
// without its first n segments: what they say about producers goes with them, and
// a batch that is sent again has to be recognised all the same. Where there is no
// room for it, fewer segments go, and it returns how many. Blocks.
func (l *Log) keepProducers(n int) (int, error) {
	for ; n > 0; n-- {
		err := l.saveProducersBehind(n)
		if !passing(err) {
			return n, err
		}
	}
	return 0, nil
}

func (l *Log) saveProducersBehind(n int) error {
	switch {
	case n < len(l.segments()):
		return l.ensureSnapshot(n)
	case len(l.queue) > 0 && l.queue[0].segment == l.active(): // which stays then
		return l.ensureSnapshot(n - 1)
	case len(l.queue) > 0: // the producers are ahead of what is written
		return l.saveSnapshot(l.queue[0].segment)
	case l.producers.Len() == 0:
		return nil
	}
	return l.writeSnapshot(l.written, l.encodeSnapshot(l.written, l.producers))
}

// ensureSnapshot has a durable snapshot of the producers at the base of the nth
// segment. Blocks.
func (l *Log) ensureSnapshot(n int) error {
	s := l.segments()[n]
	if s.snapshot != nil || s.saved || n == 0 {
		return l.saveSnapshot(s)
	}
	p, from, err := l.producersAt(n)
	if err != nil || from == s.base {
		s.saved = err == nil
		return err
	}
	l.w.Probe("a producer snapshot was made of the segments that go")
	s.snapshot = l.encodeSnapshot(s.base, p)
	return l.saveSnapshot(s)
}

// producersAt returns the producers as they were at the base of the nth segment, and
// the offset of the snapshot that it was read from: where an unclean end came before
// one was written for this segment, those before say what it would be. Blocks.
func (l *Log) producersAt(n int) (p *txn.Producers, from kafka.Offset, err error) {
	s := l.segments()[n]
	if s.snapshot != nil {
		p, err = l.decodeSnapshot(s.snapshot, s.base)
		return p, s.base, err
	}
	before := slices.Clone(l.segments()[:n])
	var at []kafka.Offset
	for _, b := range before {
		at = append(at, b.base)
	}
	p, from, err = l.loadProducers(append(at, s.base))
	if err == nil && from < s.base {
		err = l.replay(p, before, from)
	}
	return p, from, err
}

// rollForRetention decides what happens to the active segment when all of it may
// go: it goes, and the next append begins another, unless something is queued
// for it.
func (l *Log) rollForRetention(n int) int {
	active := l.active()
	if slices.ContainsFunc(l.queue, func(q queued) bool { return q.segment == active }) || !active.settled {
		return n - 1
	}
	if len(l.queue) == 0 {
		l.tail = tail{end: l.written}
	}
	l.recent = recent{}
	return n
}
