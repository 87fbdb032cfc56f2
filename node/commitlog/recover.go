package commitlog

import (
	"errors"
	"fmt"
	"io"
	"math"
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

// A scan is what was found in one segment that the manifest does not vouch for.
type scan struct {
	s      *segment
	known  *listed // what the manifest says, nil if it does not list the segment
	size   int64   // of the file
	from   int64   // where reading the batches began
	proven int64   // below this the segment had been synced
	found  map[int64]entry
	kept   int   // index entries that are good as they are
	bad    error // why reading ended before the file's end
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
	list := slices.Clone(c.segments)
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
	l.segments = l.segmentsOf(list)
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
	for _, k := range c.segments {
		if k.sealed && k.base < base && base < k.end {
			r.l.w.Probe("recovery removed a segment that came back")
			return true, nil
		}
	}
	info, err := l.dir.fs.Stat(l.o.Path + "/" + fileName(base, logSuffix))
	return err == nil && info.Size == 0, err
}

// look reads every segment that the manifest does not vouch for, and decides
// where the log ends.
func (r *recovery) look() error {
	l := r.l
	if len(l.segments) == 0 {
		return nil
	}
	for _, s := range l.segments {
		if s.sealed {
			continue
		}
		x, err := r.open(s)
		if err != nil {
			return err
		}
		r.scans = append(r.scans, x)
	}
	r.spreadProof()
	end := l.manifest.catalog.first
	scans := r.scans
	for i, s := range l.segments {
		if s.sealed {
			if i > 0 && s.base < end && l.segments[i-1].sealed {
				return fmt.Errorf("%w: segment %d begins below %d", ErrQuarantined, s.base, end)
			}
			end = s.end
			continue
		}
		x := scans[0]
		if !x.follows(end, i == 0) {
			return r.noSuccessor(i, len(r.scans)-len(scans), end)
		}
		scans = scans[1:]
		if done, err := r.read(x); err != nil || done {
			return err
		}
		end = s.end
	}
	return nil
}

// follows reports whether a segment is the one behind where the log ends. The
// manifest knows of the gaps between segments; those before the first are none.
func (x *scan) follows(end kafka.Offset, isFirst bool) bool {
	if x.s.base == end {
		return true
	}
	return x.known != nil && (isFirst || x.known.follows == end)
}

// open finds out what a segment's side records say about it.
func (r *recovery) open(s *segment) (*scan, error) {
	l, c := r.l, &r.l.manifest.catalog
	x := &scan{s: s, found: map[int64]entry{}}
	if i, ok := c.find(s.base); ok {
		x.known = &c.segments[i]
	}
	info, err := l.dir.fs.Stat(s.String())
	if err != nil {
		return nil, err
	}
	x.size = info.Size
	entries, prefix, err := r.entries(s)
	if err != nil {
		return nil, err
	}
	var p point
	if c.point.base == s.base {
		p = c.point
		x.proven = p.position
	}
	for i, e := range entries {
		if !r.admissible(x, &e) {
			continue
		}
		x.proven = max(x.proven, e.proven)
		x.found[e.position] = e
		if i == x.kept && i < min(prefix, p.entries) {
			x.kept++
		}
	}
	if x.kept < p.entries {
		x.kept = 0
	}
	if c.cutting != nil && c.cutBase == s.base {
		x.size = min(x.size, c.cutting.position)
	}
	if x.kept > 0 {
		r.begin(x, entries[x.kept-1])
	}
	return x, nil
}

// begin has the reading begin at an index entry, at or below the recovery point.
func (r *recovery) begin(x *scan, e entry) {
	s := x.s
	x.from, s.size, s.end = e.position, e.position, e.offset
	s.maxTimestamp, s.maxAt = e.maxTimestamp, e.maxAt
	s.index.last, s.index.entries = e.position, x.kept
}

// admissible reports whether an index entry still speaks of the segment: a later
// cut voids what was at or above it. What it proves ends there too.
func (r *recovery) admissible(x *scan, e *entry) bool {
	if x.known == nil {
		return true
	}
	for _, k := range x.known.cuts {
		if e.cut >= k.number {
			continue
		}
		if e.position >= k.position {
			return false
		}
		e.proven = min(e.proven, k.position)
	}
	return true
}

// readIndex returns a segment's index, nothing if there is none or it cannot be
// read: it can be made again from the segment, of which it proves less then.
// What cannot be read of the segment itself is another matter: those may be
// records that were promised.
func (r *recovery) readIndex(s *segment) ([]byte, error) {
	for try := 0; ; try++ {
		b, err := readWhole(r.l.dir.fs, s.file(indexSuffix))
		switch {
		case errors.Is(err, env.ErrNotExist):
			return nil, nil
		case !errors.Is(err, env.ErrIO):
			return b, err
		case try == 2:
			r.l.w.Probe("recovery did without an index that cannot be read")
			r.l.w.Log.Warn("index cannot be read and is made again", "segment", s.String(), "err", err)
			return nil, nil
		}
	}
}

// entries returns the entries of a segment's index whose checksums are right, and
// how many there are before the first that is not.
func (r *recovery) entries(s *segment) (es []entry, prefix int, err error) {
	l := r.l
	b, err := r.readIndex(s)
	if err != nil {
		return nil, 0, err
	}
	h, err := parseHeader(b, kindIndex)
	if err != nil || !h.sameOwner(l.header(kindIndex)) || h.base != s.base {
		return nil, 0, nil
	}
	s.index.seed, s.index.opened = h.seed(), true
	slots := 0
	for b = b[headerSize:]; len(b) >= entrySize; b = b[entrySize:] {
		e, ok := parseEntry(b, s.base, s.index.seed)
		if ok && slots == prefix {
			prefix++
		}
		if ok {
			es = append(es, e)
		}
		slots++
	}
	return es, prefix, nil
}

// spreadProof takes a proof in one segment as one for all before it: they are
// synced in order.
func (r *recovery) spreadProof() {
	for i := len(r.scans) - 1; i > 0; i-- {
		if r.scans[i].proven > 0 {
			for _, x := range r.scans[:i] {
				x.proven = math.MaxInt64
			}
			return
		}
	}
}

// noSuccessor decides about the i-th segment, the n-th scan, which does not follow
// the one before it: that one lost its end, or this one was never promised.
func (r *recovery) noSuccessor(i, n int, end kafka.Offset) error {
	l := r.l
	if n > 0 {
		x := r.scans[n-1]
		x.bad = fmt.Errorf("%w: log ends at %d and the next segment begins at %d", errBatch, end, l.segments[i].base)
		if x.s.size < x.proven {
			return r.rot(x)
		}
		r.torn = x
		return nil
	}
	for _, x := range r.scans {
		if x.known != nil {
			return fmt.Errorf("%w: %s does not follow %d", ErrQuarantined, x.s, end)
		}
		r.rubbish = append(r.rubbish, fileName(x.s.base, logSuffix), fileName(x.s.base, indexSuffix))
	}
	l.w.Probe("recovery dropped a segment that was never promised")
	l.segments = l.segments[:i]
	r.scans = nil
	return nil
}

// read reads a segment's batches as far as they are what belongs there. done
// reports that the log ends in it.
func (r *recovery) read(x *scan) (done bool, err error) {
	l, s := r.l, x.s
	for try := 0; ; try++ {
		err := r.readOnce(x)
		if err == nil || !errors.Is(err, errBatch) {
			if err == nil && try > 0 {
				l.w.Probe("recovery read again what seemed bad and it was good")
			}
			return false, err
		}
		x.bad = err
		if try == 2 {
			break
		}
	}
	if s.size < x.proven {
		return true, r.rot(x)
	}
	r.torn = x
	return true, nil
}

func (r *recovery) rot(x *scan) error {
	r.l.w.Probe("recovery refused rot below a synced position")
	return fmt.Errorf("%w: %s: below position %d, which had been synced: %w", ErrQuarantined, x.s, x.proven, x.bad)
}

// readOnce reads on from where the segment is known to be good.
func (r *recovery) readOnce(x *scan) error {
	l, s := r.l, x.s
	f, err := s.log().pin()
	if err != nil {
		return err
	}
	defer s.log().unpin()
	rd := reader{f: f, at: s.size, end: x.size}
	for {
		at := rd.at
		b, ok, err := rd.next()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: file ends before %d", errBatch, x.size)
		}
		if err != nil || !ok {
			return r.missing(x, err)
		}
		h := headOf(b, at)
		if err := x.belongs(l, h, entryOf(b, at)); err != nil {
			return err
		}
		s.observe(h)
		x.note(l, entryOf(b, at))
		l.epochs.Assign(h.epoch, h.base)
		l.stats.Scanned += uint64(h.size)
	}
}

// missing reports a file that ends although more of it had been synced.
func (r *recovery) missing(x *scan, err error) error {
	if err == nil && x.proven != math.MaxInt64 && x.s.size < x.proven {
		return fmt.Errorf("%w: file ends at %d", errBatch, x.s.size)
	}
	return err
}

// belongs checks that a batch is the one that was put here.
func (x *scan) belongs(l *Log, h head, is entry) error {
	s := x.s
	was, indexed := x.found[h.position]
	if indexed && (was.offset != is.offset || was.length != is.length || was.epoch != is.epoch || was.identity != is.identity) {
		return fmt.Errorf("%w: at %d: not the batch that was written: offset %d length %d epoch %d, index says %d, %d, %d",
			errBatch, h.position, is.offset, is.length, is.epoch, was.offset, was.length, was.epoch)
	}
	if h.end <= h.base || h.base < s.end || (h.base > s.end && !indexed) {
		return fmt.Errorf("%w: at %d: offsets %d to %d behind %d", errBatch, h.position, h.base, h.end, s.end)
	}
	if h.epoch < l.epochs.EpochAt(h.base) {
		return fmt.Errorf("%w: at %d: epoch %d after %d", errBatch, h.position, h.epoch, l.epochs.Latest())
	}
	return nil
}

// note collects what the index will say.
func (x *scan) note(l *Log, e entry) {
	s := x.s
	gap := len(x.found) > 0 && x.found[e.position].length > 0
	if s.index.last == e.position && s.index.entries > 0 {
		return // the entry that reading began at
	}
	if gap || s.index.due(e.position, max(1, l.o.Config.IndexInterval)) {
		s.index.note(e, s)
	}
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
	if len(l.segments) == 0 && c.cutting != nil {
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
	return len(l.segments) > 0 && l.segments[l.segmentFor(base)].base == base
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
		if !slices.Contains(l.segments, x.s) {
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
			x.s.sealed = x.s != l.active() && slices.Contains(l.segments, x.s)
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
	if len(l.segments) == 0 {
		first = l.end // where the next segment begins
	}
	if l.start != c.start || first != c.first {
		facts = append(facts, fact{is: factFirst, n: [6]int64{int64(l.start), int64(first)}})
	}
	for _, x := range r.scans {
		s := x.s
		if !slices.Contains(l.segments, s) {
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
