package quorum

import (
	"encoding/binary"
	"errors"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/meta"
)

// errMalformed: bytes that no version of this code wrote.
var errMalformed = errors.New("malformed")

// maxText is the longest text that is written or read: an address.
const maxText = 1 << 10

func appendText(dst []byte, s string) []byte {
	assert.That(len(s) <= maxText, "text of %d bytes", len(s))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b)))
	return append(dst, b...)
}

// A reader takes fields off its bytes. After the first that is not there it is
// bad and yields zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) uint8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) text() string {
	n := int(r.uint16())
	if n > maxText {
		r.bad = true
	}
	return string(r.take(n))
}

// bytes takes a length and that many bytes, which alias the input.
func (r *reader) bytes() []byte { return r.take(int(r.uint32())) }

func (r *reader) directory() (id meta.DirectoryID) {
	copy(id[:], r.take(len(id)))
	return id
}

// count takes the length of a list whose items have at least size bytes each.
func (r *reader) count(size int) int {
	n := int(r.uint32())
	if n > len(r.b)/size {
		r.bad = true
		return 0
	}
	return n
}

// end reports errMalformed unless everything was there and nothing is left.
func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return errMalformed
	}
	return nil
}
