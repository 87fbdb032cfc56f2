package client

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// A Record is one record, to be sent or as it was read.
type Record struct {
	Topic     string
	Key       []byte // nil: none
	Value     []byte // nil: a tombstone in a compacted topic
	Headers   []record.Header
	Timestamp kafka.Timestamp // to be sent: 0 means now

	// Of records that were read.
	Partition int32
	Offset    kafka.Offset
	Epoch     kafka.LeaderEpoch // of the leader that appended it
}

// At returns the record's partition.
func (r Record) At() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
}
