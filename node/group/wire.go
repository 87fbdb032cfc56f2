package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/klammlog/klamm/node/kafka"
)

// errMalformed is what a record is whose bytes are not what its version says.
var errMalformed = errors.New("malformed record")

// An encoder appends fields as Kafka's protocol has them: fixed widths big-endian,
// and in flexible versions (KIP-482) lengths as varints, one more than they are.
type encoder struct {
	b        []byte
	flexible bool
}

func (e *encoder) int8(v int8)      { e.b = append(e.b, byte(v)) }
func (e *encoder) int16(v int16)    { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *encoder) int32(v int32)    { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) int64(v int64)    { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }
func (e *encoder) uvarint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }

func (e *encoder) text(s string) {
	if e.flexible {
		e.uvarint(uint64(len(s)) + 1)
	} else {
		e.int16(int16(len(s)))
	}
	e.b = append(e.b, s...)
}

// optional writes "" as null.
func (e *encoder) optional(s string) {
	switch {
	case s != "":
		e.text(s)
	case e.flexible:
		e.uvarint(0)
	default:
		e.int16(-1)
	}
}

func (e *encoder) bytes(v []byte) {
	e.count(len(v))
	e.b = append(e.b, v...)
}

func (e *encoder) count(n int) {
	if e.flexible {
		e.uvarint(uint64(n) + 1)
	} else {
		e.int32(int32(n))
	}
}

// noTags ends a structure.
func (e *encoder) noTags() {
	if e.flexible {
		e.b = append(e.b, 0)
	}
}

// tag begins the only tagged field of a structure.
func (e *encoder) tag(number uint64, field []byte) {
	e.uvarint(1)
	e.uvarint(number)
	e.uvarint(uint64(len(field)))
	e.b = append(e.b, field...)
}

// A decoder takes fields off its bytes. After the first that is not there it is
// bad and yields zeros. It copies what it yields.
type decoder struct {
	b        []byte
	flexible bool
	bad      bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.b) {
		d.bad = true
		d.b = nil
		return nil
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) int8() int8 {
	if b := d.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (d *decoder) int16() int16 {
	if b := d.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (d *decoder) int32() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) int64() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > math.MaxUint32 {
		d.take(-1)
		return 0
	}
	d.take(n)
	return v
}

// length takes a length; -1 for null.
func (d *decoder) length(short int) int {
	switch {
	case d.flexible:
		return int(d.uvarint()) - 1
	case short == 2:
		return int(d.int16())
	}
	return int(d.int32())
}

// text takes a text that is not null.
func (d *decoder) text() string { return string(d.take(d.length(2))) }

// optional takes a text; null is "".
func (d *decoder) optional() string {
	n := d.length(2)
	if n == -1 && !d.bad {
		return ""
	}
	return string(d.take(n))
}

// bytes takes bytes; null is none.
func (d *decoder) bytes() []byte {
	n := d.length(4)
	if n <= 0 {
		if n < -1 {
			d.bad = true
		}
		return nil
	}
	return append([]byte(nil), d.take(n)...)
}

// count takes the length of a list whose items have at least size bytes each: it is
// bad if the bytes cannot hold them. A list that is null has none.
func (d *decoder) count(size int) int {
	n := d.length(4)
	if n < -1 || n > len(d.b)/size {
		d.take(-1)
		return 0
	}
	return max(n, 0)
}

// tags takes the tagged fields that end a structure, and gives each to known.
func (d *decoder) tags(known func(number uint64, field []byte)) {
	if !d.flexible {
		return
	}
	for range d.uvarint() {
		number := d.uvarint()
		field := d.take(int(d.uvarint()))
		if d.bad {
			return
		}
		if known != nil {
			known(number, field)
		}
	}
}

func (d *decoder) topicID() (id kafka.TopicID) {
	copy(id[:], d.take(len(id)))
	return id
}

// end returns what is wrong with what was taken. What follows it is ignored, as
// Kafka does: it may be a later version's.
func (d *decoder) end(what string, version int16) error {
	if d.bad {
		return fmt.Errorf("%s of version %d: %w", what, version, errMalformed)
	}
	return nil
}

// version takes the version that a value begins with.
func (d *decoder) version(what string, last int16) (int16, error) {
	v := d.int16()
	if d.bad || v < 0 || v > last {
		return v, fmt.Errorf("%s of version %d: %w", what, v, errMalformed)
	}
	return v, nil
}
