package record

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A Producer is what an idempotent producer writes into its batches.
type Producer struct {
	ID       kafka.ProducerID
	Epoch    kafka.ProducerEpoch
	Sequence kafka.Sequence // of the first record
}

// A Spec is what a batch has beside its records. The zero Spec makes a plain
// batch of offset 0, uncompressed, as producers without idempotence send it.
type Spec struct {
	BaseOffset    kafka.Offset
	LeaderEpoch   kafka.LeaderEpoch
	Compression   Compression
	TimestampType TimestampType
	AppendTime    kafka.Timestamp // with LogAppendTime: every record's timestamp
	Producer      *Producer       // nil without idempotence
	Transactional Transactional
}

// Transactional says whether a batch belongs to a transaction.
type Transactional bool

// The two kinds of batches.
const (
	OutsideTransaction Transactional = false
	InTransaction      Transactional = true
)

// A Builder makes batches. The zero value is an empty builder. Batch after
// batch it keeps its memory.
type Builder struct {
	buf      []byte // the encoded records
	count    int32
	next     int32 // the next record's offset delta
	baseTime kafka.Timestamp
	maxTime  kafka.Timestamp
	fixed    bool // baseTime is not to follow the first record
}

// Reset empties the builder.
func (w *Builder) Reset() { *w = Builder{buf: w.buf[:0]} }

// Count returns how many records were appended.
func (w *Builder) Count() int32 { return w.count }

// Size returns the size in bytes of the batch as it stands, uncompressed.
func (w *Builder) Size() int { return HeaderSize + len(w.buf) }

// SizeWith returns what Size would be with one more record.
func (w *Builder) SizeWith(r Record) int {
	n := w.bodySize(r)
	return w.Size() + varintSize(int64(n)) + n
}

// Append adds a record after the last one. Its Offset is not looked at: the
// broker assigns offsets.
func (w *Builder) Append(r Record) { w.appendAt(w.next, r) }

// appendAt adds a record at a distance from the base offset, which may leave a
// gap to the one before.
func (w *Builder) appendAt(delta int32, r Record) {
	if delta < w.next || len(r.Key) > math.MaxInt32 || len(r.Value) > math.MaxInt32 {
		assert.That(false, "record at offset delta %d after %d with a key of %d and a value of %d bytes",
			delta, w.next-1, len(r.Key), len(r.Value))
	}
	w.next = delta
	if w.count == 0 && !w.fixed {
		w.baseTime = r.Timestamp
	}
	n := w.bodySize(r)
	b := appendVarint(w.buf, int64(n))
	b = append(b, 0) // attributes
	b = appendVarint(b, int64(r.Timestamp-w.base(r)))
	b = appendVarint(b, int64(delta))
	b = appendBytes(b, r.Key)
	b = appendBytes(b, r.Value)
	b = appendVarint(b, int64(len(r.Headers)))
	for _, h := range r.Headers {
		b = appendVarint(b, int64(len(h.Key)))
		b = append(b, h.Key...)
		b = appendBytes(b, h.Value)
	}
	w.buf = b
	if w.count == 0 || r.Timestamp > w.maxTime {
		w.maxTime = r.Timestamp
	}
	w.count++
	w.next++
}

// base returns what r's timestamp counts from.
func (w *Builder) base(r Record) kafka.Timestamp {
	if w.count == 0 && !w.fixed {
		return r.Timestamp
	}
	return w.baseTime
}

// bodySize returns the size of a record without the length before it.
func (w *Builder) bodySize(r Record) int {
	n := 1 + varintSize(int64(r.Timestamp-w.base(r))) + varintSize(int64(w.next)) +
		bytesSize(r.Key) + bytesSize(r.Value) + varintSize(int64(len(r.Headers)))
	for _, h := range r.Headers {
		n += varintSize(int64(len(h.Key))) + len(h.Key) + bytesSize(h.Value)
	}
	return n
}

func bytesSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return appendVarint(dst, -1)
	}
	return append(appendVarint(dst, int64(len(b))), b...)
}

// Build returns the batch in memory of its own, compressed with c; c may be nil
// without compression. The builder keeps its records. There must be at least
// one. It fails only with ErrCodec.
func (w *Builder) Build(s Spec, c *Codecs) (Batch, error) { return w.BuildIn(nil, s, c) }

// BuildIn is Build with the batch in the memory of buf, if there is enough of it.
func (w *Builder) BuildIn(buf []byte, s Spec, c *Codecs) (Batch, error) {
	assert.That(w.count > 0, "batch without records")
	b, err := w.pack(buf, s.Compression, c)
	if err != nil {
		return Batch{}, err
	}
	batch := Batch{b: b}
	batch.putHeader(s, w.next-1, w.count)
	batch.putTimestamps(w.baseTime, w.maxTime)
	if s.TimestampType == LogAppendTime {
		batch.putTimestamps(w.baseTime, s.AppendTime)
	}
	batch.seal()
	return batch, nil
}

// pack returns space for a header, then the records as they are kept.
func (w *Builder) pack(buf []byte, how Compression, c *Codecs) ([]byte, error) {
	need := w.Size()
	if how.Codec != None {
		need = HeaderSize + len(w.buf)/2
	}
	b := slices.Grow(buf[:0], need)[:HeaderSize]
	clear(b)
	if how.Codec == None {
		return append(b, w.buf...), nil
	}
	return c.Pack(b, how, w.buf)
}

func (b Batch) putHeader(s Spec, lastDelta, count int32) {
	b.Assign(s.BaseOffset, s.LeaderEpoch)
	binary.BigEndian.PutUint32(b.b[lengthAt:], uint32(len(b.b)-lengthFrom))
	b.b[MagicAt] = Magic
	binary.BigEndian.PutUint16(b.b[attributesAt:], uint16(s.attributes()))
	binary.BigEndian.PutUint32(b.b[lastOffsetDeltaAt:], uint32(lastDelta))
	p := Producer{kafka.NoProducerID, -1, kafka.NoSequence}
	if s.Producer != nil {
		p = *s.Producer
	}
	binary.BigEndian.PutUint64(b.b[producerIDAt:], uint64(p.ID))
	binary.BigEndian.PutUint16(b.b[producerEpochAt:], uint16(p.Epoch))
	binary.BigEndian.PutUint32(b.b[baseSequenceAt:], uint32(p.Sequence))
	binary.BigEndian.PutUint32(b.b[countAt:], uint32(count))
}

func (s Spec) attributes() int16 {
	a := int16(s.Compression.Codec) & codecMask
	if s.TimestampType == LogAppendTime {
		a |= logAppendTimeBit
	}
	if s.Transactional {
		a |= transactionalBit
	}
	return a
}

func (b Batch) putTimestamps(base, largest kafka.Timestamp) {
	binary.BigEndian.PutUint64(b.b[baseTimestampAt:], uint64(base))
	binary.BigEndian.PutUint64(b.b[maxTimestampAt:], uint64(largest))
}
