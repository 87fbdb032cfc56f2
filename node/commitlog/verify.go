package commitlog

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// What this process did not write itself is checked before it is served, once; what
// is copied on its way out is looked at each time, and all of it by a scrub. A
// batch's checksum leaves out its base offset and its leader epoch; those have to
// follow from the batch before, from the index, and from the leader epochs that
// the log knows. So a check begins at a batch that the index identifies.
//
// What is bad is read twice more, then it is taken out: it is never served nor
// looked at again, up to the next batch that the index knows. What is before and
// behind it is served.

// tries is how often a batch is read before it counts as bad.
const tries = 3

// A part is a range of a segment's file, and how often the log had been cut when the
// range was found. After a cut since, what is missing of it is not rotten.
type part struct {
	s        *segment
	f        env.File
	from, to int64
	cuts     uint32
}

// verify checks the batches of a part, the first time it is read; and every time
// once the directory has failed, because then the page cache may show anything.
// It returns where the good ones end; without any, what is wrong. Blocks.
func (l *Log) verify(p part) (int64, error) {
	s, from, to := p.s, p.from, p.to
	if bad, ok := s.bad.first(from, to); ok {
		if bad.from <= from {
			return from, fmt.Errorf("%w: positions %d to %d were taken out", ErrCorrupt, bad.from, bad.to)
		}
		to = bad.from
	}
	if l.dir.failed == nil && (s.fresh || s.checked.contains(from, to)) {
		return to, nil
	}
	e, err := s.index.floor(l, func(e entry) bool { return e.position <= from })
	if err != nil {
		return from, err
	}
	v := verifying{l: l, s: s, at: e.position, end: e.offset, known: e}
	if e.length == 0 && from > readerBuffer {
		v.at, v.end = from, kafka.NoOffset // there is no index
	}
	began := v.at
	for try := 1; ; try++ {
		err := v.check(&reader{f: p.f, at: v.at, end: to})
		if err == nil {
			s.checked.add(began, to)
			return to, nil
		}
		if !errors.Is(err, errBatch) {
			return from, err
		}
		if try < tries {
			continue
		}
		l.takeOut(part{s: s, from: v.at, cuts: p.cuts}, err)
		if v.at <= from {
			return from, err
		}
		s.checked.add(began, v.at)
		return v.at, nil
	}
}

// A verifying is a walk through batches, each of which has to be the one that was
// put there.
type verifying struct {
	l      *Log
	s      *segment
	at     int64        // up to here everything is good
	end    kafka.Offset // what the batch before ends with; NoOffset if there was none
	known  entry        // what the index says about the batch it began with
	window []entry      // of the index, what was read of it last
}

// check goes on to the end of what the reader has. What is not a batch of this
// place is errBatch. Blocks.
func (v *verifying) check(r *reader) error {
	for {
		if more, err := v.next(r); err != nil || !more {
			return err
		}
	}
}

// next goes on by one batch, if there is one more. Blocks.
func (v *verifying) next(r *reader) (more bool, err error) {
	at := r.at
	b, ok, err := r.next()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fmt.Errorf("%w: file ends before %d", errBatch, r.end)
	}
	if err != nil || !ok {
		return false, err
	}
	if err := v.belongs(headOf(b, at), entryOf(b, at)); err != nil {
		return false, err
	}
	v.at, v.end = r.at, b.EndOffset()
	return true, nil
}

// belongs checks what a batch's checksum leaves out: its place in the log. Blocks.
func (v *verifying) belongs(h head, is entry) error {
	s, at := v.s, h.position
	if h.base < s.base || h.end > s.end || h.end <= h.base {
		return fmt.Errorf("%w: at %d: offsets %d to %d in a segment of %d to %d", errBatch, at, h.base, h.end, s.base, s.end)
	}
	if es := v.l.epochs.entries; len(es) > 0 && h.base >= es[0].Start && h.epoch != v.l.epochs.EpochAt(h.base) {
		return fmt.Errorf("%w: at %d: offset %d of leader epoch %d, was of %d", errBatch, at, h.base, h.epoch, v.l.epochs.EpochAt(h.base))
	}
	if h.base == v.end && (v.known.length == 0 || at != v.known.position) {
		return nil
	}
	if v.end != kafka.NoOffset && h.base < v.end {
		return fmt.Errorf("%w: at %d: offset %d behind %d", errBatch, at, h.base, v.end)
	}
	return v.identified(is)
}

// identified asks the index about a batch that does not follow the one before: it
// has an entry. Without an index that has to be believed. Blocks.
func (v *verifying) identified(is entry) error {
	e, err := v.entryFor(is.position)
	if err != nil || v.s.index.broken {
		return err
	}
	if e.length == 0 || e.position != is.position || !e.same(is) {
		return fmt.Errorf("%w: at %d: offset %d, epoch %d, %d bytes are not what the index says: offset %d at %d, epoch %d, %d bytes",
			errBatch, is.position, is.offset, is.epoch, is.length, e.offset, e.position, e.epoch, e.length)
	}
	return nil
}

// entryFor returns the last entry of the index up to a position. One batch after
// the other asks, so the entries behind are read with it. Blocks.
func (v *verifying) entryFor(at int64) (entry, error) {
	if n := len(v.window); n == 0 || at < v.window[0].position || at > v.window[n-1].position {
		w, err := v.s.index.from(v.l, at)
		if err != nil {
			return entry{}, err
		}
		v.window = w
	}
	i := sort.Search(len(v.window), func(i int) bool { return v.window[i].position > at })
	if i == 0 {
		return entry{}, nil
	}
	return v.window[i-1], nil
}

// checkHead is belongs for a head on the way to what is looked for. Only what does
// not follow the batch before is asked about. Blocks.
func (v *verifying) checkHead(h head, w *walk) error {
	if h.base == v.end && h.end <= v.s.end {
		v.at, v.end = h.next(), h.end
		return nil
	}
	is := entry{offset: h.base, position: h.position, length: h.size, epoch: h.epoch, identity: identityOf(w.buf[h.position-w.pos:])}
	if err := v.belongs(h, is); err != nil {
		return err
	}
	v.at, v.end = h.next(), h.end
	return nil
}

// misled looks closer at a part at the end of which a walk came upon err, on to the
// next batch that the index knows, and returns err. Blocks.
func (l *Log) misled(p part, err error) error {
	to, indexErr := p.s.index.next(l, p.to)
	if indexErr == nil {
		p.to = to
		_, indexErr = l.verify(p)
	}
	if indexErr != nil && !errors.Is(indexErr, ErrCorrupt) && !errors.Is(indexErr, errBatch) {
		return indexErr
	}
	return err
}

// takeOut has a part of a segment not served any more: from where it begins to the
// next batch that the index knows. Blocks.
func (l *Log) takeOut(p part, err error) {
	s, at := p.s, p.from
	to, entryErr := s.index.next(l, at)
	if entryErr != nil || to <= at || to > s.size {
		to = s.size
	}
	// Second look, at all that was read since the part was found.
	if s.gone || p.cuts != l.manifest.catalog.cuts || to <= at {
		l.w.Probe("a part was cut off or replaced while it was checked")
		return
	}
	s.bad.add(at, to)
	l.stats.TakenOut += uint64(to - at)
	l.w.Probe("a part of a log was taken out because it is corrupt")
	for _, f := range l.hurt {
		f(fmt.Errorf("%s: %s at %d: %w: %w", l.name, s, at, ErrCorrupt, err))
	}
	if s.blamed {
		return
	}
	s.blamed = true
	l.w.Log.Error("a part of a log is corrupt and not served any more", "partition", l.name, "segment", s.String(),
		"position", at, "bytes", to-at, "err", err)
}

// damaged tells once about a segment that the disk does not give, or not as it
// was written.
func (l *Log) damaged(s *segment, at int64, err error) {
	corrupt := errors.Is(err, ErrCorrupt)
	if corrupt {
		l.w.Probe("a read was refused because its batch is corrupt")
		l.stats.Corrupt++
	}
	if s.blamed || s.gone || !corrupt && !errors.Is(err, env.ErrIO) {
		return
	}
	s.blamed = true
	l.w.Probe("a segment cannot be read")
	l.w.Log.Error("a segment cannot be read", "partition", l.name, "segment", s.String(), "position", at, "err", err)
}
