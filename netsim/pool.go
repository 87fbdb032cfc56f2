package netsim

import (
	"math/bits"

	"github.com/klammlog/klamm/node/kafka"
)

const (
	smallestBuffer = 256
	maxSegment     = 64 << 10
	sizes          = 9 // 256 bytes, doubled up to 64 KiB
)

// A pool keeps the buffers of segments. A universe runs on one thread, so it is
// plain lists.
type pool struct{ free [sizes][][]byte }

// class returns the list for buffers of n bytes.
func class(n int) int {
	if n <= smallestBuffer {
		return 0
	}
	return bits.Len(uint(n-1)) - 8
}

// get returns an empty buffer with room for n bytes, at most maxSegment.
func (p *pool) get(n int) []byte {
	c := class(n)
	list := p.free[c]
	if len(list) == 0 {
		return make([]byte, 0, smallestBuffer<<c)
	}
	b := list[len(list)-1]
	p.free[c] = list[:len(list)-1]
	return b
}

func (p *pool) put(b []byte) {
	if cap(b) > 0 {
		c := class(cap(b))
		p.free[c] = append(p.free[c], b[:0])
	}
}

// What a segment carries.
type segmentKind uint8

const (
	data segmentKind = iota
	syn
	synAck
	fin
	rst
)

// A segment is a piece of a stream on its way, or received and not yet read.
type segment struct {
	buf  []byte
	read int           // bytes of buf that the reader has had
	due  kafka.Instant // when it arrives
	kind segmentKind
}

// A line is a queue of segments by value. Its array is reused.
type line struct {
	items []segment
	first int
}

func (l *line) len() int       { return len(l.items) - l.first }
func (l *line) head() *segment { return &l.items[l.first] }
func (l *line) last() *segment { return &l.items[len(l.items)-1] }

func (l *line) push(s segment) {
	if l.first > 0 && len(l.items) == cap(l.items) {
		kept := copy(l.items, l.items[l.first:])
		clear(l.items[kept:])
		l.items, l.first = l.items[:kept], 0
	}
	l.items = append(l.items, s)
}

func (l *line) pop() segment {
	s := l.items[l.first]
	l.items[l.first] = segment{}
	l.first++
	if l.first == len(l.items) {
		l.items, l.first = l.items[:0], 0
	}
	return s
}

// drain empties the line and gives its buffers back.
func (l *line) drain(p *pool) {
	for l.len() > 0 {
		p.put(l.pop().buf)
	}
}
