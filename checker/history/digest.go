package history

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// A Digest stands for the bytes of a key or a record: equal bytes have equal
// digests on every machine, and an accident does not find two that collide. It
// is no protection against malice.
type Digest uint64

func (d Digest) String() string { return strconv.FormatUint(uint64(d), 16) }

// A Header is one header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Constants of the mixing function: odd, with as many ones as zeros.
const (
	mix1 = 0xa0761d6478bd642f
	mix2 = 0xe7037ed1a0b428db
	mix3 = 0x8ebc6af09c88c6e3
)

// DigestOf returns the digest of a whole record: key, value and headers in their
// order. A null key or value is not an empty one.
func DigestOf(key, value []byte, headers []Header) Digest {
	d := digestField(mix3, key)
	d = digestField(d, value)
	for i := range headers {
		d = digestBytes(d, []byte(headers[i].Key))
		d = digestField(d, headers[i].Value)
	}
	return Digest(mix(d^uint64(len(headers)), mix1))
}

// KeyDigest returns the digest of a key alone.
func KeyDigest(key []byte) Digest { return Digest(digestField(mix2, key)) }

// digestField mixes in one field that may be null.
func digestField(d uint64, b []byte) uint64 {
	if b == nil {
		return mix(d^mix2, mix3)
	}
	return digestBytes(d, b)
}

// digestBytes mixes in the bytes and their number, sixteen at a time.
func digestBytes(d uint64, b []byte) uint64 {
	d = mix(d^mix1, uint64(len(b))^mix3)
	for len(b) >= 16 {
		d = mix(binary.LittleEndian.Uint64(b)^mix1, binary.LittleEndian.Uint64(b[8:])^d)
		b = b[16:]
	}
	var tail [16]byte
	copy(tail[:], b)
	return mix(binary.LittleEndian.Uint64(tail[:])^mix2, binary.LittleEndian.Uint64(tail[8:])^d)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// IdentitySize is how many bytes AppendIdentity appends.
const IdentitySize = 12

// AppendIdentity appends a record identity, with a check, in the form in which
// values carry it.
func AppendIdentity(b []byte, id RecordID) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	return binary.BigEndian.AppendUint32(b, uint32(mix(uint64(id)^mix1, mix2)))
}

// IdentityOf returns the identity that AppendIdentity wrote at the start of b, or
// NoRecord if there is none.
func IdentityOf(b []byte) RecordID {
	if len(b) < IdentitySize {
		return NoRecord
	}
	id := binary.BigEndian.Uint64(b)
	if binary.BigEndian.Uint32(b[8:]) != uint32(mix(id^mix1, mix2)) {
		return NoRecord
	}
	return RecordID(id)
}
