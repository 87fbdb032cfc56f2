package commitlog

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// Oversize says what to do with a first batch that is larger than asked for.
type Oversize uint8

const (
	// SkipOversize returns nothing then.
	SkipOversize Oversize = iota

	// TakeOversize returns it all the same, so that a reader gets on (KIP-74).
	TakeOversize
)

// A Chunk is a range of one segment's file that holds whole batches. The zero
// Chunk is empty. What is not empty is released after use: it keeps the file
// open and readable, whatever happens to the log.
type Chunk struct {
	log     *Log
	segment *segment
	file    env.File
	at      int64
	first   kafka.Offset // of its first batch
	size    int
	cuts    uint32
	more    bool
}

// More reports that the log had more to read than this chunk holds: it ends where
// its segment or the limit of bytes does.
func (c Chunk) More() bool { return c.more }

// Len returns the chunk's size in bytes.
func (c Chunk) Len() int { return c.size }

// File returns the range of a file to send. What is above the high watermark is
// copied instead, because a truncation may rewrite it.
func (c Chunk) File() (f env.File, at int64, n int) { return c.file, c.at, c.size }

// Copy fills dst, which has Len bytes. It fails with ErrOutOfRange if the log was
// truncated since, and with ErrCorrupt if it is not what was put there. Blocks.
func (c Chunk) Copy(dst []byte) error {
	if c.size == 0 {
		return nil
	}
	for try := 1; ; try++ {
		at, err := c.copy(dst[:c.size])
		// Second look: what was cut off meanwhile is missing, and not rotten.
		if c.cuts != c.log.manifest.catalog.cuts {
			return fmt.Errorf("%s: %w: truncated while it was read", c.log.name, ErrOutOfRange)
		}
		if err == nil {
			return nil
		}
		if rotten := errors.Is(err, errBatch); rotten && try < tries {
			continue
		} else if rotten {
			c.log.takeOut(part{s: c.segment, from: at, cuts: c.cuts}, err)
		}
		return c.log.readError(c.segment, at, err)
	}
}

// copy reads the chunk and looks at what it has in its hands anyway: who fetches a
// log and is sent rot does not get on. It returns where it came upon something.
// Blocks.
func (c Chunk) copy(dst []byte) (int64, error) {
	err := readFull(c.file, dst, c.at)
	if err != nil || c.segment.gone {
		return c.at, err
	}
	v := verifying{l: c.log, s: c.segment, at: c.at, end: c.first}
	err = v.check(&reader{f: c.file, at: c.at, end: c.at + int64(c.size), buf: dst, pos: c.at, held: c.size})
	if c.segment.gone {
		err = nil // its index may be gone
	}
	return v.at, err
}

// Release lets go of the file. The chunk is empty afterwards. It does not block.
func (c *Chunk) Release() {
	if c.segment != nil {
		c.segment.log().unpin()
	}
	*c = Chunk{}
}

// Read returns whole batches from the one that holds offset from, or the first
// behind it, as far as they lie in one segment, end at or below upTo and fit into
// maxBytes. The first batch may begin below from. With nothing to return the
// chunk is empty.
//
// It fails with ErrOutOfRange below LogStart or above End, with ErrCorrupt, or
// with ErrClosed. Blocks.
func (l *Log) Read(from kafka.Offset, maxBytes int, upTo kafka.Offset, first Oversize) (Chunk, error) {
	for {
		if l.ended {
			return Chunk{}, fmt.Errorf("%s: %w", l.name, ErrClosed)
		}
		if from < l.start || from > l.end {
			return Chunk{}, fmt.Errorf("%s: offset %d: %w: log has %d to %d", l.name, from, ErrOutOfRange, l.start, l.end)
		}
		if !l.knows(from) {
			if err := l.complete(); err != nil {
				return Chunk{}, err
			}
			continue
		}
		r := reading{log: l, from: from, upTo: min(upTo, l.written), maxBytes: maxBytes, first: first,
			cuts: l.manifest.catalog.cuts}
		if from >= r.upTo {
			return Chunk{}, nil
		}
		c, err := r.find()
		if err == nil && !r.stale {
			l.stats.Reads++
			return c, nil
		}
		c.Release()
		if !r.stale {
			return Chunk{}, err
		}
		l.w.Probe("a read began again because its segment was gone")
	}
}

// A reading is one call of Read.
type reading struct {
	log      *Log
	from     kafka.Offset
	upTo     kafka.Offset
	maxBytes int
	first    Oversize
	cuts     uint32
	stale    bool // what it relied on has changed: begin again
}

// find looks in the segment that holds the offset, and in later ones if there is
// nothing behind it.
func (r *reading) find() (Chunk, error) {
	l := r.log
	for i := l.segmentFor(r.from); i < len(l.known); i++ {
		s := l.known[i]
		if s.base >= r.upTo {
			break
		}
		if s.size == 0 || s.end <= r.from {
			continue
		}
		c, passed, err := r.in(s)
		if c.size > 0 || err != nil || !passed {
			return c, err
		}
		if i >= len(l.known) || l.known[i] != s {
			r.stale = true
			return Chunk{}, nil
		}
	}
	return Chunk{}, nil
}

// segmentFor returns the index of the last known segment that begins at or before
// an offset, or 0.
func (l *Log) segmentFor(at kafka.Offset) int {
	return max(0, sort.Search(len(l.known), func(i int) bool { return l.known[i].base > at })-1)
}

// in looks in one segment. passed reports that nothing in it is behind the
// offset.
func (r *reading) in(s *segment) (c Chunk, passed bool, err error) {
	l := r.log
	f, err := s.log().pin()
	if err != nil {
		r.stale = s.gone
		return Chunk{}, false, l.readError(s, 0, err)
	}
	c = Chunk{log: l, segment: s, file: f, cuts: r.cuts}
	h, found, err := r.start(s, f)
	if err == nil && found {
		var to int64
		if to, err = r.stop(s, f, h); err == nil && to > h.position {
			c.at, c.first = h.position, h.base
			to, err = l.verify(part{s: s, f: f, from: c.at, to: to, cuts: r.cuts})
			c.size = int(to - c.at)
			c.more = s.end < r.upTo || to < s.size && s.end <= r.upTo
		}
	}
	// Second look: all that was found may have been deleted or cut off.
	r.stale = s.gone || r.cuts != l.manifest.catalog.cuts
	if err != nil && !r.stale {
		err = l.readError(s, c.at, err)
	}
	if c.size == 0 || err != nil || r.stale {
		c.Release()
	}
	return c, !found, err
}

// start returns the first batch that ends behind the offset.
func (r *reading) start(s *segment, f env.File) (head, bool, error) {
	if heads, ok := r.log.recent.from(s, r.from); ok {
		if len(heads) == 0 {
			return head{}, false, nil
		}
		return heads[0], true, nil
	}
	size := s.size
	e, err := s.index.floor(r.log, before(r.from))
	if err != nil {
		return head{}, false, err
	}
	w := walk{f: f, at: e.position, end: size}
	v := verifying{l: r.log, s: s, at: e.position, end: e.offset, known: e}
	for {
		h, ok, err := w.next()
		if err == nil && ok {
			err = v.checkHead(h, &w)
		}
		if errors.Is(err, ErrCorrupt) || errors.Is(err, errBatch) {
			return h, false, r.log.misled(part{s: s, f: f, from: e.position, to: v.at, cuts: r.cuts}, err)
		}
		if err != nil || !ok || h.end > r.from {
			return h, ok, err
		}
	}
}

// stop returns where the last batch ends that may be returned, of those from h
// on.
func (r *reading) stop(s *segment, f env.File, h head) (int64, error) {
	if h.end > r.upTo {
		return h.position, nil
	}
	if h.size > r.maxBytes && r.first == SkipOversize {
		return h.position, nil
	}
	limit := max(h.position+int64(r.maxBytes), h.next())
	if heads, ok := r.log.recent.from(s, h.base); ok {
		to := h.next()
		for _, b := range heads {
			if b.next() > limit || b.end > r.upTo {
				break
			}
			to = b.next()
		}
		return to, nil
	}
	if limit >= s.size && r.upTo >= s.end {
		return s.size, nil
	}
	return r.walkTo(s, f, h.next(), limit)
}

// walkTo finds the last batch that ends at or before a position, beginning the
// walk as near to it as the index allows.
func (r *reading) walkTo(s *segment, f env.File, from, limit int64) (int64, error) {
	end := s.size
	e, err := s.index.floor(r.log, func(e entry) bool { return e.position <= limit && e.offset < r.upTo })
	if err != nil {
		return 0, err
	}
	w := walk{f: f, at: max(from, e.position), end: end}
	to := w.at
	for {
		h, ok, err := w.next()
		if err != nil || !ok || h.next() > limit || h.end > r.upTo {
			return to, err
		}
		to = h.next()
	}
}

// An unreadable says where something could not be read.
type unreadable struct {
	log     *Log
	segment *segment
	at      int64
	err     error
}

func (u *unreadable) Error() string {
	return fmt.Sprintf("%s: %s at %d: %v", u.log.name, u.segment, u.at, u.err)
}

func (u *unreadable) Unwrap() error { return u.err }

// unreadable is readError for what a truncation at the same time may explain: it
// tells nobody yet.
func (l *Log) unreadable(s *segment, at int64, err error) error {
	if errors.Is(err, errBatch) || errors.Is(err, record.ErrCorrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return &unreadable{log: l, segment: s, at: at, err: err}
}

// tell tells whoever looks after the node of an error that says where something
// could not be read, and returns it.
func (l *Log) tell(err error) error {
	var u *unreadable
	if errors.As(err, &u) {
		l.damaged(u.segment, u.at, u.err)
	}
	return err
}

// readError says where something could not be read, and tells whoever looks after
// the node.
func (l *Log) readError(s *segment, at int64, err error) error {
	return l.tell(l.unreadable(s, at, err))
}

func (l *Log) maybeReadError(s *segment, at int64, err error) error {
	if err == nil {
		return nil
	}
	return l.readError(s, at, err)
}
