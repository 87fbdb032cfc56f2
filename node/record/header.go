package record

import (
	"encoding/binary"
	"math"

	"github.com/klammlog/klamm/node/kafka"
)

// Sizes and positions of the fields of a magic-2 batch. Only the bytes from the
// attributes on are under the CRC: base offset and leader epoch are the
// broker's to patch.
const (
	HeaderSize = 61 // a batch without records
	Magic      = 2
	MagicAt    = 16 // the version of every message format there ever was is here
	CRCFrom    = 21 // the first byte under the CRC

	baseOffsetAt      = 0
	lengthAt          = 8
	lengthFrom        = 12 // the length counts what follows itself
	leaderEpochAt     = 12
	crcAt             = 17
	attributesAt      = 21
	lastOffsetDeltaAt = 23
	baseTimestampAt   = 27
	maxTimestampAt    = 35
	producerIDAt      = 43
	producerEpochAt   = 51
	baseSequenceAt    = 53
	countAt           = 57
)

// Bits of the attributes.
const (
	codecMask         int16 = 0x07
	logAppendTimeBit  int16 = 0x08
	transactionalBit  int16 = 0x10
	controlBit        int16 = 0x20
	deleteHorizonBit  int16 = 0x40
	knownAttributeBit int16 = 0x7f
)

// A TimestampType says who dated the records of a batch.
type TimestampType int8

// The types, as the attribute bit holds them.
const (
	CreateTime    TimestampType = 0
	LogAppendTime TimestampType = 1
)

func (t TimestampType) String() string {
	if t == LogAppendTime {
		return "LogAppendTime"
	}
	return "CreateTime"
}

func (b Batch) i16(at int) int16 { return int16(binary.BigEndian.Uint16(b.b[at:])) }
func (b Batch) i32(at int) int32 { return int32(binary.BigEndian.Uint32(b.b[at:])) }
func (b Batch) i64(at int) int64 { return int64(binary.BigEndian.Uint64(b.b[at:])) }

// BaseOffset returns the offset of the batch's first record, as it was before
// compaction removed any.
func (b Batch) BaseOffset() kafka.Offset { return kafka.Offset(b.i64(baseOffsetAt)) }

// LastOffsetDelta returns the last offset relative to the first. Compaction
// keeps it when it removes records.
func (b Batch) LastOffsetDelta() int32 { return b.i32(lastOffsetDeltaAt) }

// LastOffset returns the last offset the batch covers, inclusive.
func (b Batch) LastOffset() kafka.Offset {
	return b.BaseOffset() + kafka.Offset(b.LastOffsetDelta())
}

// EndOffset returns the offset after the last.
func (b Batch) EndOffset() kafka.Offset { return b.LastOffset() + 1 }

// LeaderEpoch returns the epoch of the leader that assigned the offsets.
func (b Batch) LeaderEpoch() kafka.LeaderEpoch { return kafka.LeaderEpoch(b.i32(leaderEpochAt)) }

// CRC returns the checksum the batch claims: CRC-32C of everything from the
// attributes on.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b.b[crcAt:]) }

// Attributes returns the attribute bits.
func (b Batch) Attributes() int16 { return b.i16(attributesAt) }

// Compression returns the codec the records are compressed with. It may be one
// that does not exist.
func (b Batch) Compression() Codec { return Codec(b.Attributes() & codecMask) }

// TimestampType says who dated the records.
func (b Batch) TimestampType() TimestampType {
	return TimestampType((b.Attributes() & logAppendTimeBit) / logAppendTimeBit)
}

// Transactional reports whether the batch belongs to a transaction.
func (b Batch) Transactional() bool { return b.Attributes()&transactionalBit != 0 }

// Control reports whether the batch holds markers for consumers instead of
// records for applications.
func (b Batch) Control() bool { return b.Attributes()&controlBit != 0 }

// DeleteHorizon returns when compaction may remove the batch's tombstones and
// markers, and whether that has been decided (KIP-534).
func (b Batch) DeleteHorizon() (kafka.Timestamp, bool) {
	return b.FirstTimestamp(), b.Attributes()&deleteHorizonBit != 0
}

// FirstTimestamp returns what the timestamp deltas of the records count from:
// the first record's timestamp, or the delete horizon where one is set.
func (b Batch) FirstTimestamp() kafka.Timestamp { return kafka.Timestamp(b.i64(baseTimestampAt)) }

// MaxTimestamp returns the largest timestamp among the records, or the time of
// the append under LogAppendTime.
func (b Batch) MaxTimestamp() kafka.Timestamp { return kafka.Timestamp(b.i64(maxTimestampAt)) }

// ProducerID returns the idempotent producer's id, or kafka.NoProducerID.
func (b Batch) ProducerID() kafka.ProducerID { return kafka.ProducerID(b.i64(producerIDAt)) }

// ProducerEpoch returns the producer's epoch, -1 without idempotence.
func (b Batch) ProducerEpoch() kafka.ProducerEpoch {
	return kafka.ProducerEpoch(b.i16(producerEpochAt))
}

// BaseSequence returns the first record's sequence, or kafka.NoSequence.
func (b Batch) BaseSequence() kafka.Sequence { return kafka.Sequence(b.i32(baseSequenceAt)) }

// LastSequence returns the last record's sequence, or kafka.NoSequence. It is
// smaller than the first where the numbers wrap.
func (b Batch) LastSequence() kafka.Sequence {
	base := b.BaseSequence()
	if base == kafka.NoSequence {
		return base
	}
	return kafka.Sequence((int64(base) + int64(b.LastOffsetDelta())) & math.MaxInt32)
}

// Count returns how many records the batch claims to hold. Compaction can leave
// none.
func (b Batch) Count() int32 { return b.i32(countAt) }
