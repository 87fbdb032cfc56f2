package record

import (
	"encoding/binary"
	"fmt"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A ControlType is what a control record means.
type ControlType int16

// The types that end a transaction in a partition (KIP-98).
const (
	Abort  ControlType = 0
	Commit ControlType = 1
)

func (t ControlType) String() string {
	switch t {
	case Abort:
		return "abort"
	case Commit:
		return "commit"
	}
	return fmt.Sprintf("control type %d", int16(t))
}

// A Marker ends a producer's transaction in one partition.
type Marker struct {
	Type             ControlType
	CoordinatorEpoch int32
}

// controlVersion is the version of a control record's key and of its value.
const controlVersion = 0

// BuildControl returns a batch with one marker. Consumers of the Java and the
// Go kind read its value, so it has one. Its producer has no sequence. The
// offset is the log's to assign.
func BuildControl(p Producer, m Marker, at kafka.Timestamp) Batch {
	key := binary.BigEndian.AppendUint16(nil, controlVersion)
	key = binary.BigEndian.AppendUint16(key, uint16(m.Type))
	value := binary.BigEndian.AppendUint16(nil, controlVersion)
	value = binary.BigEndian.AppendUint32(value, uint32(m.CoordinatorEpoch))
	var w Builder
	w.Append(Record{Timestamp: at, Key: key, Value: value})
	p.Sequence = kafka.NoSequence
	b, err := w.Build(Spec{Producer: &p, Transactional: InTransaction}, nil)
	assert.NoError(err)
	binary.BigEndian.PutUint16(b.b[attributesAt:], uint16(b.Attributes()|controlBit))
	b.seal()
	return b
}

// ParseControl returns the marker of a control batch. Unknown types are
// returned as they are: consumers skip them. It fails with ErrInvalid.
func ParseControl(b Batch) (Marker, error) {
	if !b.Control() {
		return Marker{}, fmt.Errorf("offset %d: not a control batch: %w", b.BaseOffset(), ErrInvalid)
	}
	it := b.Records(b.Size())
	if !it.Next() {
		if it.Err() != nil {
			return Marker{}, it.Err()
		}
		return Marker{}, fmt.Errorf("offset %d: control batch without a record: %w", b.BaseOffset(), ErrInvalid)
	}
	key, value := it.Key(), it.Value()
	if len(key) < 4 || len(value) < 6 {
		return Marker{}, fmt.Errorf("offset %d: control record with a key of %d and a value of %d bytes: %w",
			b.BaseOffset(), len(key), len(value), ErrInvalid)
	}
	return Marker{
		Type:             ControlType(binary.BigEndian.Uint16(key[2:])),
		CoordinatorEpoch: int32(binary.BigEndian.Uint32(value[2:])),
	}, nil
}
