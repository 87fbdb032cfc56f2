package meta

import (
	"fmt"
	"math"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// MaxPartitions is the most partitions that one decision may touch, as in Kafka:
// its records must fit into one batch of the metadata log.
const MaxPartitions = 10_000

// Unset asks for the default of partitions or replicas.
const Unset = -1

// A NewTopic is what somebody wants created.
type NewTopic struct {
	Name       string
	ID         kafka.TopicID // drawn by the caller, never used before
	Partitions int32         // Unset: the default
	Replicas   int16         // Unset: the default
	Settings   []config.Pair

	// Assignment says which brokers hold each partition; then Partitions and
	// Replicas are Unset. Without it the brokers take turns.
	Assignment []Assigned

	// First is added to the positions of the brokers that take turns, so that
	// not every topic begins with the same one.
	First int
}

// Assigned is the brokers that shall hold a partition, the preferred leader
// first.
type Assigned struct {
	Partition int32
	Replicas  []kafka.NodeID
}

// Defaults stand in for what a NewTopic leaves unset.
type Defaults struct {
	Partitions int32
	Replicas   int16
	Broker     *config.View // what its settings fall back to; nil: config's defaults
}

// CreateTopic returns the records that create a topic, or why not:
// TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS,
// INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG,
// INVALID_REQUEST or POLICY_VIOLATION.
func (m *Image) CreateTopic(n NewTopic, d Defaults) ([]Record, error) {
	if err := m.checkNewName(n.Name); err != nil {
		return nil, err
	}
	if err := config.CheckTopic(d.Broker, n.Settings); err != nil {
		return nil, err
	}
	placement, err := m.place(n, d)
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", n.Name, err)
	}
	records := []Record{TopicRecord{Name: n.Name, ID: n.ID}}
	records = append(records, settingsOf(n.ID, n.Settings)...)
	return append(records, m.newPartitions(n.ID, n.Settings, 0, placement)...), nil
}

// place returns the replicas of each partition.
func (m *Image) place(n NewTopic, d Defaults) ([][]kafka.NodeID, error) {
	if len(n.Assignment) > 0 {
		return m.placeAssigned(n)
	}
	partitions, replicas := n.Partitions, n.Replicas
	if partitions == Unset {
		partitions = d.Partitions
	}
	if replicas == Unset {
		replicas = d.Replicas
	}
	switch {
	case partitions <= 0:
		return nil, fmt.Errorf("%d partitions: %w", partitions, kafka.ErrInvalidPartitions)
	case partitions > MaxPartitions:
		return nil, fmt.Errorf("%d partitions, at most %d at once: %w", partitions, MaxPartitions, kafka.ErrPolicyViolation)
	}
	return m.layOut(layout{first: n.First, partitions: int(partitions), replicas: int(replicas)})
}

// placeAssigned checks the brokers that the caller chose.
func (m *Image) placeAssigned(n NewTopic) ([][]kafka.NodeID, error) {
	if n.Partitions != Unset || n.Replicas != Unset {
		return nil, fmt.Errorf("an assignment together with %d partitions and replication factor %d: %w",
			n.Partitions, n.Replicas, kafka.ErrInvalidRequest)
	}
	if len(n.Assignment) > MaxPartitions {
		return nil, fmt.Errorf("%d partitions, at most %d at once: %w", len(n.Assignment), MaxPartitions, kafka.ErrPolicyViolation)
	}
	placement := make([][]kafka.NodeID, len(n.Assignment))
	for _, a := range n.Assignment {
		if a.Partition < 0 || int(a.Partition) >= len(placement) || placement[a.Partition] != nil {
			return nil, fmt.Errorf("partition %d of an assignment of %d: %w", a.Partition, len(placement), kafka.ErrInvalidReplicaAssignment)
		}
		if err := m.checkChosen(a, n.Assignment[0]); err != nil {
			return nil, err
		}
		placement[a.Partition] = slices.Clone(a.Replicas)
	}
	return placement, nil
}

// A TopicRef says which topic is meant: the one of that name, or if that is "" the one
// of that id.
type TopicRef struct {
	Name string
	ID   kafka.TopicID
}

// Resolve returns both name and id of a topic, or UNKNOWN_TOPIC_OR_PARTITION if there
// is none of that name, UNKNOWN_TOPIC_ID if there is none of that id.
func (m *Image) Resolve(r TopicRef) (TopicRef, error) {
	t, ok := m.byID[r.ID]
	switch {
	case r.Name != "":
		if t, ok = m.Topic(r.Name); !ok {
			return r, fmt.Errorf("topic %.249s: %w", r.Name, kafka.ErrUnknownTopicOrPartition)
		}
	case !ok:
		return r, fmt.Errorf("topic id %s: %w", r.ID, kafka.ErrUnknownTopicID)
	}
	return TopicRef{Name: t.Name, ID: t.ID}, nil
}

// DeleteTopic returns the records that remove a topic, or UNKNOWN_TOPIC_ID.
func (m *Image) DeleteTopic(id kafka.TopicID) ([]Record, error) {
	if _, ok := m.byID[id]; !ok {
		return nil, fmt.Errorf("topic id %s: %w", id, kafka.ErrUnknownTopicID)
	}
	return []Record{RemoveTopic{ID: id}}, nil
}

// A Block is a range of producer ids that belongs to one broker.
type Block struct{ First, End kafka.ProducerID }

// AllocateProducerIDs returns the records that give a broker the next block of
// producer ids, and the block, which is the broker's once they are durable, or
// STALE_BROKER_EPOCH.
func (m *Image) AllocateProducerIDs(self Member, size int32) ([]Record, Block, error) {
	if err := m.checkEpoch(self); err != nil {
		return nil, Block{}, err
	}
	if int64(m.nextPID) > math.MaxInt64-int64(size) {
		return nil, Block{}, fmt.Errorf("no producer ids left after %d: %w", m.nextPID, kafka.ErrUnknownServerError)
	}
	b := Block{First: m.nextPID, End: m.nextPID + kafka.ProducerID(size)}
	return []Record{ProducerBlock{Broker: self.ID, End: b.End}}, b, nil
}

// Format returns the records that an empty log begins with.
func Format(clusterID string) []Record {
	return []Record{
		Feature{Name: MetadataVersion, Level: Level},
		Feature{Name: EligibleLeaderReplicas, Level: 1},
		Cluster{ID: clusterID},
	}
}

// checkEpoch refuses what a former life of a broker asks for.
func (m *Image) checkEpoch(self Member) error {
	if b, ok := m.Broker(self.ID); !ok || b.Epoch != self.Epoch {
		return fmt.Errorf("broker %d: epoch %d, registered with %d: %w", self.ID, self.Epoch, b.Epoch, kafka.ErrStaleBrokerEpoch)
	}
	return nil
}
