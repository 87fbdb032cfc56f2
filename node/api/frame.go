package api

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/env"
)

var (
	// errFrame: bytes that are not a request. The connection ends.
	errFrame = errors.New("bad frame")

	// errSlow: the connection held memory that others waited for.
	errSlow = errors.New("too slow while others wait for memory")
)

const (
	minFrame = 8       // key, version, correlation id
	maxOther = 4 << 20 // the largest frame without records

	// maxForwarding is what a forwarded request is larger than it came, at most:
	// names of client, principal and listener.
	maxForwarding = 64 << 10

	// Sizes of what a connection reads ahead: little while it is quiet, because
	// there may be thousands; more while requests come in a stream.
	quietAhead = 4 << 10
	busyAhead  = 64 << 10

	// maxBusy is how many connections may read far ahead at once.
	maxBusy = 512
)

// A reader takes frames off a connection.
type reader struct {
	conn env.Conn
	pool *pool
	busy *int   // how many connections read far ahead
	buf  []byte // read ahead
	at   int    // of buf, what is not taken yet begins here
	end  int
}

// fill reads what is there. The buffer is empty before. Blocks.
func (r *reader) fill() error {
	r.resize()
	n, err := r.conn.Read(r.buf)
	r.at, r.end = 0, n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// resize fits the buffer to what the last read found.
func (r *reader) resize() {
	switch {
	case len(r.buf) == 0:
		r.buf = make([]byte, quietAhead)
	case r.end == len(r.buf) && len(r.buf) < busyAhead && *r.busy < maxBusy:
		*r.busy++
		r.buf = r.pool.get(busyAhead)
	case r.end < quietAhead/2 && len(r.buf) == busyAhead:
		r.release()
		r.buf = make([]byte, quietAhead)
	}
}

// release gives the buffer back.
func (r *reader) release() {
	if len(r.buf) == busyAhead {
		*r.busy--
		r.pool.put(r.buf)
	}
	r.buf, r.at, r.end = nil, 0, 0
}

// full fills p. What does not fit into the buffer is read into p directly.
// Blocks.
func (r *reader) full(p []byte) error {
	for len(p) > 0 {
		if r.at < r.end {
			n := copy(p, r.buf[r.at:r.end])
			r.at += n
			p = p[n:]
			continue
		}
		if len(p) < busyAhead {
			if err := r.fill(); err != nil {
				return err
			}
			continue
		}
		n, err := r.conn.Read(p)
		if n == 0 && err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// size takes the size of the next frame. io.EOF before its first byte is the end
// of the connection. Blocks.
func (r *reader) size(limit int64) (int, error) {
	var b [4]byte
	if err := r.full(b[:]); err != nil {
		return 0, err
	}
	n := int32(binary.BigEndian.Uint32(b[:]))
	if n < minFrame || int64(n) > limit {
		return 0, fmt.Errorf("%w: size %d, from %d to %d are allowed", errFrame, n, minFrame, limit)
	}
	return int(n), nil
}

// A frame is one request's bytes. It is given back when nobody looks at it any
// more: the call that it came with, and the logs that write its records.
type frame struct {
	c       *conn
	bytes   []byte
	taken   int64 // what is to be given back to the budget
	charged int64 // what was charged besides
	grown   int64 // of it, what its records grew by
	users   int
	dirty   bool // somebody may look at it for ever: it is not used again
}

// charge charges what the request turned out to take besides its bytes.
func (f *frame) charge(n int64) {
	f.charged += n
	f.c.held += n
	f.c.requests.charge(n)
}

// grow charges what the request's records need more than they came with.
func (f *frame) grow(n int64) {
	f.charge(n)
	f.grown += n
	f.c.s.grown += n
}

func (f *frame) hold() { f.users++ }

// keep returns n of the frame's bytes' worth, and what is charged besides from here on,
// as something that is given back by itself: what a request leaves behind that its
// bytes are not needed for.
func (f *frame) keep(n int64) frame {
	n = min(n, f.taken)
	f.taken -= n
	return frame{c: f.c, taken: n, users: 1, dirty: true}
}

// release ends one use.
func (f *frame) release() {
	f.users--
	if f.users > 0 {
		return
	}
	f.c.held -= f.taken + f.charged
	f.c.s.grown -= f.grown
	f.c.requests.discharge(f.charged)
	f.c.requests.give(f.taken)
	if !f.dirty {
		f.c.s.pool.put(f.bytes)
	}
	f.bytes = nil
}
