package commitlog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/node/txn"
)

// compactionMemory bounds what the keys of one pass take, about.
const compactionMemory = 32 << 20

// compactionBuffer is how much is read and written at once.
const compactionBuffer = 1 << 20

// Compact removes records that later records with the same key have made void,
// if cleanup.policy=compact and enough has been written since the last pass. It
// touches nothing that is not held; for a log with followers, see CompactBelow.
// Blocks.
func (l *Log) Compact(now kafka.Timestamp) error { return l.CompactBelow(now, l.Held()) }

// CompactBelow is Compact for a log of which what is at stable or above is not
// decided: the last stable offset of a leader, the high watermark without
// transactions. A pass that the log's end, a truncation or retention gets in the
// way of does nothing more, and no harm. Blocks.
func (l *Log) CompactBelow(now kafka.Timestamp, stable kafka.Offset) error {
	if err := l.usable(); err != nil {
		return err
	}
	if l.o.Config.Cleanup&CleanupCompact == 0 || l.rotten {
		return nil
	}
	if err := l.complete(); err != nil {
		return err
	}
	p := &compaction{l: l, rules: l.cleanRules(), now: now, cuts: l.manifest.catalog.cuts}
	if ready, err := p.prepare(stable); err != nil || !ready {
		return err
	}
	err := p.run()
	if errors.Is(err, errInterrupted) {
		l.w.Probe("a compaction was interrupted")
		return nil
	}
	if err != nil {
		l.rotten = errors.Is(err, ErrCorrupt)
		return fmt.Errorf("%s: compaction: %w", l.name, err)
	}
	if p.cleaner == nil {
		return nil // nothing was dirty any more
	}
	l.stats.Compactions++
	l.trace("compacted", slog.Int64("end", int64(p.cleaner.end)), slog.Int64("read", p.cleaner.stats.Read),
		slog.Int64("kept", p.cleaner.stats.Kept))
	return nil
}

func (l *Log) cleanRules() cleanRules {
	c := l.o.Config
	return cleanRules{minRatio: c.MinCleanableRatio, minLag: c.MinCompactionLag, maxLag: c.MaxCompactionLag,
		segmentBytes: c.SegmentBytes}
}

// A compaction is one pass.
type compaction struct {
	l       *Log
	rules   cleanRules
	now     kafka.Timestamp
	plan    cleanPlan
	cleaner *cleaner
	in, out []byte
	cuts    uint32 // of the log when the pass began
}

// prepare decides whether there is something to do, and has the manifest ready
// for it.
func (p *compaction) prepare(stable kafka.Offset) (ready bool, err error) {
	l := p.l
	if p.plan, err = l.planCompaction(p.now, stable); err != nil || !p.plan.due {
		return false, err
	}
	if l.manifest.catalog.swapping != nil {
		if err := l.carefully(l.finishSwap); err != nil {
			return false, err
		}
	}
	// The recovery point has to lie behind what is replaced.
	if l.manifest.catalog.point.base < p.plan.end {
		if err := l.carefully(l.point); err != nil {
			return false, err
		}
	}
	c := &l.manifest.catalog
	return c.swapping == nil && c.point.base >= p.plan.end, nil
}

// cleanables describes the segments that the manifest vouches for, the active
// one excepted.
func (l *Log) cleanables() []cleanable {
	var out []cleanable
	for _, s := range l.segments() {
		if !s.sealed || s.gone || s == l.active() {
			break
		}
		c := cleanable{base: s.base, end: s.end, size: s.size, largest: s.maxTimestamp, opening: s.opening}
		if c.opening == kafka.NoTimestamp {
			c.opening = s.maxTimestamp // not known since a restart
		}
		out = append(out, c)
	}
	return out
}

// run reads the dirty part, then writes every segment up to its end anew.
func (p *compaction) run() error {
	l := p.l
	ends := newOutcomes(p.plan.dirty)
	if err := p.readMarkers(ends); err != nil {
		return err
	}
	keys := newLastOffsets(p.plan.dirty, compactionMemory)
	if err := p.readKeys(keys, ends); err != nil {
		return err
	}
	if keys.end <= p.plan.dirty {
		return nil
	}
	producers, err := p.producers()
	if err != nil {
		return err
	}
	p.cleaner = newCleaner(keys, ends, producers)
	p.cleaner.now = p.now
	p.cleaner.retention = milliseconds(l.o.Config.DeleteRetention)
	groups := groupForCleaning(l.cleanables(), keys.end, p.rules)
	for i, g := range groups {
		cleaned := p.plan.dirty
		if i == len(groups)-1 {
			cleaned = keys.end
		}
		if err := p.cleanGroup(g, cleaned); err != nil {
			return err
		}
	}
	return nil
}

// producers describes the producers that the log knows, as they were where the pass
// ends at the latest. What they sent since is not decided: where it is cut off again, or
// where a replica that fetches the log anew does not get it, a batch below is their last
// one. Blocks.
func (p *compaction) producers() ([]txn.Info, error) {
	l := p.l
	var then []txn.Info
	err := l.carefully(func() error {
		n := slices.IndexFunc(l.segments(), func(s *segment) bool { return s.base >= p.plan.end })
		if n < 0 || p.cuts != l.manifest.catalog.cuts {
			return errInterrupted
		}
		known, _, err := l.producersAt(n)
		if err == nil {
			then = known.All()
		}
		return err
	})
	now := l.producers.All()
	return slices.DeleteFunc(then, func(i txn.Info) bool {
		_, known := slices.BinarySearchFunc(now, i.ID, func(i txn.Info, id kafka.ProducerID) int { return cmp.Compare(i.ID, id) })
		return !known
	}), err
}

// readMarkers reads the control batches from the dirty part to the log's end.
func (p *compaction) readMarkers(ends *outcomes) error {
	l := p.l
	for _, s := range slices.Clone(l.segments()) {
		if s.end <= p.plan.dirty || s.size == 0 {
			continue
		}
		read, err := l.eachControl(s, ends.readMarker)
		if err == nil {
			err = l.pay(l.o.Throttle, read)
		}
		if err != nil {
			return p.because(s, err)
		}
	}
	return nil
}

// eachControl calls f with the control batches of a segment, and returns how many
// bytes were read.
func (l *Log) eachControl(s *segment, f func(record.Batch) error) (read int64, err error) {
	file, err := s.log().pin()
	if err != nil {
		return 0, l.readError(s, 0, err)
	}
	defer s.log().unpin()
	w := walk{f: file, end: s.size}
	for {
		h, ok, err := w.next()
		if err != nil || !ok {
			return w.read, l.maybeReadError(s, w.at, err)
		}
		if !w.control(h) {
			continue
		}
		r := reader{f: file, at: h.position, end: h.next()}
		b, _, err := r.next()
		if err == nil {
			err = f(b)
		}
		if err != nil {
			return w.read, l.readError(s, h.position, err)
		}
	}
}

// control reports whether the head that next returned last is of a control
// batch: its bytes are in the buffer still.
func (w *walk) control(h head) bool {
	const attributes, bit = 21, 0x20
	return binary.BigEndian.Uint16(w.buf[h.position-w.pos+attributes:])&bit != 0
}

// readKeys reads the dirty part as far as memory goes.
func (p *compaction) readKeys(keys *lastOffsets, ends *outcomes) error {
	l := p.l
	var codecs record.Codecs
	for _, s := range slices.Clone(l.segments()) {
		if s.end <= p.plan.dirty || s.size == 0 {
			continue
		}
		if s.base >= p.plan.end {
			break
		}
		full := false
		err := p.eachChunk(s, func(b record.Batch) error {
			room, err := keys.readKeys(b, ends, &codecs)
			full = full || !room
			if !room {
				return errStop
			}
			return err
		}, func() error { return nil })
		if err != nil || full {
			return p.because(s, err)
		}
		keys.end = max(keys.end, s.end)
	}
	return nil
}

// errStop ends an eachChunk early.
var errStop = errors.New("stop")

// eachChunk reads a segment in chunks and calls f with every batch, on another
// core if there is one: f touches only what the pass owns. Between chunks it
// calls then, which may block. Blocks.
func (p *compaction) eachChunk(s *segment, f func(record.Batch) error, then func() error) error {
	l := p.l
	file, err := s.log().pin()
	if err != nil {
		return l.readError(s, 0, err)
	}
	defer s.log().unpin()
	v := verifying{l: l, s: s, end: s.base}
	if v.known, err = s.index.floor(l, func(e entry) bool { return e.position == 0 }); err != nil {
		return l.readError(s, 0, err)
	}
	want := compactionBuffer
	for at := int64(0); at < s.size; {
		n := int(min(int64(want), s.size-at))
		if err := p.fill(&v, file, n); err != nil {
			return l.readError(s, at, err)
		}
		used := 0
		l.w.Offload(func() { used, want, err = eachBatch(p.in, f) })
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return l.readError(s, at+int64(used), err)
		}
		if used == 0 && (want <= n || int64(n) == s.size-at) {
			return l.readError(s, at, fmt.Errorf("%w: %d bytes are no batch", errBatch, n))
		}
		l.stats.CompactRead += uint64(used)
		if err := then(); err != nil {
			return err
		}
		if err := l.pay(l.o.Throttle, int64(used)); err != nil {
			return err
		}
		if err := p.interrupted(s); err != nil {
			return err
		}
		at += int64(used)
	}
	return nil
}

// fill reads a chunk, and checks that its whole batches are those that were put
// there: what a pass takes for granted it makes true. What is not is read twice
// more. Blocks.
func (p *compaction) fill(v *verifying, f env.File, n int) error {
	p.in = slices.Grow(p.in[:0], n)[:n]
	for try := 1; ; try++ {
		if err := readFull(f, p.in, v.at); err != nil {
			return err
		}
		before := *v
		err := v.check(&reader{f: f, at: v.at, end: v.at + int64(wholeBatches(p.in)), buf: p.in, pos: v.at, held: n})
		if err == nil || !errors.Is(err, errBatch) || try == tries {
			return err
		}
		*v = before
	}
}

// wholeBatches returns how many bytes of b are whole batches, by what they claim.
func wholeBatches(b []byte) int {
	used := 0
	for {
		n := batchSize(b[used:])
		if n <= 0 || n > len(b)-used {
			return used
		}
		used += n
	}
}

// errInterrupted says that the log has changed in a way that makes the pass
// void.
var errInterrupted = errors.New("interrupted")

// interrupted is the second look of a pass.
func (p *compaction) interrupted(s *segment) error {
	if err := p.l.usable(); err != nil {
		return err
	}
	if s.gone || !s.sealed {
		return errInterrupted
	}
	return nil
}

// eachBatch calls f with the whole batches of b. It returns how many bytes they
// are, and how many are wanted next. Pure.
func eachBatch(b []byte, f func(record.Batch) error) (used, want int, err error) {
	want = compactionBuffer
	for used < len(b) {
		v, n, err := record.View(b[used:])
		if errors.Is(err, record.ErrShort) {
			return used, max(want, batchSize(b[used:])), nil
		}
		if err == nil {
			err = v.CheckCRC()
		}
		if err == nil {
			err = f(v)
		}
		if err != nil {
			return used, want, err
		}
		used += n
	}
	return used, want, nil
}

// batchSize returns the size that a batch claims which is not wholly there.
func batchSize(b []byte) int {
	const lengthEnd = 12
	if len(b) < lengthEnd {
		return 0
	}
	return min(maxBatch, int(binary.BigEndian.Uint32(b[8:]))+lengthEnd)
}

// because returns an error of reading a segment, or that the segment went away or
// the log was cut meanwhile.
func (p *compaction) because(s *segment, err error) error {
	if err != nil && (s.gone || p.cuts != p.l.manifest.catalog.cuts) && p.l.dir.failed == nil {
		return errInterrupted
	}
	return err
}

// cleanGroup writes one group of segments anew and swaps it in.
func (p *compaction) cleanGroup(g []cleanable, cleaned kafka.Offset) error {
	l := p.l
	olds := l.segmentsIn(g)
	if olds == nil {
		return errInterrupted
	}
	s := newSegment(l.dir, l.o.Path, g[0].base)
	err := p.writeCleaned(s, olds)
	if err == nil {
		err = l.carefully(func() error {
			if now := l.segmentsIn(g); !slices.Equal(now, olds) {
				return errInterrupted
			}
			return l.swapIn(s, olds, cleaned)
		})
	}
	if err != nil {
		l.removeCleaned(s)
	}
	return err
}

// segmentsIn returns the segments of a group, nil if they are not what they were.
func (l *Log) segmentsIn(g []cleanable) []*segment {
	i := slices.IndexFunc(l.segments(), func(s *segment) bool { return s.base == g[0].base })
	if i < 0 || i+len(g) >= len(l.segments()) {
		return nil
	}
	olds := slices.Clone(l.segments()[i : i+len(g)])
	for k, s := range olds {
		if !s.sealed || s.base != g[k].base || s.end != g[k].end || s.size != g[k].size {
			return nil
		}
	}
	return olds
}

// removeCleaned removes what was written of a segment that is not swapped in. A
// swap that was committed needs it.
func (l *Log) removeCleaned(s *segment) {
	if w := l.manifest.catalog.swapping; l.dir.failed != nil || w != nil && w.committed {
		return
	}
	for _, suffix := range []string{logSuffix, indexSuffix} {
		path := s.file(suffix) + cleanedSuffix
		if err := l.dir.fs.Remove(path); err != nil && !errors.Is(err, env.ErrNotExist) {
			l.w.Log.Warn("cannot remove what a compaction left", "path", path, "err", err)
		}
	}
}

// carefully runs f while no other work behind the scenes touches the files and
// nothing is cut off. Appends and reads go on. Blocks.
func (l *Log) carefully(f func() error) error {
	if err := l.care.Take(kafka.Never); err != nil {
		return err
	}
	defer l.care.Leave()
	if err := l.usable(); err != nil {
		return err
	}
	return f()
}
