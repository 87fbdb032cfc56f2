package commitlog

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// An index finds batches of one segment: by offset, by position, and by the
// largest timestamp so far, all of which only grow from entry to entry. It is
// sparse and never needed: a bad one costs time, and is built again.
type index struct {
	segment *segment
	slot    *slot // made when it is first needed
	seed    uint32
	opened  bool // seed is that of the file
	broken  bool // an entry was bad; the whole is not used any more

	writing bool    // entries are being written
	syncing bool    // a task is syncing the file
	entries int     // in the file, all valid
	waiting []entry // behind them, not yet written
	synced  int     // of the entries in the file
	probed  map[int]entry
	last    int64 // position of the last indexed batch
}

const (
	noPosition = -1

	// searchBlock is how many entries the last step of a search reads.
	searchBlock = 64

	// maxProbed is how many entries an index remembers between searches.
	maxProbed = 127
)

var errIndex = errors.New("bad index")

// file returns the slot of the file.
func (x *index) file() *slot {
	if x.slot == nil {
		x.slot = x.segment.dir.files.slot(x.segment.file(indexSuffix), env.Write)
	}
	return x.slot
}

// header returns what the file should begin with, but for the number.
func (x *index) header(l *Log) header {
	h := l.header(kindIndex)
	h.base = x.segment.base
	return h
}

// create makes the file, without entries. Blocks.
func (x *index) create(l *Log) error {
	h := x.header(l)
	h.number = l.dir.number()
	f, err := l.dir.fs.OpenFile(x.file().path, env.Write|env.Create|env.Trunc)
	if err != nil {
		return err
	}
	_, err = writeFull(f, h.encode(), 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	x.seed, x.opened, x.broken = h.seed(), true, false
	return nil
}

// open reads the header if that was not done before. Blocks.
func (x *index) open(l *Log, f env.File) error {
	if x.opened {
		return nil
	}
	b := make([]byte, headerSize)
	if err := readFull(f, b, 0); err != nil {
		return fmt.Errorf("%s: %w: %w", x.file().path, errIndex, err)
	}
	h, err := parseHeader(b, kindIndex)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", x.file().path, errIndex, err)
	}
	if want := x.header(l); !h.sameOwner(want) || h.base != want.base {
		return fmt.Errorf("%s: %w: belongs to another segment", x.file().path, errIndex)
	}
	x.seed, x.opened = h.seed(), true
	return nil
}

// note remembers a batch that was put at the end of the segment, if it is due
// for an entry.
func (x *index) note(e entry, s *segment) {
	e.maxTimestamp, e.maxAt = s.maxTimestamp, s.maxAt
	x.waiting = append(x.waiting, e)
	x.last = e.position
}

// due reports whether a batch at the position gets an entry.
func (x *index) due(position, interval int64) bool {
	return x.last == noPosition || position-x.last >= interval
}

// flush writes the entries that wait. On a full disk they go on waiting.
// Blocks.
func (x *index) flush(l *Log) error {
	for x.writing {
		if err := l.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	if len(x.waiting) == 0 || x.broken {
		return nil
	}
	x.writing = true
	defer func() {
		x.writing = false
		l.changed.Broadcast()
	}()
	f, err := x.file().pin()
	if err != nil {
		return l.judge("open "+x.file().path, err)
	}
	defer x.file().unpin()
	if err := x.open(l, f); err != nil {
		x.broken = true
		return nil
	}
	n := len(x.waiting)
	b := make([]byte, n*entrySize)
	for i, e := range x.waiting {
		e.proven, e.cut = x.segment.durable, l.manifest.catalog.cuts
		e.encode(b[i*entrySize:], x.segment.base, x.seed)
	}
	if _, err := writeFull(f, b, headerSize+int64(x.entries)*entrySize); err != nil {
		return l.judge("write "+x.file().path, err)
	}
	x.entries += n
	x.waiting = slices.Delete(x.waiting, 0, n)
	return nil
}

// sync makes the entries in the file durable. Blocks.
func (x *index) sync(l *Log) error {
	if x.synced == x.entries || x.broken {
		return nil
	}
	f, err := x.file().pin()
	if err != nil {
		return l.judge("open "+x.file().path, err)
	}
	defer x.file().unpin()
	if err := l.alone(&x.syncing); err != nil {
		return err
	}
	n := x.entries
	err = f.SyncData()
	l.leave(&x.syncing)
	if err != nil {
		return l.dir.fail("sync "+x.file().path, err)
	}
	x.synced = min(n, x.entries)
	return nil
}

// cut forgets the entries of batches at or above the position. Blocks.
func (x *index) cut(l *Log, position int64) error {
	for x.writing {
		if err := l.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	x.waiting = slices.DeleteFunc(x.waiting, func(e entry) bool { return e.position >= position })
	keep, _, err := x.search(l, func(e entry) bool { return e.position < position })
	if err != nil {
		return err
	}
	x.entries, x.probed = min(x.entries, keep), nil
	x.synced = min(x.synced, x.entries)
	x.last = noPosition
	return nil
}

// floor returns the last entry for which holds is true; it must be true for the
// first entries and false for the others. Without one, or without a usable
// index, it returns an entry at the segment's beginning. Blocks.
func (x *index) floor(l *Log, holds func(entry) bool) (entry, error) {
	_, e, err := x.search(l, holds)
	if errors.Is(err, errIndex) {
		x.blame(l)
		return entry{offset: x.segment.base}, nil
	}
	return e, err
}

// search returns how many entries of the file hold, and the last that holds.
func (x *index) search(l *Log, holds func(entry) bool) (int, entry, error) {
	if n := sort.Search(len(x.waiting), func(i int) bool { return !holds(x.waiting[i]) }); n > 0 {
		return x.entries, x.waiting[n-1], nil
	}
	e := entry{offset: x.segment.base}
	if x.entries == 0 || x.broken {
		return 0, e, nil
	}
	f, err := x.file().pin()
	if errors.Is(err, env.ErrNotExist) {
		return 0, e, fmt.Errorf("%s: %w: missing", x.file().path, errIndex)
	}
	if err != nil {
		return 0, e, err
	}
	defer x.file().unpin()
	if err := x.open(l, f); err != nil {
		return 0, e, err
	}
	return x.searchFile(f, holds, x.entries)
}

func (x *index) searchFile(f env.File, holds func(entry) bool, entries int) (int, entry, error) {
	// The last block whose first entry holds.
	lo, hi := 0, (entries-1)/searchBlock
	for lo < hi {
		mid := (lo + hi + 1) / 2
		e, err := x.probe(f, mid*searchBlock)
		if err != nil {
			return 0, entry{}, err
		}
		if holds(e) {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	first := lo * searchBlock
	es, err := x.read(f, first, min(searchBlock, entries-first))
	if err != nil {
		return 0, entry{}, err
	}
	n := sort.Search(len(es), func(i int) bool { return !holds(es[i]) })
	if n == 0 {
		return first, entry{offset: x.segment.base}, nil
	}
	return first + n, es[n-1], nil
}

// probe returns the i-th entry. Every search begins with the same few, and they
// are remembered.
func (x *index) probe(f env.File, i int) (entry, error) {
	if e, ok := x.probed[i]; ok {
		return e, nil
	}
	if x.probed == nil {
		x.probed = map[int]entry{}
	}
	probed := x.probed // a cut, meanwhile, forgets this map and what comes into it
	es, err := x.read(f, i, 1)
	if err != nil {
		return entry{}, err
	}
	if len(probed) < maxProbed {
		probed[i] = es[0]
	}
	return es[0], nil
}

// read returns n entries from the i-th on; errIndex if one is bad. Blocks.
func (x *index) read(f env.File, i, n int) ([]entry, error) {
	b := make([]byte, n*entrySize)
	err := readFull(f, b, headerSize+int64(i)*entrySize)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%s: %w: ends before entry %d", x.file().path, errIndex, i+n)
	}
	if err != nil {
		return nil, err
	}
	es := make([]entry, n)
	for k := range es {
		e, ok := parseEntry(b[k*entrySize:], x.segment.base, x.seed)
		if !ok {
			return nil, fmt.Errorf("%s: %w: entry %d", x.file().path, errIndex, i+k)
		}
		es[k] = e
	}
	return es, nil
}

// next returns the position of the first batch behind another that has an entry;
// the segment's size if none has. Blocks.
func (x *index) next(l *Log, position int64) (int64, error) {
	es, err := x.from(l, position)
	for _, e := range es {
		if e.position > position {
			return e.position, nil
		}
	}
	return x.segment.size, err
}

// from returns some entries: from the last one at or before a position on.
// Without a usable index there are none. Blocks.
func (x *index) from(l *Log, position int64) ([]entry, error) {
	n, e, err := x.search(l, func(e entry) bool { return e.position <= position })
	if errors.Is(err, errIndex) {
		x.blame(l)
		return nil, nil
	}
	if err != nil || x.broken {
		return nil, err
	}
	if n >= x.entries { // behind the last in the file
		es := slices.Clone(x.waiting)
		if e.length > 0 && (len(es) == 0 || e.position < es[0].position) {
			es = append([]entry{e}, es...)
		}
		return es, nil
	}
	f, err := x.file().pin()
	if err != nil {
		return nil, err
	}
	defer x.file().unpin()
	first := max(0, n-1)
	es, err := x.read(f, first, min(searchBlock, x.entries-first))
	if errors.Is(err, errIndex) {
		x.blame(l)
		return nil, nil
	}
	return es, err
}

// blame has a bad index made again. It does not block.
func (x *index) blame(l *Log) {
	x.broken = true
	l.w.Probe("an index was bad and is built again")
	l.chore(chore{do: choreReindex, segment: x.segment})
}

// before returns a search condition: entries of batches that begin at or before
// an offset.
func before(at kafka.Offset) func(entry) bool {
	return func(e entry) bool { return e.offset <= at }
}
