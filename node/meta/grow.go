package meta

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A Growth is how many partitions somebody wants a topic to have.
type Growth struct {
	Topic      string
	Partitions int32 // in all, those it has included

	// Assignment says which brokers hold each of the new partitions, the
	// preferred leader first. Without it the brokers take turns.
	Assignment [][]kafka.NodeID

	First int // as of a NewTopic
}

// CreatePartitions returns the records that add partitions to a topic, which get
// as many replicas as its first one has, or why not: UNKNOWN_TOPIC_OR_PARTITION,
// INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR or
// POLICY_VIOLATION.
func (m *Image) CreatePartitions(g Growth) ([]Record, error) {
	t, ok := m.Topic(g.Topic)
	if !ok {
		return nil, fmt.Errorf("topic %.249s: %w", g.Topic, kafka.ErrUnknownTopicOrPartition)
	}
	has := int32(len(t.Partitions))
	switch more := int64(g.Partitions) - int64(has); {
	case more == 0:
		return nil, fmt.Errorf("topic %s: has %d partitions already: %w", t.Name, has, kafka.ErrInvalidPartitions)
	case more < 0:
		return nil, fmt.Errorf("topic %s: has %d partitions, %d would be no increase: %w", t.Name, has, g.Partitions, kafka.ErrInvalidPartitions)
	case more > MaxPartitions:
		return nil, fmt.Errorf("topic %s: %d partitions more, at most %d at once: %w", t.Name, more, MaxPartitions, kafka.ErrPolicyViolation)
	}
	placement, err := m.placeMore(t, g)
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", t.Name, err)
	}
	return m.newPartitions(t.ID, t.Settings, has, placement), nil
}

// placeMore returns the replicas of each new partition.
func (m *Image) placeMore(t *Topic, g Growth) ([][]kafka.NodeID, error) {
	has, replicas := len(t.Partitions), t.Partitions[0].Target()
	more := int(g.Partitions) - has
	if g.Assignment == nil {
		return m.layOut(layout{first: g.First + has, partitions: more, replicas: len(replicas)})
	}
	if len(g.Assignment) != more {
		return nil, fmt.Errorf("%d partitions more, and an assignment of %d: %w", more, len(g.Assignment), kafka.ErrInvalidReplicaAssignment)
	}
	first := Assigned{Partition: 0, Replicas: replicas}
	placement := make([][]kafka.NodeID, more)
	for i, chosen := range g.Assignment {
		if err := m.checkChosen(Assigned{Partition: int32(has + i), Replicas: chosen}, first); err != nil {
			return nil, err
		}
		placement[i] = slices.Clone(chosen)
	}
	return placement, nil
}
