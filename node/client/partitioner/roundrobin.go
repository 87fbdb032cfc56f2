package partitioner

import (
	"math/rand/v2"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// RoundRobin returns a partitioner that sends a topic's records to its partitions
// in turn, whatever their keys. Partitions without a leader are left out while
// others have one.
func RoundRobin() Partitioner { return &roundRobin{next: make(map[string]int)} }

type roundRobin struct{ next map[string]int }

func (r *roundRobin) Choose(rec *Record, t *cluster.Topic, _ *rand.Rand) int32 {
	k := r.next[rec.Topic]
	r.next[rec.Topic] = (k + 1) & (1<<31 - 1)
	return pick(t, k)
}

func (*roundRobin) Appended(kafka.TopicPartition, int) {}

func (*roundRobin) Closed(kafka.TopicPartition) {}
