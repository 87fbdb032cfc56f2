package partitioner

import (
	"math/rand/v2"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// Sticky returns a partitioner that keeps a topic's records on one partition until
// batchSize bytes went there, then draws another among those that have a leader;
// keys are ignored (partitioner.ignore.keys). Few full batches cost less than many
// small ones, and each partition gets as many bytes as any other, however fast its
// broker is.
//
// It leaves a partition only between two batches, so that it leaves no small batch
// behind, unless twice batchSize went there.
func Sticky(batchSize int) Partitioner {
	return &sticky{size: max(batchSize, 1), topics: make(map[string]*stuck)}
}

type sticky struct {
	size   int
	topics map[string]*stuck
}

// stuck is the partition that a topic's records go to.
type stuck struct {
	partition int32
	bytes     int  // that went there since it was drawn
	open      bool // it has a batch that takes more
}

func (s *sticky) Choose(r *Record, t *cluster.Topic, draws *rand.Rand) int32 {
	at := s.topics[r.Topic]
	if at == nil {
		at = &stuck{}
		s.topics[r.Topic] = at
	} else if !s.enough(at) && at.usable(t) {
		return at.partition
	}
	*at = stuck{partition: pick(t, draws.IntN(max(led(t), 1)*len(t.Partitions)))}
	return at.partition
}

// enough reports whether it is time for another partition.
func (s *sticky) enough(at *stuck) bool {
	return at.bytes >= s.size && !at.open || at.bytes >= 2*s.size
}

// usable reports whether the partition exists and has a leader, or none has.
func (at *stuck) usable(t *cluster.Topic) bool {
	for i := range t.Partitions {
		if p := &t.Partitions[i]; p.ID == at.partition {
			return p.Leader != cluster.NoNode || led(t) == 0
		}
	}
	return false
}

func (s *sticky) Appended(tp kafka.TopicPartition, bytes int) {
	if at := s.topics[tp.Topic]; at != nil && at.partition == tp.Partition {
		at.bytes += bytes
		at.open = true
	}
}

func (s *sticky) Closed(tp kafka.TopicPartition) {
	if at := s.topics[tp.Topic]; at != nil && at.partition == tp.Partition {
		at.open = false
	}
}
