package meta

import (
	"fmt"
	"slices"
	"sort"
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
//  1. topics and features are sorted by name, brokers and their settings by id,
//     settings by name
//  2. a topic's partitions are numbered 0 to n-1
//  3. the leader, if there is one, is in the in-sync set, which is a subset of
//     the replicas, which are distinct; eligible leader replicas are replicas
//     too, and not in sync
//  4. epochs and producer ids only grow
//
// Check verifies (1) to (3). (4) holds because Apply refuses what goes back.
type Image struct {
	features []Feature
	cluster  string
	brokers  []Broker
	topics   []*Topic
	byID     map[kafka.TopicID]*Topic
	nextPID  kafka.ProducerID

	brokerEpoch    int64 // the largest that a registration ever had
	brokerSettings []brokerSettings
	groups         []GroupSettings
}

// A Topic is one incarnation of a topic.
type Topic struct {
	Name       string
	ID         kafka.TopicID
	Partitions []PartitionState
	Settings   []config.Pair
}

// NewImage returns the image before the first record.
func NewImage() *Image { return &Image{byID: map[kafka.TopicID]*Topic{}} }

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

// Alive reports whether a broker is registered and not fenced.
func (m *Image) Alive(id kafka.NodeID) bool {
	i, ok := m.searchBroker(id)
	return ok && !m.brokers[i].Fenced
}

// Usable reports whether a broker is alive and can use its log of a partition.
// Replicas of which it is false are those that clients know as offline.
func (m *Image) Usable(id kafka.NodeID, r Replica) bool {
	i, ok := m.searchBroker(id)
	return ok && !m.brokers[i].Fenced && !m.brokers[i].offline(r)
}

// Partition finds a partition.
func (m *Image) Partition(r Replica) (PartitionState, bool) {
	t, ok := m.byID[r.Topic]
	if !ok || r.Partition < 0 || int(r.Partition) >= len(t.Partitions) {
		return PartitionState{}, false
	}
	return t.Partitions[r.Partition], true
}

// NextProducerID returns the first producer id that belongs to no block.
func (m *Image) NextProducerID() kafka.ProducerID { return m.nextPID }

func (m *Image) search(name string) (int, bool) {
	return slices.BinarySearchFunc(m.topics, name, func(t *Topic, name string) int {
		return strings.Compare(t.Name, name)
	})
}

// searchBroker is asked for every replica in what clients are told: brokers are not
// copied to be compared.
func (m *Image) searchBroker(id kafka.NodeID) (int, bool) {
	i := sort.Search(len(m.brokers), func(i int) bool { return m.brokers[i].ID >= id })
	return i, i < len(m.brokers) && m.brokers[i].ID == id
}

// Check returns the first broken invariant.
func (m *Image) Check() error {
	if len(m.topics) != len(m.byID) {
		return fmt.Errorf("image: %d topics by name, %d by id", len(m.topics), len(m.byID))
	}
	if !slices.IsSortedFunc(m.features, func(a, b Feature) int { return strings.Compare(a.Name, b.Name) }) {
		return fmt.Errorf("image: features are not sorted: %v", m.features)
	}
	for i, b := range m.brokers {
		if b.Epoch > m.brokerEpoch {
			return fmt.Errorf("image: broker %d has epoch %d, the largest was %d", b.ID, b.Epoch, m.brokerEpoch)
		}
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
	if err := m.checkBrokerSettings(); err != nil {
		return err
	}
	return m.checkGroups()
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

func comparePairs(a, b config.Pair) int { return strings.Compare(a.Name, b.Name) }
