package netsim

import (
	"bytes"
	"hash/crc32"

	"github.com/klammlog/klamm/internal/assert"
)

// A buffer belongs to the world while a call that was given it is under way. A
// seal notices that somebody wrote to a buffer that is being written out: it is
// made before other tasks first run, and looked at when the call returns. A call
// that lets nobody run costs nothing.
type seal struct {
	made bool
	sum  uint32
}

func (s *seal) close(bufs [][]byte) {
	if !s.made {
		s.made, s.sum = true, checksumAll(bufs)
	}
}

func (s *seal) check(bufs [][]byte, e *end) {
	if s.made && s.sum != checksumAll(bufs) {
		assert.That(false, "a buffer changed while %s>%s was writing it: it belongs to the call until that returns", e.local, e.remote)
	}
}

func checksumAll(bufs [][]byte) (sum uint32) {
	for _, b := range bufs {
		sum = crc32.Update(sum, castagnoli, b)
	}
	return sum
}

// scribbleEdge is how much of each edge of a read buffer is scribbled over: enough
// to spoil a header and a trailer. All of it would cost more than the read, for
// buffers are large and messages small.
const scribbleEdge = 128

// scribbles is what it is scribbled over with.
var scribbles = bytes.Repeat([]byte{0xdb}, scribbleEdge)

// scribble spoils a buffer that somebody may go on using although it was handed
// to a read.
func scribble(p []byte) {
	head, tail := edges(p)
	copy(head, scribbles)
	copy(tail, scribbles)
}

// checkScribble notices that somebody wrote to a buffer that is being read into.
func checkScribble(p []byte, e *end) {
	head, tail := edges(p)
	if !bytes.Equal(head, scribbles[:len(head)]) || !bytes.Equal(tail, scribbles[:len(tail)]) {
		assert.That(false, "a buffer changed while %s>%s was reading into it: it belongs to the call until that returns", e.local, e.remote)
	}
}

func edges(p []byte) (head, tail []byte) {
	return p[:min(len(p), scribbleEdge)], p[max(len(p)-scribbleEdge, 0):]
}
