package meta

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// NoLeader is the leader of a partition that has none.
const NoLeader kafka.NodeID = -1

// An Image is the metadata after some prefix of the log. Who reads it looks
// again after every wait.
//
// Invariants:
//
//  1. topics are sorted by name, brokers and their settings by id, settings by
//     name
//  2. a topic's partitions are numbered 0 to n-1
//  3. the leader, if there is one, is in the in-sync set, which is a subset of
//     the replicas, which are distinct
//  4. epochs and producer ids only grow
//
// Check verifies (1) to (3). (4) holds because Apply refuses what goes back.
type Image struct {
	level   int16
	cluster string
	brokers []Broker
	topics  []*Topic
	byID    map[kafka.TopicID]*Topic
	nextPID kafka.ProducerID

	brokerSettings []brokerSettings
}

// A Topic is one incarnation of a topic.
type Topic struct {
	Name       string
	ID         kafka.TopicID
	Partitions []PartitionState
	Settings   []config.Pair
}

// A PartitionState is what the cluster has decided about one partition.
type PartitionState struct {
	Replicas    []kafka.NodeID
	ISR         []kafka.NodeID
	Leader      kafka.NodeID
	LeaderEpoch kafka.LeaderEpoch
	Epoch       int32 // counts the changes of this state (KIP-497)
}

// NewImage returns the image before the first record.
func NewImage() *Image { return &Image{byID: map[kafka.TopicID]*Topic{}} }

// Level returns the metadata's feature level, 0 before the first record.
func (m *Image) Level() int16 { return m.level }

// ClusterID returns the cluster's name, "" until it has one.
func (m *Image) ClusterID() string { return m.cluster }

// Brokers returns the registered brokers by id. The slice is the image's own.
func (m *Image) Brokers() []Broker { return m.brokers }

// Topics returns the topics by name. The slice is the image's own.
func (m *Image) Topics() []*Topic { return m.topics }

// Topic finds a topic by name.
func (m *Image) Topic(name string) (*Topic, bool) {
	if i, ok := m.search(name); ok {
		return m.topics[i], true
	}
	return nil, false
}

// TopicByID finds a topic by id.
func (m *Image) TopicByID(id kafka.TopicID) (*Topic, bool) {
	t, ok := m.byID[id]
	return t, ok
}

// Broker finds a registered broker.
func (m *Image) Broker(id kafka.NodeID) (Broker, bool) {
	if i, ok := m.searchBroker(id); ok {
		return m.brokers[i], true
	}
	return Broker{}, false
}

// NextProducerID returns the first producer id that belongs to no block.
func (m *Image) NextProducerID() kafka.ProducerID { return m.nextPID }

func (m *Image) search(name string) (int, bool) {
	return slices.BinarySearchFunc(m.topics, name, func(t *Topic, name string) int {
		return strings.Compare(t.Name, name)
	})
}

func (m *Image) searchBroker(id kafka.NodeID) (int, bool) {
	return slices.BinarySearchFunc(m.brokers, id, func(b Broker, id kafka.NodeID) int { return int(b.ID) - int(id) })
}

// Check returns the first broken invariant.
func (m *Image) Check() error {
	if len(m.topics) != len(m.byID) {
		return fmt.Errorf("image: %d topics by name, %d by id", len(m.topics), len(m.byID))
	}
	for i, b := range m.brokers {
		if i > 0 && m.brokers[i-1].ID >= b.ID {
			return fmt.Errorf("image: broker %d after broker %d", b.ID, m.brokers[i-1].ID)
		}
	}
	for i, t := range m.topics {
		if i > 0 && m.topics[i-1].Name >= t.Name {
			return fmt.Errorf("image: topic %s after topic %s", t.Name, m.topics[i-1].Name)
		}
		if m.byID[t.ID] != t {
			return fmt.Errorf("image: topic %s is not the one of id %s", t.Name, t.ID)
		}
		if err := t.check(); err != nil {
			return err
		}
	}
	return m.checkBrokerSettings()
}

func (t *Topic) check() error {
	for p, s := range t.Partitions {
		if err := s.check(); err != nil {
			return fmt.Errorf("image: %s-%d: %w", t.Name, p, err)
		}
	}
	if !slices.IsSortedFunc(t.Settings, comparePairs) {
		return fmt.Errorf("image: topic %s: settings are not sorted: %v", t.Name, t.Settings)
	}
	return nil
}

func (s PartitionState) check() error {
	for i, id := range s.Replicas {
		if slices.Contains(s.Replicas[:i], id) {
			return fmt.Errorf("replica %d stands twice in %v", id, s.Replicas)
		}
	}
	for i, id := range s.ISR {
		if !slices.Contains(s.Replicas, id) || slices.Contains(s.ISR[:i], id) {
			return fmt.Errorf("in-sync replica %d: in-sync set %v of replicas %v", id, s.ISR, s.Replicas)
		}
	}
	if s.Leader != NoLeader && !slices.Contains(s.ISR, s.Leader) {
		return fmt.Errorf("leader %d is not in the in-sync set %v", s.Leader, s.ISR)
	}
	if s.LeaderEpoch < 0 || s.Epoch < 0 {
		return fmt.Errorf("leader epoch %d, partition epoch %d", s.LeaderEpoch, s.Epoch)
	}
	return nil
}

func comparePairs(a, b config.Pair) int { return strings.Compare(a.Name, b.Name) }
