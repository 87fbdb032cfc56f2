package commitlog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A recovery puts a log in order after an unclean end, in steps that a crash may
// interrupt anywhere:
//
//  1. look: read what there is, and decide. Nothing is changed, so that rot
//     leaves everything as it was found
//  2. what is kept is written back and synced
//  3. what is not is cut off, after the manifest says so
//  4. indexes and the producers' state are made again
//  5. the manifest says how far the log goes
type recovery struct {
	l       *Log
	names   []string
	rubbish []string // files that belong to nobody
	scans   []*scan
	torn    *scan // where the log is cut, if it is
}

func (l *Log) recover() error {
	r := &recovery{l: l}
	c := &l.manifest.catalog
	l.start, l.epochs = c.start, Epochs{entries: c.epochs.Entries()}
	l.end = max(c.start, c.end) // if there is nothing
	if c.cutting != nil && c.cutBase == kafka.NoOffset {
		l.start, l.end = c.cutting.offset, c.cutting.offset // a Reset that was not concluded
	}
	for _, step := range []func() error{r.list, r.look, r.keep, r.cut, r.reindex, r.conclude} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// list compares the directory with the manifest.
func (r *recovery) list() error {
	l, c := r.l, &r.l.manifest.catalog
	names, err := l.dir.fs.ReadDir(l.o.Path)
	if err != nil {
		return err
	}
	slices.Sort(names)
	r.names = names
	list := slices.Clone(c.list())
	for _, name := range names {
		if strings.HasSuffix(name, deletedSuffix) || strings.HasSuffix(name, tempSuffix) {
			r.rubbish = append(r.rubbish, name)
		}
		base, ok := parseName(name, logSuffix)
		if _, known := c.find(base); !ok || known {
			continue
		}
		stale, err := r.stale(base)
		if err != nil {
			return err
		}
		if stale {
			r.rubbish = append(r.rubbish, name, fileName(base, indexSuffix))
			continue
		}
		list = append(list, listed{base: base, follows: base})
	}
	slices.SortFunc(list, func(a, b listed) int { return int(min(1, max(-1, a.base-b.base))) })
	for _, k := range list {
		if !slices.Contains(names, fileName(k.base, logSuffix)) {
			return fmt.Errorf("%w: segment %d is missing", ErrQuarantined, k.base)
		}
	}
	l.known, l.elder = l.segmentsOf(list), totals{}
	return nil
}

// stale reports whether a segment's file that the manifest does not list is one
// that was deleted or replaced, or was never written to.
func (r *recovery) stale(base kafka.Offset) (bool, error) {
	l, c := r.l, &r.l.manifest.catalog
	if base < c.first || (c.cutting != nil && base > c.cutBase) {
		r.l.w.Probe("recovery removed a segment that came back")
		return true, nil
	}
	for _, k := range c.list() {
		if k.sealed && k.base < base && base < k.end {
			r.l.w.Probe("recovery removed a segment that came back")
			return true, nil
		}
	}
	info, err := l.dir.fs.Stat(l.o.Path + "/" + fileName(base, logSuffix))
	return err == nil && info.Size == 0, err
}

// keep writes back what was found beyond proof, and syncs it: the process before
// may have failed to, and the kernel then believes that it is on the disk.
func (r *recovery) keep() error {
	l := r.l
	if err := l.dir.fs.SyncDir(l.o.Path); err != nil {
		return l.dir.fail("sync directory "+l.o.Path, err)
	}
	for _, x := range r.scans {
		if err := r.rewrite(x); err != nil {
			return err
		}
		if x == r.torn {
			return nil
		}
	}
	return nil
}

func (r *recovery) rewrite(x *scan) error {
	l, s := r.l, x.s
	f, err := s.log().pin()
	if err != nil {
		return l.judge("open "+s.String(), err)
	}
	defer s.log().unpin()
	buf := make([]byte, min(readerBuffer, max(0, s.size-min(s.size, x.proven))))
	for at := min(s.size, x.proven); at < s.size; {
		n := min(int64(len(buf)), s.size-at)
		if err := readFull(f, buf[:n], at); err != nil {
			return err
		}
		if _, err := writeFull(f, buf[:n], at); passing(err) {
			break // a file system that needs space even for this; the sync has to do
		} else if err != nil {
			return l.judge("write back "+s.String(), err)
		}
		at += n
	}
	if err := f.Sync(); err != nil {
		return l.dir.fail("sync "+s.String(), err)
	}
	s.durable = s.size
	s.checked.add(x.from, s.size)
	return nil
}

// cut removes what is behind the last good batch, and files that belong to
// nobody.
func (r *recovery) cut() error {
	l, c := r.l, &r.l.manifest.catalog
	if len(l.segments()) == 0 && c.cutting != nil {
		if err := l.manifest.prove(); err != nil {
			return err
		}
		if err := l.removeFiles(nil, kafka.NoOffset); err != nil {
			return err
		}
	}
	x := r.torn
	if x == nil && c.cutting != nil {
		x = r.scanOf(c.cutBase)
	}
	if x != nil {
		if err := r.cutAt(x); err != nil {
			return err
		}
	}
	r.findRubbish()
	return r.removeRubbish()
}

// removeRubbish removes files that belong to nobody, after the manifest says so durably.
// No log is used beside them: a segment or a snapshot from behind a cut would be taken
// for the log's own as soon as the log has grown as far.
func (r *recovery) removeRubbish() error {
	l := r.l
	if len(r.rubbish) == 0 {
		return nil
	}
	if err := l.manifest.prove(); err != nil {
		return err
	}
	if l.w.Buggify("no descriptor is left to remove what belongs to nobody") {
		return fmt.Errorf("remove what belongs to nobody in %s: %w", l.o.Path, env.ErrTooManyFiles)
	}
	return l.removeAll(r.rubbish)
}

// findRubbish adds what lies beside segments that are not there, and snapshots
// of what is not in the log.
func (r *recovery) findRubbish() {
	l := r.l
	end := l.manifest.catalog.end
	if s := l.active(); s != nil {
		end = s.end
	}
	for _, name := range r.names {
		if base, ok := parseName(name, indexSuffix); ok && !l.hasSegment(base) {
			r.rubbish = append(r.rubbish, name)
		}
		if at, ok := parseName(name, snapshotSuffix); ok && (at > end || at < l.manifest.catalog.first) {
			r.rubbish = append(r.rubbish, name)
		}
	}
}

func (l *Log) hasSegment(base kafka.Offset) bool {
	return len(l.segments()) > 0 && l.segments()[l.segmentFor(base)].base == base
}

func (r *recovery) scanOf(base kafka.Offset) *scan {
	for _, x := range r.scans {
		if x.s.base == base {
			return x
		}
	}
	return nil
}

func (r *recovery) cutAt(x *scan) error {
	l, s := r.l, x.s
	f, err := s.log().pin()
	if err != nil {
		return l.judge("open "+s.String(), err)
	}
	size, err := f.Size()
	s.log().unpin()
	if err != nil {
		return l.judge("size of "+s.String(), err)
	}
	if r.torn != nil {
		l.w.Probe("recovery cut a torn tail")
		l.w.Log.Info("recovery cuts a torn tail", "partition", l.name, "segment", s.String(),
			"position", s.size, "bytes", size-s.size, "reason", x.bad)
		l.stats.Cut += uint64(max(0, size-s.size))
	}
	waiting := s.index.waiting
	if err := l.carryOutCut(s, s.size, s.end); err != nil {
		return err
	}
	s.index.waiting, s.index.entries = waiting, x.kept
	return nil
}

// reindex writes the indexes of what was read.
func (r *recovery) reindex() error {
	l := r.l
	for _, x := range r.scans {
		if !slices.Contains(l.segments(), x.s) {
			continue
		}
		if err := r.reindexOne(x); err != nil && !passing(err) {
			return err
		}
	}
	return nil
}

func (r *recovery) reindexOne(x *scan) error {
	l, index := r.l, &x.s.index
	index.entries, index.synced = x.kept, x.kept
	if x.kept == 0 {
		if err := index.create(l); err != nil {
			return l.judge("create index of "+x.s.String(), err)
		}
	} else {
		f, err := index.file().pin()
		if err != nil {
			return l.judge("open index of "+x.s.String(), err)
		}
		err = f.Truncate(headerSize + int64(x.kept)*entrySize)
		index.file().unpin()
		if err != nil {
			return l.judge("cut index of "+x.s.String(), err)
		}
	}
	if err := index.flush(l); err != nil {
		return err
	}
	return index.sync(l)
}

// conclude loads the producers' state and records how far the log goes.
func (r *recovery) conclude() error {
	l := r.l
	if err := l.dir.fs.SyncDir(l.o.Path); err != nil {
		return l.dir.fail("sync directory "+l.o.Path, err)
	}
	if s := l.active(); s != nil {
		l.end = max(s.end, s.base)
	}
	l.durable, l.written = l.end, l.end
	if l.end < l.start {
		return fmt.Errorf("%w: log starts at %d and ends at %d", ErrQuarantined, l.start, l.end)
	}
	l.epochs.TruncateEnd(l.end)
	l.epochs.TruncateStart(l.start)
	if err := r.loadProducers(); err != nil {
		return err
	}
	l.tailAtEnd()
	facts := r.facts()
	err := l.manifest.append(mayWait, facts...)
	if err != nil && !passing(err) {
		return err
	}
	if err == nil {
		l.lastPoint = l.end
		for _, x := range r.scans {
			x.s.sealed = x.s != l.active() && slices.Contains(l.segments(), x.s)
		}
	}
	return l.manifest.maybeRewrite()
}

func (r *recovery) loadProducers() error {
	l := r.l
	var at []kafka.Offset
	for _, name := range r.names {
		if base, ok := parseName(name, snapshotSuffix); ok && base <= l.end && !slices.Contains(r.rubbish, name) {
			at = append(at, base)
		}
	}
	p, from, err := l.loadProducers(at)
	if err != nil {
		return err
	}
	l.producers = p
	return l.replayFrom(from)
}

// facts says what there is now.
func (r *recovery) facts() []fact {
	l := r.l
	facts := l.newEpochs()
	c := &l.manifest.catalog
	first := c.first
	if len(l.segments()) == 0 {
		first = l.end // where the next segment begins
	}
	if l.start != c.start || first != c.first {
		facts = append(facts, fact{is: factFirst, n: [6]int64{int64(l.start), int64(first)}})
	}
	for _, x := range r.scans {
		s := x.s
		if !slices.Contains(l.segments(), s) {
			continue
		}
		if x.known == nil {
			facts = append(facts, s.added())
		}
		if s != l.active() {
			facts = append(facts, s.sealFact())
		}
	}
	s := l.active()
	if s == nil {
		return append(facts, emptyPoint(l.end))
	}
	entries := s.index.entries
	if len(s.index.waiting) > 0 || s.index.synced != entries {
		entries = unknownEntries
	}
	if s.sealed {
		return facts
	}
	return append(facts, pointFact(point{base: s.base, position: s.size, offset: l.end, entries: entries,
		maxTimestamp: s.maxTimestamp, maxAt: s.maxAt}))
}
