package commitlog

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

const maxInt64 = math.MaxInt64

// segmentBounds is what side records say about a segment's file.
type segmentBounds struct {
	size   int64 // that the file must have; noPosition if that is not known
	upTo   int64 // batches are read up to here; noPosition for the end of the file
	proven int64 // below this everything had been synced: what is bad has rotted
}

// A segmentWalk reads the batches of one segment.
type segmentWalk struct {
	v       *surveyor
	name    string
	s       SegmentSurvey
	entries []entry // of the index, by position
	indexed bool    // the index is whole, so that a batch without an entry follows the one before
	began   bool    // a batch was read
	met     int     // entries whose batches were met
}

// segment compares one segment with its index and with what the manifest says.
func (v *surveyor) segment(k listed, last bool) {
	name := fileName(k.base, logSuffix)
	w := &segmentWalk{v: v, name: name, s: SegmentSurvey{File: name, Base: k.base, End: k.base, State: "active",
		First: kafka.NoTimestamp, MaxTimestamp: kafka.NoTimestamp}}
	_, known := v.catalog.find(k.base)
	switch {
	case k.sealed:
		w.s.State = "sealed"
	case !known:
		w.s.State = "unlisted"
	}
	if s := v.catalog.swapping; s != nil && s.committed && s.base == k.base && v.has(name+cleanedSuffix) {
		v.note("a compacted segment %d is still to take its place: the next start does it", k.base)
		w.name = name + cleanedSuffix
	}
	v.used = append(v.used, name, w.name, fileName(k.base, indexSuffix), fileName(k.base, indexSuffix)+cleanedSuffix)
	if !v.has(w.name) {
		v.damage(w.name, 0, "is missing")
		return
	}
	w.readIndex(k)
	w.read(v.bounds(k, last, w.entries))
	w.compare(k)
	v.out.Segments = append(v.out.Segments, w.s)
}

// bounds returns what is known about a segment's file besides its batches.
func (v *surveyor) bounds(k listed, last bool, entries []entry) segmentBounds {
	c := &v.catalog
	b := segmentBounds{size: noPosition, upTo: noPosition}
	switch {
	case k.sealed:
		return segmentBounds{size: k.size, upTo: noPosition, proven: k.size}
	case !last:
		b.proven = maxInt64 // segments are synced in order
		if next := v.nextProof(k.base); !next {
			b.proven = 0
		}
	}
	if c.point.base == k.base {
		b.proven = max(b.proven, c.point.position)
		if v.out.Manifest != nil && v.out.Manifest.Clean {
			b.size = c.point.position
		}
	}
	for _, e := range entries {
		if k.admits(&e) {
			b.proven = max(b.proven, e.proven)
		}
	}
	if c.cutting != nil && c.cutBase == k.base {
		v.note("segment %d is cut at %d, but the cut was not carried out: the next start does it", k.base, c.cutting.position)
		b.upTo = c.cutting.position
	}
	return b
}

// nextProof reports whether the manifest knows something behind a segment to have
// been synced.
func (v *surveyor) nextProof(base kafka.Offset) bool {
	for _, k := range v.catalog.segments {
		if k.base > base && k.sealed {
			return true
		}
	}
	return v.catalog.point.base > base
}

// admits reports whether an index entry still speaks of the segment: a later cut
// voids what was at or above it. What it proves ends there too.
func (k *listed) admits(e *entry) bool {
	for _, cut := range k.cuts {
		if e.cut >= cut.number {
			continue
		}
		if e.position >= cut.position {
			return false
		}
		e.proven = min(e.proven, cut.position)
	}
	return true
}

// readIndex reads the index as far as it counts: all of it for a sealed segment,
// up to the recovery point for the active one.
func (w *segmentWalk) readIndex(k listed) {
	v := w.v
	name := fileName(k.base, indexSuffix)
	if w.name != fileName(k.base, logSuffix) && v.has(name+cleanedSuffix) {
		name += cleanedSuffix
	}
	b, err := readWhole(v.fs, v.path+"/"+name)
	var h header
	if err == nil {
		h, err = parseHeader(b, kindIndex)
	}
	if err == nil {
		err = v.mine(h)
	}
	if err == nil && h.base != k.base {
		err = fmt.Errorf("is of segment %d", h.base)
	}
	if err != nil {
		if w.promised(k) > 0 || k.sealed {
			v.damage(name, 0, "%v: it is made again when it is needed", err)
		}
		return
	}
	w.parseIndex(k, name, b[headerSize:], h.seed())
}

// promised returns how many entries of the index were synced.
func (w *segmentWalk) promised(k listed) int {
	switch p := w.v.catalog.point; {
	case k.sealed:
		return k.entries
	case p.base == k.base:
		return max(0, p.entries)
	}
	return 0
}

// parseIndex reads entries. So many are promised; behind them may be older ones,
// which a cut made void, and in a log that was not closed newer ones.
func (w *segmentWalk) parseIndex(k listed, name string, slots []byte, seed uint32) {
	v := w.v
	promised, all := w.promised(k), len(slots)/entrySize
	open := !k.sealed && (v.out.Manifest == nil || !v.out.Manifest.Clean)
	w.indexed = true
	if all < promised {
		w.indexed = false
		v.damage(name, int64(headerSize+len(slots)), "has %d entries, the manifest says %d", all, promised)
	}
	if !open {
		all = min(all, promised)
	}
	for i := range all {
		e, ok := parseEntry(slots[i*entrySize:], k.base, seed)
		switch {
		case ok && k.admits(&e):
			w.entries = append(w.entries, e)
		case !ok && i < promised:
			w.indexed = false
			v.damage(name, int64(headerSize+i*entrySize), "entry %d is bad", i)
		}
	}
	sort.SliceStable(w.entries, func(i, j int) bool { return w.entries[i].position < w.entries[j].position })
	w.s.IndexEntries = len(w.entries)
}

// read goes through the batches.
func (w *segmentWalk) read(b segmentBounds) {
	v := w.v
	name := w.name
	if v.path != "" {
		name = v.path + "/" + name
	}
	f, err := v.fs.OpenFile(name, env.ReadOnly)
	if err != nil {
		v.damage(w.name, 0, "cannot be opened: %v", err)
		return
	}
	defer f.Close()
	if w.s.Bytes, err = f.Size(); err != nil {
		v.damage(w.name, 0, "cannot be read: %v", err)
		return
	}
	end := w.s.Bytes
	if b.upTo >= 0 {
		end = min(end, b.upTo)
	}
	if b.size >= 0 && w.s.Bytes != b.size {
		v.damage(w.name, min(b.size, w.s.Bytes), "has %d bytes, the manifest says %d", w.s.Bytes, b.size)
		end = min(end, b.size)
	} else if w.s.Bytes < b.proven && b.proven != maxInt64 {
		v.damage(w.name, w.s.Bytes, "ends, and had been synced up to %d", b.proven)
	}
	for at := int64(0); at < end; {
		stopped, err := w.walk(f, at, end)
		if err == nil {
			break
		}
		if stopped >= b.proven {
			v.note("%s: from position %d on are %d bytes of a torn tail: the next start cuts them off", w.name, stopped, end-stopped)
			break
		}
		v.damage(w.name, stopped, "%v", err)
		if at = w.resume(stopped); at <= stopped {
			break
		}
	}
}

// walk reads batches from a position on, up to the first that is bad.
func (w *segmentWalk) walk(f env.File, at, end int64) (stopped int64, err error) {
	r := reader{f: f, at: at, end: end}
	for {
		at := r.at
		b, ok, err := r.next()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: file ends before %d", errBatch, end)
		}
		if err == nil && ok {
			err = w.take(b, at)
		}
		if err != nil || !ok {
			return at, err
		}
	}
}

// take counts a batch, if it belongs where it is.
func (w *segmentWalk) take(b record.Batch, at int64) error {
	h, s := headOf(b, at), &w.s
	e, known := w.entryAt(at)
	switch {
	case known && !e.same(entryOf(b, at)):
		return fmt.Errorf("%w: at %d: offset %d, leader epoch %d, is not the batch that the index names: offset %d, epoch %d",
			errBatch, at, h.base, h.epoch, e.offset, e.epoch)
	case h.base < s.End || h.end <= h.base:
		return fmt.Errorf("%w: at %d: offsets %d to %d behind %d", errBatch, at, h.base, h.end, s.End)
	case h.base > s.End && w.indexed && !known && w.v.out.Format == "klamm":
		return fmt.Errorf("%w: at %d: offset %d behind %d, and the index knows of no gap", errBatch, at, h.base, s.End)
	}
	if es := w.v.catalog.epochs.entries; len(es) > 0 && h.base >= es[0].Start && s.State == "sealed" && h.epoch != w.v.catalog.epochs.EpochAt(h.base) {
		return fmt.Errorf("%w: at %d: offset %d of leader epoch %d, was of %d", errBatch, at, h.base, h.epoch, w.v.catalog.epochs.EpochAt(h.base))
	}
	if !w.began {
		w.began, s.First = true, h.maxTimestamp
	}
	if known {
		w.met++
	}
	s.End, s.MaxTimestamp = h.end, max(s.MaxTimestamp, h.maxTimestamp)
	s.Batches++
	s.Records += int64(b.Count())
	if b.Control() {
		s.Control++
	}
	return nil
}

func (w *segmentWalk) entryAt(at int64) (entry, bool) {
	i := sort.Search(len(w.entries), func(i int) bool { return w.entries[i].position >= at })
	if i < len(w.entries) && w.entries[i].position == at {
		return w.entries[i], true
	}
	return entry{}, false
}

// resume returns where reading goes on behind something bad: at the next batch
// that the index knows.
func (w *segmentWalk) resume(bad int64) int64 {
	i := sort.Search(len(w.entries), func(i int) bool { return w.entries[i].position > bad })
	if i == len(w.entries) {
		return -1
	}
	w.s.End = max(w.s.End, w.entries[i].offset)
	return w.entries[i].position
}

// compare checks a sealed segment's numbers.
func (w *segmentWalk) compare(k listed) {
	v, s := w.v, &w.s
	if !k.sealed {
		return
	}
	if s.End > k.end {
		v.damage(w.name, 0, "ends at offset %d, the manifest says %d", s.End, k.end)
	}
	if len(v.out.Damage) > 0 {
		return // what follows would be said again
	}
	if s.MaxTimestamp != k.maxTimestamp {
		v.damage(w.name, 0, "has largest timestamp %d, the manifest says %d", s.MaxTimestamp, k.maxTimestamp)
	}
	if w.met < len(w.entries) {
		v.damage(fileName(k.base, indexSuffix), 0, "%d of %d entries are of no batch", len(w.entries)-w.met, len(w.entries))
	}
}
