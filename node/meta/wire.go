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

func (e *encoder) int16(v int16) { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *encoder) int32(v int32) { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) int64(v int64) { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }
func (e *encoder) raw(v []byte)  { e.b = append(e.b, v...) }
func (e *encoder) count(n int)   { e.int32(int32(n)) }

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

func (e *encoder) nodes(ids []kafka.NodeID) {
	e.count(len(ids))
	for _, id := range ids {
		e.int32(int32(id))
	}
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
		return nil
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
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
func (d *decoder) count(size int) int {
	n := int(d.int32())
	if n < 0 || n > len(d.b)/size {
		d.bad = true
		return 0
	}
	return n
}

func (d *decoder) nodes() []kafka.NodeID {
	ids := make([]kafka.NodeID, d.count(4))
	for i := range ids {
		ids[i] = kafka.NodeID(d.int32())
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
	case kindTopic:
		return TopicRecord{Name: d.text(), ID: d.topicID()}
	case kindPartition:
		return PartitionRecord{Topic: d.topicID(), Partition: d.int32(), PartitionState: d.partition()}
	case kindRemoveTopic:
		return RemoveTopic{ID: d.topicID()}
	case kindConfig:
		return ConfigRecord{Topic: d.topicID(), Name: d.text(), Value: d.optional()}
	case kindBrokerConfig:
		return BrokerConfig{Broker: kafka.NodeID(d.int32()), Name: d.text(), Value: d.optional()}
	case kindProducerBlock:
		return ProducerBlock{Broker: kafka.NodeID(d.int32()), End: kafka.ProducerID(d.int64())}
	}
	return nil
}

func (d *decoder) broker() Record {
	r := Broker{ID: kafka.NodeID(d.int32()), Epoch: d.int64()}
	for range d.count(8) {
		r.Endpoints = append(r.Endpoints, Endpoint{Listener: d.text(), Host: d.text(), Port: d.int32()})
	}
	for range d.count(len(DirectoryID{})) {
		var id DirectoryID
		copy(id[:], d.take(len(id)))
		r.Directories = append(r.Directories, id)
	}
	return r
}

func (d *decoder) partition() PartitionState {
	return PartitionState{
		Replicas:    d.nodes(),
		ISR:         d.nodes(),
		Leader:      kafka.NodeID(d.int32()),
		LeaderEpoch: kafka.LeaderEpoch(d.int32()),
		Epoch:       d.int32(),
	}
}
