package record

import (
	"encoding/binary"
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
)

// Repack returns a batch that has passed Validate with its records compressed in
// another way, in memory of its own: what a log keeps whose topic demands a codec
// of its own. All of the records are checked, and it is dated as Accept does.
// It fails as Validate does, with ErrTooLarge if what comes of it is larger than
// the topic allows. It takes long: callers offload it.
func (b Batch) Repack(how Compression, l Limits, c *Codecs) (Batch, error) {
	limit := l.Unpacked
	if how.Codec == None {
		limit = min(limit, l.MaxBytes)
	}
	plain, err := c.Unpack(b, limit)
	if err != nil {
		return Batch{}, err
	}
	largest, err := b.checkRecords(b.iterate(plain), l)
	if err != nil {
		return Batch{}, err
	}
	packed := make([]byte, HeaderSize, HeaderSize+min(len(plain), l.MaxBytes))
	copy(packed, b.b)
	if packed, err = c.Pack(packed, how, plain); err != nil {
		return Batch{}, err
	}
	if len(packed) > l.MaxBytes {
		return Batch{}, fmt.Errorf("batch of %d bytes in %s, limit %d: %w", len(packed), how.Codec, l.MaxBytes, ErrTooLarge)
	}
	out := Batch{b: packed}
	out.date(l, largest)
	attributes := out.Attributes()&^codecMask | int16(how.Codec)
	binary.BigEndian.PutUint32(packed[lengthAt:], uint32(len(packed)-lengthFrom))
	binary.BigEndian.PutUint16(packed[attributesAt:], uint16(attributes))
	out.seal()
	return out, nil
}

// date writes who dated the records and their largest timestamp.
func (b Batch) date(l Limits, largest kafka.Timestamp) {
	if l.Timestamps == LogAppendTime {
		b.SetMaxTimestamp(LogAppendTime, l.Now)
		return
	}
	b.SetMaxTimestamp(CreateTime, largest)
}
