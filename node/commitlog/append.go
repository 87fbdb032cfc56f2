package commitlog

import (
	"fmt"
	"log/slog"
	"math"
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/node/txn"
)

// An AppendResult says where records went, or had gone before.
type AppendResult struct {
	Base, End kafka.Offset // half open

	// LogAppendTime is what the records got with
	// message.timestamp.type=LogAppendTime, otherwise kafka.NoTimestamp.
	LogAppendTime kafka.Timestamp

	// Duplicate: an idempotent producer had sent the batch before, and it has
	// the offsets it got then. Whether they are held is still to be waited for.
	Duplicate bool

	era *era
}

// A queued is a batch that has its offsets and is not yet in its file.
type queued struct {
	batch    record.Batch
	segment  *segment
	position int64
	indexed  bool // it gets an index entry
	gap      bool // its offset does not follow the one before
}

// tail is where the next batch goes, behind all that is queued.
type tail struct {
	segment *segment
	end     kafka.Offset // of what is there; smaller than the log's end behind a gap
	size    int64
	entries int
	last    int64 // position of the last batch with an index entry
	opening kafka.Timestamp
	began   kafka.Timestamp
	jitter  int64 // milliseconds by which it is rolled before its time
}

// Append gives the batches, which were validated, the next offsets and the
// leader epoch, in place, and queues them. The bytes are the log's until Written
// passes them, and nobody may change them ever after.
//
// It fails, and then nothing has happened, with txn's errors about sequences,
// ErrRefused, ErrOffline, ErrClosed or ErrBadBatch. It does not block.
func (l *Log) Append(batches []byte, epoch kafka.LeaderEpoch) (AppendResult, error) {
	if err := l.appendable(); err != nil {
		return AppendResult{}, err
	}
	if latest := l.epochs.Latest(); epoch < latest {
		return AppendResult{}, fmt.Errorf("%s: %w: epoch %d after %d", l.name, ErrBadBatch, epoch, latest)
	}
	views, err := l.view(batches)
	if err != nil {
		return AppendResult{}, err
	}
	if d, err := l.admit(views); err != nil {
		return AppendResult{}, err
	} else if d.Verdict == txn.Duplicate {
		return l.duplicate(d.Batch, views[0]), nil
	}
	r := AppendResult{Base: l.end, LogAppendTime: kafka.NoTimestamp, era: l.era}
	if l.o.Config.Timestamps == record.LogAppendTime {
		r.LogAppendTime = l.w.Wall()
	}
	for _, b := range views {
		b.Assign(l.end, epoch)
		if r.LogAppendTime != kafka.NoTimestamp {
			b.SetMaxTimestamp(record.LogAppendTime, r.LogAppendTime)
		}
		l.enqueue(b)
	}
	r.End = l.end
	l.startWriter()
	return r, nil
}

// AppendReplica queues batches as another replica has them, offsets, epochs and
// all. Their offsets are not below End. It fails as Append does, without looking
// at sequences. It does not block.
func (l *Log) AppendReplica(batches []byte) (AppendResult, error) {
	if err := l.appendable(); err != nil {
		return AppendResult{}, err
	}
	views, err := l.view(batches)
	if err != nil {
		return AppendResult{}, err
	}
	end, epoch := l.end, l.epochs.Latest()
	for _, b := range views {
		if b.BaseOffset() < end || b.LeaderEpoch() < epoch {
			return AppendResult{}, fmt.Errorf("%s: %w: offset %d epoch %d behind end %d epoch %d",
				l.name, ErrBadBatch, b.BaseOffset(), b.LeaderEpoch(), end, epoch)
		}
		end, epoch = b.EndOffset(), b.LeaderEpoch()
	}
	for _, b := range views {
		l.enqueue(b)
	}
	l.startWriter()
	return AppendResult{Base: views[0].BaseOffset(), End: end, LogAppendTime: kafka.NoTimestamp, era: l.era}, nil
}

// appendable tells why nothing may be appended right now.
func (l *Log) appendable() error {
	if err := l.usable(); err != nil {
		return err
	}
	if l.cutting {
		return fmt.Errorf("%s: %w: it is being truncated", l.name, ErrRefused)
	}
	if l.dir.Full() {
		return fmt.Errorf("%s: %w: %s was full a moment ago", l.name, ErrRefused, l.dir.name)
	}
	return nil
}

// view takes the batches apart.
func (l *Log) view(b []byte) ([]record.Batch, error) {
	var views []record.Batch
	for len(b) > 0 {
		v, n, err := record.View(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", l.name, ErrBadBatch, err)
		}
		if n > maxBatch || v.LastOffsetDelta() < 0 {
			return nil, fmt.Errorf("%s: %w: batch of %d bytes, last offset delta %d", l.name, ErrBadBatch, n, v.LastOffsetDelta())
		}
		views = append(views, v)
		b = b[n:]
	}
	if len(views) == 0 {
		return nil, fmt.Errorf("%s: %w: no batch", l.name, ErrBadBatch)
	}
	return views, nil
}

// Recognises reports whether a batch is one that its idempotent producer had sent
// before: Append would repeat the answer it got. The batch need not be valid. It
// does not block.
func (l *Log) Recognises(b record.Batch) bool {
	idempotent := b.ProducerID() >= 0 && b.ProducerEpoch() >= 0 && b.BaseSequence() >= 0 && b.LastOffsetDelta() >= 0
	if !idempotent || b.Control() || l.appendable() != nil {
		return false
	}
	d, err := l.admit([]record.Batch{b})
	return err == nil && d.Verdict == txn.Duplicate
}

// admit asks about the sequences of idempotent producers. Of several batches
// each is judged as if those before had been appended, and none may be a
// duplicate. It leaves nothing behind.
func (l *Log) admit(views []record.Batch) (txn.Decision, error) {
	defer l.producers.Undo(l.end)
	next := l.end
	for i, b := range views {
		if b.ProducerID() == kafka.NoProducerID || b.Control() {
			next += kafka.Offset(b.LastOffsetDelta()) + 1
			continue
		}
		p := l.producerBatch(headOf(b, 0))
		d := l.producers.Check(p)
		if err := d.Err(); err != nil {
			return d, fmt.Errorf("%s: %w", l.name, err)
		}
		if d.Verdict == txn.Duplicate && len(views) == 1 {
			return d, nil
		}
		if d.Verdict == txn.Duplicate {
			return d, fmt.Errorf("%s: %w: batch %d of %d is a duplicate", l.name, ErrBadBatch, i, len(views))
		}
		if i+1 < len(views) {
			p.Base = next
			l.producers.Record(p)
		}
		next += kafka.Offset(b.LastOffsetDelta()) + 1
	}
	return txn.Decision{Verdict: txn.Append}, nil
}

// producerBatch returns what a batch says about its producer. How long a producer
// has been silent is told by this machine's clock: its records may be as old as
// they like, and it is to be remembered all the same. After a restart the time of
// the recovery counts.
func (l *Log) producerBatch(h head) txn.Batch {
	ts := l.w.Wall()
	if l.o.Config.Timestamps == record.LogAppendTime && h.maxTimestamp >= 0 {
		ts = h.maxTimestamp
	}
	return txn.Batch{Producer: h.producer, Epoch: h.producerEpoch, First: h.sequence,
		Last: h.sequence.Add(int32(h.end - h.base - 1)), Base: h.base, Timestamp: ts}
}

// remember notes what a batch says about its producer and its leader epoch.
func (l *Log) remember(h head) {
	l.rememberProducer(l.producers, h)
	l.epochs.Assign(h.epoch, h.base)
}

func (l *Log) rememberProducer(in *txn.Producers, h head) {
	switch {
	case h.producer == kafka.NoProducerID:
	case h.control():
		in.RecordMarker(h.producer, h.producerEpoch, h.end-1, h.maxTimestamp)
	case h.sequence >= 0:
		in.Record(l.producerBatch(h))
	}
}

func (l *Log) duplicate(first txn.Batch, again record.Batch) AppendResult {
	l.w.Probe("a batch was recognised as a duplicate")
	r := AppendResult{Base: first.Base, End: first.Base + kafka.Offset(again.LastOffsetDelta()) + 1,
		LogAppendTime: kafka.NoTimestamp, Duplicate: true, era: l.era}
	if l.o.Config.Timestamps == record.LogAppendTime {
		r.LogAppendTime = first.Timestamp
	}
	return r
}

// enqueue places a batch behind the tail.
func (l *Log) enqueue(b record.Batch) {
	if l.mustRoll(b) {
		l.roll(l.baseFor(b))
	}
	t := &l.tail
	l.remember(headOf(b, t.size))
	q := queued{batch: b, segment: t.segment, position: t.size, gap: b.BaseOffset() != t.end}
	q.indexed = q.gap || t.last == noPosition || q.position-t.last >= l.o.Config.IndexInterval ||
		l.w.Buggify("an index entry for every batch")
	if q.indexed {
		t.entries++
		t.last = q.position
	}
	if t.size == 0 {
		t.opening = b.MaxTimestamp()
	}
	t.size += int64(b.Size())
	t.end = b.EndOffset()
	l.end = t.end
	l.queue = append(l.queue, q)
	l.queued += b.Size()
}

// Queued returns the bytes that were appended and are not yet written.
func (l *Log) Queued() int { return l.queued }

// mustRoll reports whether the batch begins a new segment.
func (l *Log) mustRoll(b record.Batch) bool {
	t, c := &l.tail, l.o.Config
	if t.segment == nil {
		return true
	}
	if b.LastOffset()-t.segment.base > math.MaxInt32 || t.size+int64(b.Size()) > math.MaxInt32 {
		return true
	}
	if t.size == 0 {
		return false
	}
	return t.size+int64(b.Size()) > c.SegmentBytes ||
		int64(t.entries)*8 >= c.IndexBytes ||
		l.aged(b) || l.w.Buggify("roll a segment early")
}

// baseFor returns where a segment begins whose first batch is b: at the log's end,
// though a leader that has compacted its log may send a batch from behind that. If
// it cannot be written after all, another leader may send what lies in between.
func (l *Log) baseFor(b record.Batch) kafka.Offset {
	return max(l.tail.end, b.LastOffset()-math.MaxInt32)
}

// aged reports whether the tail's segment is older than segment.ms allows, and in
// a compacted log max.compaction.lag.ms, by the timestamps of its batches or,
// without them, by the clock.
func (l *Log) aged(b record.Batch) bool {
	t, limit := &l.tail, l.o.Config.SegmentTime.Milliseconds()
	if lag := l.o.Config.compactionLag().Milliseconds(); lag > 0 && (limit <= 0 || lag < limit) {
		limit = lag
	}
	if limit <= 0 {
		return false
	}
	limit -= min(limit-1, t.jitter)
	if t.opening >= 0 && b.MaxTimestamp() >= 0 {
		return int64(b.MaxTimestamp()-t.opening) > limit
	}
	return int64(l.w.Wall()-t.began) > limit
}

// roll has the batches from base on go to a new segment, which is prepared by
// another task while those before are still being written. What the
// producers have done up to here is kept beside it.
func (l *Log) roll(base kafka.Offset) {
	s := newSegment(l.dir, l.o.Path, base)
	s.fresh, s.began = true, l.w.Wall()
	s.follows = l.tail.end
	s.before = l.abandonedAt(base)
	s.snapshot = l.encodeSnapshot(base, l.producers)
	l.setTail(s, s.follows)
	l.trace("roll", slog.Int64("base", int64(base)))
	l.preparing++
	if l.unprepared = append(l.unprepared, s); l.preparers < maxPreparers {
		l.preparers++
		l.w.Go("prepare segments of "+l.o.Path, l.prepareAll)
	}
}

// setTail has the next batch go to the end of a segment. Batches end at end.
func (l *Log) setTail(s *segment, end kafka.Offset) {
	c := l.o.Config
	l.tail = tail{segment: s, end: end, size: s.size, last: s.index.last, opening: s.opening,
		entries: s.index.entries + len(s.index.waiting), began: s.began}
	if j := c.SegmentJitter.Milliseconds(); j > 0 {
		l.tail.jitter = l.w.Rand("commitlog/jitter").Int64N(j)
	}
}

// refuse takes back all that is queued, offsets and all. What was queued behind
// the batch that did not fit has to go with it: with its offsets it would leave
// a gap, and it may be of a producer whose earlier batch is not there.
func (l *Log) refuse(err error) {
	assert.That(len(l.queue) > 0, "%s: nothing to refuse", l.name)
	l.takeBack(fmt.Errorf("%s: offsets %d to %d: %w: %w", l.name, l.written, l.end, ErrRefused, err))
	l.stats.Refused++
	l.waiters.all()
	l.announce()
}

// takeBack drops all that is queued: the log ends where it is written. Who waits
// is still to be woken.
func (l *Log) takeBack(why error) {
	l.endEra(l.written, why)
	var unbegun []*segment
	for _, q := range l.queue {
		if q.segment != l.active() && !slices.Contains(unbegun, q.segment) {
			unbegun = append(unbegun, q.segment)
		}
	}
	l.dropQueue(len(l.queue))
	for _, s := range unbegun {
		l.abandon(s)
	}
	l.producers.Undo(l.written)
	l.epochs.TruncateEnd(l.written)
	l.end = l.written
	l.tailAtEnd()
}

func (l *Log) dropQueue(n int) {
	for _, q := range l.queue[:n] {
		l.queued -= q.batch.Size()
	}
	l.queue = slices.Delete(l.queue, 0, n)
}
