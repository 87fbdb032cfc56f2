// Package record reads, checks and builds record batches of Kafka's message
// format 2, the unit that producers send, logs keep and consumers fetch.
//
// It promises that what arrived is what is kept: a Batch is a view of the very
// bytes, and only the fields a broker owns are patched. It neither reads files
// nor decides what is appended, and it takes no byte of its input on trust:
// View bounds every later access, decompression is bounded by the caller.
//
// The one rule: a Batch aliases the bytes it was made from and is as long
// valid as they are.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math"

	"github.com/klammlog/klamm/node/kafka"
)

// What can be wrong with bytes that should be a batch. They are wrapped with
// what was found.
var (
	// ErrShort: the bytes end inside the batch.
	ErrShort = errors.New("batch is cut short")

	// ErrCorrupt: length or checksum contradict the bytes.
	ErrCorrupt = errors.New("corrupt batch")

	// ErrMagic: a message format other than 2.
	ErrMagic = errors.New("unsupported message format")

	// ErrInvalid: the batch is as it was sent, but no producer may send it.
	ErrInvalid = errors.New("invalid record")

	// ErrTimestamp: a timestamp out of the topic's bounds.
	ErrTimestamp = errors.New("invalid timestamp")

	// ErrTooLarge: more bytes than the limit, compressed or not.
	ErrTooLarge = errors.New("record batch too large")

	// ErrCodec: a codec that does not exist.
	ErrCodec = errors.New("unsupported compression type")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// A Batch is a view of one record batch. The zero Batch has no fields to read.
type Batch struct {
	b []byte // exactly one batch, at least HeaderSize bytes
}

// View returns the first batch of b and its size in bytes. It checks that the
// header is there and that the length agrees with it, not the checksum. It
// fails with ErrShort if b ends inside the batch, ErrMagic or ErrCorrupt.
func View(b []byte) (Batch, int, error) {
	if len(b) <= MagicAt {
		return Batch{}, 0, short(b, HeaderSize)
	}
	length := int32(binary.BigEndian.Uint32(b[lengthAt:]))
	if b[MagicAt] != Magic {
		return Batch{}, 0, badMagic(b)
	}
	if length < HeaderSize-lengthFrom || length > math.MaxInt32-lengthFrom {
		return Batch{}, 0, badLength(length)
	}
	size := int(length) + lengthFrom
	if size > len(b) {
		return Batch{}, 0, short(b, size)
	}
	return Batch{b: b[:size:size]}, size, nil
}

// Kept out of line so that View is small.
func short(b []byte, want int) error {
	return fmt.Errorf("%d bytes of %d: %w", len(b), want, ErrShort)
}

func badMagic(b []byte) error { return fmt.Errorf("magic %d: %w", int8(b[MagicAt]), ErrMagic) }

func badLength(n int32) error {
	return fmt.Errorf("length field %d, at least %d: %w", n, HeaderSize-lengthFrom, ErrCorrupt)
}

// All yields the batches of b one after the other. An error ends the sequence;
// it comes with the zero Batch.
func All(b []byte) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for len(b) > 0 {
			batch, size, err := View(b)
			if !yield(batch, err) || err != nil {
				return
			}
			b = b[size:]
		}
	}
}

// Bytes returns the batch as it is, aliasing the bytes it was made from.
func (b Batch) Bytes() []byte { return b.b }

// Size returns the batch's length in bytes, header included.
func (b Batch) Size() int { return len(b.b) }

// payload returns the records, compressed as the attributes say.
func (b Batch) payload() []byte { return b.b[HeaderSize:] }

// CheckCRC compares the checksum with the bytes. It fails with ErrCorrupt.
func (b Batch) CheckCRC() error {
	if got := Checksum(b.b[CRCFrom:]); got != b.CRC() {
		return fmt.Errorf("offset %d: checksum %08x of bytes with checksum %08x: %w",
			b.BaseOffset(), b.CRC(), got, ErrCorrupt)
	}
	return nil
}

// Assign writes the offset of the first record and the leader's epoch into the
// batch. Neither is under the checksum.
func (b Batch) Assign(base kafka.Offset, epoch kafka.LeaderEpoch) {
	binary.BigEndian.PutUint64(b.b[baseOffsetAt:], uint64(base))
	binary.BigEndian.PutUint32(b.b[leaderEpochAt:], uint32(epoch))
}

// SetMaxTimestamp writes who dated the records and the largest timestamp into
// the batch, and its checksum anew. With LogAppendTime every record then has
// that timestamp. The checksum must have been checked before, or a corrupt batch
// becomes a sound one.
func (b Batch) SetMaxTimestamp(t TimestampType, ts kafka.Timestamp) {
	if t == b.TimestampType() && ts == b.MaxTimestamp() {
		return
	}
	attributes := b.Attributes() &^ logAppendTimeBit
	if t == LogAppendTime {
		attributes |= logAppendTimeBit
	}
	binary.BigEndian.PutUint16(b.b[attributesAt:], uint16(attributes))
	binary.BigEndian.PutUint64(b.b[maxTimestampAt:], uint64(ts))
	b.seal()
}

// seal writes the checksum of the bytes as they are.
func (b Batch) seal() { binary.BigEndian.PutUint32(b.b[crcAt:], Checksum(b.b[CRCFrom:])) }

// String tells the batch in one line, for logs and golden files.
func (b Batch) String() string {
	s := fmt.Sprintf("[%d,%d] epoch=%d count=%d bytes=%d", b.BaseOffset(), b.LastOffset(),
		b.LeaderEpoch(), b.Count(), b.Size())
	if c := b.Compression(); c != None {
		s += " " + c.String()
	}
	if b.ProducerID() != kafka.NoProducerID {
		s += fmt.Sprintf(" producer=%d/%d seq=%d", b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
	}
	if b.Transactional() {
		s += " transactional"
	}
	if b.Control() {
		s += " control"
	}
	return s
}
