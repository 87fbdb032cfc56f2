package record

import (
	"encoding/binary"

	"github.com/klammlog/klamm/node/kafka"
)

// A Rewrite makes a batch anew with some of its records, for compaction: base
// offset, last offset, sequences, producer and epoch stay as they were, so that
// whoever reads the log finds nothing renumbered.
type Rewrite struct {
	original Batch
	w        Builder
	horizon  kafka.Timestamp
}

// Start begins the rewrite of a batch. Memory of the last one is used again.
func (r *Rewrite) Start(original Batch) {
	r.original = original
	r.w.Reset()
	r.horizon = kafka.NoTimestamp
	if horizon, set := original.DeleteHorizon(); set {
		r.SetHorizon(horizon)
	}
}

// SetHorizon gives the batch a delete horizon (KIP-534). It is kept in place of
// the base timestamp, and comes before the first Keep.
func (r *Rewrite) SetHorizon(horizon kafka.Timestamp) {
	r.horizon = horizon
	r.w.fixed = true
	r.w.baseTime = horizon
}

// Keep adds one of the original's records; they come in order.
func (r *Rewrite) Keep(rec Record) {
	r.w.appendAt(int32(rec.Offset-r.original.BaseOffset()), rec)
}

// Count returns how many records were kept.
func (r *Rewrite) Count() int32 { return r.w.count }

// AppendTo appends the new batch to dst, compressed as the original was. Without
// records it is a header alone, which keeps the producer's sequence alive. It
// fails only with ErrCodec.
func (r *Rewrite) AppendTo(dst []byte, c *Codecs) ([]byte, error) {
	from := len(dst)
	dst = append(dst, r.original.b[:HeaderSize]...)
	attributes := r.original.Attributes() &^ deleteHorizonBit
	if r.w.count == 0 {
		attributes &^= codecMask
	} else {
		var err error
		how := Compression{Codec: r.original.Compression()}
		if dst, err = c.Pack(dst, how, r.w.buf); err != nil {
			return nil, err
		}
	}
	if r.horizon != kafka.NoTimestamp {
		attributes |= deleteHorizonBit
	}
	b := Batch{b: dst[from:]}
	binary.BigEndian.PutUint32(b.b[lengthAt:], uint32(len(b.b)-lengthFrom))
	binary.BigEndian.PutUint16(b.b[attributesAt:], uint16(attributes))
	binary.BigEndian.PutUint32(b.b[countAt:], uint32(r.w.count))
	b.putTimestamps(r.timestamps())
	b.seal()
	return dst, nil
}

// timestamps returns the base and the largest timestamp of the new batch. An
// empty batch and one dated by the log keep the largest they had.
func (r *Rewrite) timestamps() (base, largest kafka.Timestamp) {
	base, largest = r.w.baseTime, r.w.maxTime
	if r.w.count == 0 && !r.w.fixed {
		base = r.original.FirstTimestamp()
	}
	if r.w.count == 0 || r.original.TimestampType() == LogAppendTime {
		largest = r.original.MaxTimestamp()
	}
	return base, largest
}
