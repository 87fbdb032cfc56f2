package commitlog

import (
	"hash/crc32"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// An entry is one record of a segment's index: the identity of a batch, kept
// apart from the batch, and how far the segment was synced when that was
// written down.
//
//	0 CRC-32C u32         16 leader epoch i32   32 largest timestamp i64
//	4 relative offset u32 20 identity u32       40 relative offset of the batch
//	8 position u32        24 proven u32            that has it u32
//	12 length u32         28 cut u32            44 zero
type entry struct {
	offset   kafka.Offset // of the batch's first record
	position int64
	length   int
	epoch    kafka.LeaderEpoch
	identity uint32

	// Everything in the segment below proven was synced when the entry was
	// written, which was after the cut of that number.
	proven int64
	cut    uint32

	// The largest timestamp of the segment, this batch included, and the first
	// offset of the batch that has it.
	maxTimestamp kafka.Timestamp
	maxAt        kafka.Offset
}

const (
	entrySize = 48

	// identitySize is how much of a batch its identity covers: the fields that
	// the batch's own checksum leaves out, and that checksum.
	identitySize = 21
)

func identityOf(batch []byte) uint32 { return crc32.Checksum(batch[:identitySize], castagnoli) }

// entryOf describes a batch, but for the timestamps of its segment.
func entryOf(b record.Batch, position int64) entry {
	return entry{offset: b.BaseOffset(), position: position, length: b.Size(),
		epoch: b.LeaderEpoch(), identity: identityOf(b.Bytes())}
}

// same reports whether two entries are of the same batch.
func (e entry) same(o entry) bool {
	return e.offset == o.offset && e.length == o.length && e.epoch == o.epoch && e.identity == o.identity
}

func (e entry) encode(b []byte, base kafka.Offset, seed uint32) {
	le.PutUint32(b[4:], uint32(e.offset-base))
	le.PutUint32(b[8:], uint32(e.position))
	le.PutUint32(b[12:], uint32(e.length))
	le.PutUint32(b[16:], uint32(e.epoch))
	le.PutUint32(b[20:], e.identity)
	le.PutUint32(b[24:], uint32(e.proven))
	le.PutUint32(b[28:], e.cut)
	le.PutUint64(b[32:], uint64(e.maxTimestamp))
	le.PutUint32(b[40:], uint32(e.maxAt-base))
	le.PutUint32(b[44:], 0)
	seal(b[:entrySize], seed)
}

func parseEntry(b []byte, base kafka.Offset, seed uint32) (entry, bool) {
	if !sound(b[:entrySize], seed) {
		return entry{}, false
	}
	return entry{
		offset:   base + kafka.Offset(le.Uint32(b[4:])),
		position: int64(le.Uint32(b[8:])),
		length:   int(le.Uint32(b[12:])),
		epoch:    kafka.LeaderEpoch(le.Uint32(b[16:])),
		identity: le.Uint32(b[20:]),
		proven:   int64(le.Uint32(b[24:])),
		cut:      le.Uint32(b[28:]),

		maxTimestamp: kafka.Timestamp(le.Uint64(b[32:])),
		maxAt:        base + kafka.Offset(le.Uint32(b[40:])),
	}, true
}
