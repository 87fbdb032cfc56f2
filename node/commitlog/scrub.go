package commitlog

import (
	"bytes"
	"errors"
	"slices"

	"github.com/klammlog/klamm/node/env"
)

// A scrub is a walk through all that a log has synced, to see whether it is still
// what was put there: what this process wrote itself, or has checked once, no read
// looks at again.
type scrub struct {
	l    *Log
	t    *Throttle
	v    verifying
	r    reader
	end  int64  // of what is looked at in the segment
	cuts uint32 // of the log when the segment was begun
}

// errLeft says that a segment is not what it was when its scrub began.
var errLeft = errors.New("segment was cut, deleted or replaced")

// Scrub reads again everything that is synced, at the pace of t; nil is no limit. A
// batch that is not the one that was put there is read twice more, and then taken
// out up to the next one that the index knows, as if a read had come upon it:
// OnDamage tells. Then it goes on. What cannot be read is left to the next time. What
// is cut off, deleted or compacted meanwhile is not looked at any further. At last it
// looks at the partition file and the manifest, and mends them.
//
// It fails if the log ends or fails, or with env.ErrCanceled. Blocks.
func (l *Log) Scrub(t *Throttle) error {
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.complete(); err != nil {
		return err
	}
	x := scrub{l: l, t: t}
	for _, s := range slices.Clone(l.segments()) {
		if s.end <= l.start {
			continue // nothing of it is served
		}
		err := x.segment(s)
		if errors.Is(err, errLeft) {
			l.w.Probe("a scrub left a segment that changed")
			continue
		}
		if err != nil {
			return err
		}
	}
	if err := l.carefully(l.mendIdentity); err != nil {
		return err
	}
	return l.carefully(l.manifest.mend)
}

// segment goes through one segment. Blocks.
func (x *scrub) segment(s *segment) error {
	begin := func() error {
		x.end, x.cuts = s.durable, x.l.manifest.catalog.cuts
		x.v.s = s
		return x.anchor(0)
	}
	// Not while it is being cut: its index knows what goes until the end.
	if err := x.l.carefully(begin); err != nil {
		return err
	}
	for x.v.at < x.end {
		from := x.v.at
		if err := x.l.carefully(x.step); err != nil {
			return err
		}
		if err := x.l.pay(x.t, x.v.at-from); err != nil {
			return err
		}
	}
	return nil
}

// anchor goes on at a position where the index knows a batch, or where the segment
// begins or ends. Blocks.
func (x *scrub) anchor(at int64) error {
	s := x.v.s
	e, err := s.index.floor(x.l, func(e entry) bool { return e.position <= at })
	x.v = verifying{l: x.l, s: s, at: at, end: e.offset, known: e}
	if err != nil || e.position != at {
		x.v.at = x.end // the index does not say how to go on
	}
	if err != nil {
		return x.because(err)
	}
	return nil
}

// step looks at the next part of the segment: meanwhile nothing is cut off and
// nothing replaced. Blocks.
func (x *scrub) step() error {
	l, s := x.l, x.v.s
	if bad, ok := s.bad.first(x.v.at, x.v.at+1); ok {
		return x.anchor(bad.to)
	}
	f, err := s.log().pin()
	if err != nil {
		return x.because(err)
	}
	defer s.log().unpin()
	if x.left() {
		return errLeft
	}
	from := x.v.at
	for try := 1; ; try++ {
		if err = x.read(f); err == nil || errors.Is(err, env.ErrCanceled) || try == tries {
			break
		}
	}
	l.stats.Scrubbed += uint64(x.v.at - from)
	if !s.fresh && x.v.at > from {
		s.checked.add(from, x.v.at)
	}
	if err == nil {
		return nil
	}
	if err = x.because(err); err == nil {
		return x.skip()
	}
	return err
}

// read checks as many batches as are read at once, up to where damage is known.
// Blocks.
func (x *scrub) read(f env.File) error {
	end := x.end
	if bad, ok := x.v.s.bad.first(x.v.at, end); ok {
		end = bad.from
	}
	x.r = reader{f: f, at: x.v.at, end: end, buf: x.r.buf}
	for {
		if more, err := x.v.next(&x.r); err != nil || !more {
			return err
		}
		if left := x.r.left(); len(left) < batchSize(left) || batchSize(left) == 0 {
			return nil
		}
	}
}

// left reports whether the segment is not what it was when its scrub began.
func (x *scrub) left() bool { return x.v.s.gone || x.cuts != x.l.manifest.catalog.cuts }

// because says what an error of looking at the segment means. What is damaged is
// taken out, what cannot be read is told: then it returns nil. Blocks.
func (x *scrub) because(err error) error {
	l, s := x.l, x.v.s
	switch {
	case x.left():
		return errLeft
	case errors.Is(err, errBatch):
		l.w.Probe("a scrub came upon damage")
		l.takeOut(part{s: s, from: x.v.at, cuts: x.cuts}, err)
	case errors.Is(err, env.ErrCanceled), l.dir.failed != nil:
		return err
	default:
		l.w.Probe("a scrub could not read a part of a log")
		_ = l.readError(s, x.v.at, err) // it tells whoever looks after the node; the next round looks again
	}
	return nil
}

// skip goes on behind what is damaged or cannot be read. Blocks.
func (x *scrub) skip() error {
	to, err := x.v.s.index.next(x.l, x.v.at)
	if err != nil || to <= x.v.at {
		to = x.end
	}
	return x.anchor(to)
}

// mendIdentity has the partition file say again whose log this is, if it does not any
// more: this process knows it, and the next one would refuse the whole log. Blocks.
func (l *Log) mendIdentity() error {
	path, want := l.o.Path+"/"+partitionName, l.identity()
	for range tries {
		b, err := readWhole(l.dir.fs, path)
		if errors.Is(err, env.ErrCanceled) {
			return err
		}
		if err != nil {
			l.w.Probe("a scrub could not read a partition file")
			return nil // the next round looks again
		}
		if bytes.Equal(b, want) {
			return nil
		}
	}
	l.w.Probe("a partition file was corrupt and was written anew")
	l.w.Log.Error("a partition file is corrupt and written anew", "partition", l.name, "path", path)
	if err := writeWhole(l.dir.fs, l.o.Path, path, want); err != nil {
		return l.judge("write "+path, err)
	}
	return nil
}
