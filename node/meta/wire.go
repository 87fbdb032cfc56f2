package meta

import (
	"encoding/binary"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// maxText is the longest text in a record. Decisions check lengths long before.
const maxText = 1<<15 - 1

// An encoder appends fields, big-endian; texts and lists after their length.
type encoder struct{ b []byte }

func (e *encoder) int16(v int16)   { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *encoder) int32(v int32)   { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) int64(v int64)   { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }
func (e *encoder) raw(v []byte)    { e.b = append(e.b, v...) }
func (e *encoder) uint32(v uint32) { e.b = binary.AppendUvarint(e.b, uint64(v)) }
func (e *encoder) count(n int)     { e.int32(int32(n)) }
func (e *encoder) byte(v byte)     { e.b = append(e.b, v) }

// patch writes a number where a placeholder was.
func (e *encoder) patch(at int, v int32) { binary.BigEndian.PutUint32(e.b[at:], uint32(v)) }

func (e *encoder) text(s string) {
	assert.That(len(s) <= maxText, "metadata text of %d bytes", len(s))
	e.int16(int16(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) optional(s *string) {
	if s == nil {
		e.int16(0)
		return
	}
	e.int16(1)
	e.text(*s)
}

// nodes takes a byte for most ids: they are small.
func (e *encoder) nodes(ids []kafka.NodeID) {
	e.uint32(uint32(len(ids)))
	for _, id := range ids {
		e.uint32(uint32(id))
	}
}

func (e *encoder) record(r Record) {
	e.int16(int16(r.kind()))
	e.int16(0)
	r.put(e)
}

// A decoder takes fields off its bytes. After the first that is not there it is
// bad and yields zeros.
type decoder struct {
	b   []byte
	bad bool
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

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
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

// uint32 takes a varint in its shortest form: there is one way to write a record.
func (d *decoder) uint32() uint32 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > 1<<32-1 || n > 1 && d.b[n-1] == 0 {
		d.take(-1)
		return 0
	}
	d.take(n)
	return uint32(v)
}

// natural takes a number that is not negative as an int32.
func (d *decoder) natural() int32 {
	v := int32(d.uint32())
	if v < 0 {
		d.take(-1)
		return 0
	}
	return v
}

func (d *decoder) text() string { return string(d.take(int(d.int16()))) }

func (d *decoder) optional() *string {
	switch d.int16() {
	case 0:
	case 1:
		s := d.text()
		return &s
	default:
		d.bad = true
	}
	return nil
}

func (d *decoder) topicID() (id kafka.TopicID) {
	copy(id[:], d.take(len(id)))
	return id
}

// count takes a length of a list whose items have at least size bytes each: it
// is bad if the bytes cannot hold them.
func (d *decoder) count(size int) int { return d.held(int(d.int32()), size) }

// shortCount is count for lengths that are written as varints.
func (d *decoder) shortCount(size int) int { return d.held(int(d.natural()), size) }

func (d *decoder) held(n, size int) int {
	if n < 0 || n > len(d.b)/size {
		d.take(-1)
		return 0
	}
	return n
}

// nodes takes ids; nil if there are none.
func (d *decoder) nodes() []kafka.NodeID {
	n := d.shortCount(1)
	if n == 0 {
		return nil
	}
	ids := make([]kafka.NodeID, n)
	for i := range ids {
		ids[i] = kafka.NodeID(d.uint32())
	}
	return ids
}

// record takes the fields of one type of record; nil if there is no such type.
func (d *decoder) record(k kind) Record {
	switch k {
	case kindFeature:
		return Feature{Name: d.text(), Level: d.int16()}
	case kindCluster:
		return Cluster{ID: d.text()}
	case kindBroker:
		return d.broker()
	case kindBrokerChange:
		return d.brokerChange()
	case kindBrokerOffline:
		return BrokerOffline{ID: kafka.NodeID(d.int32()), Epoch: d.int64(), Offline: d.replicas()}
	case kindRemoveBroker:
		return RemoveBroker{ID: kafka.NodeID(d.int32()), Epoch: d.int64()}
	case kindBrokerEpoch:
		return BrokerEpoch{Last: d.int64()}
	case kindTopic:
		return TopicRecord{Name: d.text(), ID: d.topicID()}
	case kindPartitions:
		return d.partitions()
	case kindRemoveTopic:
		return RemoveTopic{ID: d.topicID()}
	case kindConfig:
		return ConfigRecord{Topic: d.topicID(), Name: d.text(), Value: d.optional()}
	case kindBrokerConfig:
		return BrokerConfig{Broker: kafka.NodeID(d.int32()), Name: d.text(), Value: d.optional()}
	case kindGroupConfig:
		return GroupConfig{Group: d.text(), Name: d.text(), Value: d.optional()}
	case kindProducerBlock:
		return ProducerBlock{Broker: kafka.NodeID(d.int32()), End: kafka.ProducerID(d.int64())}
	}
	return nil
}
