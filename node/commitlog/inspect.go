package commitlog

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// The first step of a recovery: what is there is read, and nothing is changed.

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

// look reads every segment that the manifest does not vouch for, and decides
// where the log ends.
func (r *recovery) look() error {
	l := r.l
	if len(l.segments()) == 0 {
		return nil
	}
	for _, s := range l.segments() {
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
	for i, s := range l.segments() {
		if s.sealed {
			if i > 0 && s.base < end && l.segments()[i-1].sealed {
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
		x.known = &c.list()[i]
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

// admissible reports whether an index entry still speaks of the segment, and cuts
// what it proves.
func (r *recovery) admissible(x *scan, e *entry) bool {
	return x.known == nil || x.known.admits(e)
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
// the one before it. That one lost its end; or, if the manifest vouches for it, one in
// between is gone whose name was durable before anything behind it was written.
func (r *recovery) noSuccessor(i, n int, end kafka.Offset) error {
	base := r.l.segments()[i].base
	if n == 0 {
		return fmt.Errorf("%w: %s does not follow %d", ErrQuarantined, r.scans[0].s, end)
	}
	x := r.scans[n-1]
	x.bad = fmt.Errorf("%w: log ends at %d and the next segment begins at %d", errBatch, end, base)
	if x.s.size < x.proven {
		return r.rot(x)
	}
	r.torn = x
	return nil
}

// read reads a segment's batches as far as they are what belongs there. done
// reports that the log ends in it.
func (r *recovery) read(x *scan) (done bool, err error) {
	l, s := r.l, x.s
	// Where epochs began that are read again, the batches say; one of them that is
	// older than what the manifest knows of later ones contradicts nothing.
	l.epochs.TruncateEnd(s.end)
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
	if indexed && !was.same(is) {
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
