// Package partitioner chooses the partition a record goes to.
//
// Records with a key go where every other Kafka client sends them, so that
// producers of different make agree: murmur2 of the key, modulo the number of
// partitions. Records without one stick to a partition until a batch's worth went
// there (KIP-794, without its adaptation to slow brokers). It draws no random
// number itself: the caller passes a source.
package partitioner

import (
	"math/rand/v2"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// A Record is what a partitioner may look at. It is not to be changed or kept.
type Record struct {
	Topic   string
	Key     []byte // nil: none
	Value   []byte
	Headers []record.Header
}

// A Partitioner chooses where the records of one producer go that name no
// partition. It may keep state, so two producers need two. Its methods do not
// block.
type Partitioner interface {
	// Choose returns the partition of a record, among those of its topic, of
	// which there is at least one. The record goes there, or nowhere.
	Choose(r *Record, t *cluster.Topic, draws *rand.Rand) int32

	// Appended tells that a partition's open batch grew by so many bytes,
	// whoever chose the partition.
	Appended(tp kafka.TopicPartition, bytes int)

	// Closed tells that a partition's open batch takes no more records.
	Closed(tp kafka.TopicPartition)
}

// Default returns what Kafka's producers do: ByKey where a record has a key, and
// Sticky otherwise.
func Default(batchSize int) Partitioner { return &standard{Sticky(batchSize)} }

type standard struct{ Partitioner }

func (s *standard) Choose(r *Record, t *cluster.Topic, draws *rand.Rand) int32 {
	if r.Key != nil {
		return ByKey(r.Key, int32(len(t.Partitions)))
	}
	return s.Partitioner.Choose(r, t, draws)
}

// A Func is a partitioner of the user's: it returns a partition below count. What
// it returns beyond is an error of the send.
type Func func(r *Record, count int32) int32

// Choose implements Partitioner.
func (f Func) Choose(r *Record, t *cluster.Topic, _ *rand.Rand) int32 {
	return f(r, int32(len(t.Partitions)))
}

// Appended implements Partitioner.
func (Func) Appended(kafka.TopicPartition, int) {}

// Closed implements Partitioner.
func (Func) Closed(kafka.TopicPartition) {}

// led returns how many partitions have a leader.
func led(t *cluster.Topic) int {
	n := 0
	for i := range t.Partitions {
		if t.Partitions[i].Leader != cluster.NoNode {
			n++
		}
	}
	return n
}

// pick returns the kth of the partitions that have a leader, modulo their number;
// if none has, of all of them.
func pick(t *cluster.Topic, k int) int32 {
	n := led(t)
	if n == 0 {
		return t.Partitions[k%len(t.Partitions)].ID
	}
	k %= n
	for i := range t.Partitions {
		if t.Partitions[i].Leader == cluster.NoNode {
			continue
		}
		if k == 0 {
			return t.Partitions[i].ID
		}
		k--
	}
	return t.Partitions[0].ID // not reached: n of them have a leader
}
