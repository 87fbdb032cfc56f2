// Package meta decides what the cluster is: which brokers, topics and partitions
// there are, who leads them, what is configured, which producer ids are given
// out.
//
// Decisions read an Image and return Records; the Image changes only by
// applying Records, in the order of the metadata log, once they are durable
// there. All nodes that applied the same records have equal images.
//
// It is pure: no clock, no randomness, no waiting. The one rule for callers:
// decide, write and apply under one turn, so that no decision is made on an
// image that a record on its way to the log will change.
package meta

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
)

// A Record is one change of the metadata, as the log keeps it.
type Record interface {
	kind() kind
	put(*encoder)
}

// A kind numbers the types of records. The numbers are on disks: they are never
// given to another type.
type kind int16

const (
	kindFeature       kind = 1
	kindCluster       kind = 2
	kindBroker        kind = 3
	kindTopic         kind = 4
	kindPartitions    kind = 5
	kindRemoveTopic   kind = 6
	kindConfig        kind = 7
	kindProducerBlock kind = 8
	kindBrokerConfig  kind = 9
	kindBrokerChange  kind = 10
	kindBrokerOffline kind = 11
	kindRemoveBroker  kind = 12
	kindBrokerEpoch   kind = 13
	kindGroupConfig   kind = 14

	lastKind = kindGroupConfig
)

// A Cluster names the cluster. It follows the first Feature and never changes.
type Cluster struct{ ID string }

// A TopicRecord adds a topic, without partitions.
type TopicRecord struct {
	Name string
	ID   kafka.TopicID
}

// A RemoveTopic removes a topic, its partitions and its settings.
type RemoveTopic struct{ ID kafka.TopicID }

// A ProducerBlock gives a broker the producer ids from the last block's end up
// to End.
type ProducerBlock struct {
	Broker kafka.NodeID
	End    kafka.ProducerID
}

func (Feature) kind() kind       { return kindFeature }
func (Cluster) kind() kind       { return kindCluster }
func (Broker) kind() kind        { return kindBroker }
func (BrokerChange) kind() kind  { return kindBrokerChange }
func (BrokerOffline) kind() kind { return kindBrokerOffline }
func (RemoveBroker) kind() kind  { return kindRemoveBroker }
func (BrokerEpoch) kind() kind   { return kindBrokerEpoch }
func (TopicRecord) kind() kind   { return kindTopic }
func (Partitions) kind() kind    { return kindPartitions }
func (RemoveTopic) kind() kind   { return kindRemoveTopic }
func (ConfigRecord) kind() kind  { return kindConfig }
func (ProducerBlock) kind() kind { return kindProducerBlock }
func (BrokerConfig) kind() kind  { return kindBrokerConfig }
func (GroupConfig) kind() kind   { return kindGroupConfig }

func (r Cluster) put(e *encoder) { e.text(r.ID) }

func (r TopicRecord) put(e *encoder) {
	e.text(r.Name)
	e.raw(r.ID[:])
}

func (r RemoveTopic) put(e *encoder) { e.raw(r.ID[:]) }

func (r ProducerBlock) put(e *encoder) {
	e.int32(int32(r.Broker))
	e.int64(int64(r.End))
}

// ErrMalformed: bytes that no version of this code wrote.
var ErrMalformed = errors.New("malformed metadata record")

// ErrTooNew: a record that a later version of klamm wrote.
var ErrTooNew = errors.New("metadata record of a later version")

// Encode returns a record's bytes: type and version, 16 bits each, then its
// fields. The metadata log checksums them.
func Encode(r Record) []byte {
	e := &encoder{}
	e.record(r)
	return e.b
}

// Decode reads what Encode returned. It takes no count or length on trust, and
// fails with ErrMalformed or ErrTooNew.
func Decode(b []byte) (Record, error) {
	d := &decoder{b: b}
	k, version := kind(d.int16()), d.int16()
	if !d.bad && (k > lastKind || version != 0) {
		return nil, fmt.Errorf("type %d version %d: %w", k, version, ErrTooNew)
	}
	r := d.record(k)
	if d.bad || r == nil || len(d.b) > 0 {
		return nil, fmt.Errorf("type %d version %d, %d bytes, %d left over: %w", k, version, len(b), len(d.b), ErrMalformed)
	}
	return r, nil
}

// EncodeAll appends records to dst, each after its length. What one decision
// returned stays together: it is applied as a whole.
func EncodeAll(dst []byte, rs []Record) []byte {
	e := &encoder{b: dst}
	for _, r := range rs {
		at := len(e.b)
		e.int32(0)
		e.record(r)
		e.patch(at, int32(len(e.b)-at-4))
	}
	return e.b
}

// DecodeAll reads what EncodeAll appended to nothing. It takes no count or length
// on trust: what it returns is at most some forty times as large as what it was
// given. It fails with ErrMalformed or ErrTooNew.
func DecodeAll(b []byte) ([]Record, error) {
	var rs []Record
	for d := (&decoder{b: b}); len(d.b) > 0; {
		r, err := Decode(d.take(int(d.int32())))
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", len(rs), err)
		}
		rs = append(rs, r)
	}
	return rs, nil
}
