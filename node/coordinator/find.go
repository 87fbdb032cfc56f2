package coordinator

import (
	"fmt"
	"math"
	"unicode/utf16"

	"github.com/klammlog/klamm/node/kafka"
)

// PartitionFor returns the partition, of so many, that a key belongs to: the hash
// that Java has for strings, as Kafka takes it.
func PartitionFor(key string, partitions int32) int32 {
	var hash int32
	for _, unit := range utf16.Encode([]rune(key)) {
		hash = 31*hash + int32(unit)
	}
	if hash == math.MinInt32 {
		return 0
	}
	return max(hash, -hash) % partitions
}

// Find returns the broker that coordinates a key. While the internal topic is not
// there it has it created, and fails with COORDINATOR_NOT_AVAILABLE, as it does
// while nobody leads the partition. It does not block.
func (c *Coordinators[M]) Find(key string) (kafka.NodeID, error) {
	t, ok := c.b.Image().Topic(c.kind.Topic)
	if !ok {
		c.create()
		return -1, fmt.Errorf("topic %s is being created: %w", c.kind.Topic, kafka.ErrCoordinatorNotAvailable)
	}
	p := PartitionFor(key, int32(len(t.Partitions)))
	leader := t.Partitions[p].Leader
	if leader < 0 {
		return -1, fmt.Errorf("%s-%d has no leader: %w", c.kind.Topic, p, kafka.ErrCoordinatorNotAvailable)
	}
	return leader, nil
}

// create has the internal topic created, unless that is under way.
func (c *Coordinators[M]) create() {
	if c.creating || c.closed {
		return
	}
	c.creating = true
	c.b.CreateSoon(c.kind.Topic, func() { c.creating = false })
}

// runnerOf finds the runner of a key, or tells why there is none.
func (c *Coordinators[M]) runnerOf(key string) (*runner[M], error) {
	t, ok := c.b.Image().Topic(c.kind.Topic)
	if !ok {
		return nil, fmt.Errorf("coordinator of %.249q: %w", key, kafka.ErrNotCoordinator)
	}
	p := PartitionFor(key, int32(len(t.Partitions)))
	r := c.runners[p]
	if r == nil {
		return nil, fmt.Errorf("coordinator of %.249q: node %d leads %s-%d: %w", key, t.Partitions[p].Leader, c.kind.Topic, p, kafka.ErrNotCoordinator)
	}
	return r, nil
}
