package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klammlog/klamm/node/kafka"
)

// Every file of ours begins with a header of headerSize bytes. All numbers of
// our files are little-endian.
//
//	0  magic "klmm"     8  directory id       40 topic id
//	4  version u16      24 number u64         56 partition i32
//	6  kind u16         32 base offset i64    60 CRC-32C of what is before
const (
	headerSize    = 64
	formatVersion = 1
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	magic      = [4]byte{'k', 'l', 'm', 'm'}

	errHeader = errors.New("bad header")
)

// A kind says what a file is.
type kind uint16

const (
	kindDirectory kind = iota + 1
	kindPartition
	kindManifest
	kindIndex
	kindSnapshot
)

// A header says whose file it is. The number is the file's own: the checksums of
// its records begin with the header's checksum, so that a record of another file
// is not taken for one of this file's.
type header struct {
	kind      kind
	dir       DirID
	number    uint64
	base      kafka.Offset
	topic     kafka.TopicID
	partition int32
}

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic[:])
	le.PutUint16(b[4:], formatVersion)
	le.PutUint16(b[6:], uint16(h.kind))
	copy(b[8:], h.dir[:])
	le.PutUint64(b[24:], h.number)
	le.PutUint64(b[32:], uint64(h.base))
	copy(b[40:], h.topic[:])
	le.PutUint32(b[56:], uint32(h.partition))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

func parseHeader(b []byte, want kind) (header, error) {
	var h header
	if len(b) < headerSize {
		return h, fmt.Errorf("%w: %d bytes", errHeader, len(b))
	}
	// First of all: of what has rotted nothing is believed, not even the version.
	if sum := le.Uint32(b[60:]); sum != crc32.Checksum(b[:60], castagnoli) {
		return h, fmt.Errorf("%w: checksum %08x is not that of the header", errHeader, sum)
	}
	if [4]byte(b[:4]) != magic {
		return h, fmt.Errorf("%w: magic %q", errHeader, b[:4])
	}
	if v := le.Uint16(b[4:]); v != formatVersion {
		return h, fmt.Errorf("%w: version %d, want %d", errHeader, v, formatVersion)
	}
	h = header{
		kind: kind(le.Uint16(b[6:])), dir: DirID(b[8:24]), number: le.Uint64(b[24:]),
		base: kafka.Offset(le.Uint64(b[32:])), topic: kafka.TopicID(b[40:56]), partition: int32(le.Uint32(b[56:])),
	}
	if h.kind != want {
		return h, fmt.Errorf("%w: kind %d, want %d", errHeader, h.kind, want)
	}
	return h, nil
}

// seed returns what the checksums of the file's records begin with.
func (h header) seed() uint32 { return le.Uint32(h.encode()[60:]) }

// sameOwner reports whether two files belong to the same log in the same
// directory.
func (h header) sameOwner(o header) bool {
	return h.dir == o.dir && h.topic == o.topic && h.partition == o.partition
}

// seal puts the checksum of a record, all of b but its first four bytes, there.
func seal(b []byte, seed uint32) { le.PutUint32(b, crc32.Update(seed, castagnoli, b[4:])) }

// sound reports whether a record's checksum is right.
func sound(b []byte, seed uint32) bool {
	return crc32.Update(seed, castagnoli, b[4:]) == le.Uint32(b)
}
