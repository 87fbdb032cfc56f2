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
	kindPartition     kind = 5
	kindRemoveTopic   kind = 6
	kindConfig        kind = 7
	kindProducerBlock kind = 8
	kindBrokerConfig  kind = 9
)

// MetadataVersion is the feature that every log begins with: it says which
// records and versions may follow.
const MetadataVersion = "metadata.version"

// Level is the feature level this code writes, and the highest it reads.
const Level int16 = 1

// A Feature finalizes the level of a feature.
type Feature struct {
	Name  string
	Level int16
}

// A Cluster names the cluster. It follows the first Feature and never changes.
type Cluster struct{ ID string }

// An Endpoint is where clients reach a broker by one of its listeners.
type Endpoint struct {
	Listener string
	Host     string
	Port     int32
}

// A Broker registers a broker, or registers it anew.
type Broker struct {
	ID        kafka.NodeID
	Epoch     int64 // grows with each registration
	Endpoints []Endpoint

	// Directories are the ids of all log directories that the broker ever
	// registered with: one that is no longer there may hold partitions.
	Directories []DirectoryID
}

// A DirectoryID names a log directory.
type DirectoryID [16]byte

// A TopicRecord adds a topic, without partitions.
type TopicRecord struct {
	Name string
	ID   kafka.TopicID
}

// A PartitionRecord adds a partition or replaces what it was.
type PartitionRecord struct {
	Topic     kafka.TopicID
	Partition int32
	PartitionState
}

// A RemoveTopic removes a topic, its partitions and its settings.
type RemoveTopic struct{ ID kafka.TopicID }

// A ProducerBlock gives a broker the producer ids from the last block's end up
// to End.
type ProducerBlock struct {
	Broker kafka.NodeID
	End    kafka.ProducerID
}

func (Feature) kind() kind         { return kindFeature }
func (Cluster) kind() kind         { return kindCluster }
func (Broker) kind() kind          { return kindBroker }
func (TopicRecord) kind() kind     { return kindTopic }
func (PartitionRecord) kind() kind { return kindPartition }
func (RemoveTopic) kind() kind     { return kindRemoveTopic }
func (ConfigRecord) kind() kind    { return kindConfig }
func (ProducerBlock) kind() kind   { return kindProducerBlock }
func (BrokerConfig) kind() kind    { return kindBrokerConfig }

func (r Feature) put(e *encoder) {
	e.text(r.Name)
	e.int16(r.Level)
}

func (r Cluster) put(e *encoder) { e.text(r.ID) }

func (r Broker) put(e *encoder) {
	e.int32(int32(r.ID))
	e.int64(r.Epoch)
	e.count(len(r.Endpoints))
	for _, p := range r.Endpoints {
		e.text(p.Listener)
		e.text(p.Host)
		e.int32(p.Port)
	}
	e.count(len(r.Directories))
	for _, id := range r.Directories {
		e.raw(id[:])
	}
}

func (r TopicRecord) put(e *encoder) {
	e.text(r.Name)
	e.raw(r.ID[:])
}

func (r PartitionRecord) put(e *encoder) {
	e.raw(r.Topic[:])
	e.int32(r.Partition)
	e.nodes(r.Replicas)
	e.nodes(r.ISR)
	e.int32(int32(r.Leader))
	e.int32(int32(r.LeaderEpoch))
	e.int32(r.Epoch)
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
	e.int16(int16(r.kind()))
	e.int16(0)
	r.put(e)
	return e.b
}

// Decode reads what Encode returned. It takes no count or length on trust, and
// fails with ErrMalformed or ErrTooNew.
func Decode(b []byte) (Record, error) {
	d := &decoder{b: b}
	k, version := kind(d.int16()), d.int16()
	if !d.bad && (k > kindBrokerConfig || version != 0) {
		return nil, fmt.Errorf("type %d version %d: %w", k, version, ErrTooNew)
	}
	r := d.record(k)
	if d.bad || r == nil || len(d.b) > 0 {
		return nil, fmt.Errorf("type %d version %d, %d bytes, %d left over: %w", k, version, len(b), len(d.b), ErrMalformed)
	}
	return r, nil
}
