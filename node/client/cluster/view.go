// Package cluster decides what a client believes about a cluster: which brokers
// there are, and who leads which partition.
//
// It asks nobody; answers to Metadata requests are its input. Metadata comes from
// brokers that lag behind each other, so a View takes from an answer only what
// is not older than what it knows: per partition, the leader epoch decides
// (KIP-320).
package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A Broker is where a node can be reached.
type Broker struct {
	ID      kafka.NodeID
	Address string // host:port
	Rack    string
	Fenced  bool // it is known, and not in use; told by DescribeCluster only
}

// A Partition is what one answer says about a partition.
type Partition struct {
	ID       int32
	Leader   kafka.NodeID // -1 if there is none
	Epoch    kafka.LeaderEpoch
	Replicas []kafka.NodeID
	InSync   []kafka.NodeID
	Offline  []kafka.NodeID // replicas that are not there, or cannot use their disk
	Err      kafka.Error

	// Who is eligible to lead without being in sync, and who was the last in
	// sync (KIP-966); nil if nobody was asked.
	Eligible, LastKnown []kafka.NodeID
}

// A Topic is what one Metadata answer says about a topic.
type Topic struct {
	Name       string
	ID         kafka.TopicID // zero if the broker does not tell
	Internal   bool
	Err        kafka.Error
	Partitions []Partition // sorted by id
}

// NoNode is the leader of a partition that has none, and the controller of a
// cluster that tells none.
const NoNode kafka.NodeID = -1

// An Answer is one Metadata answer.
type Answer struct {
	ClusterID  string
	Controller kafka.NodeID
	Brokers    []Broker
	Topics     []Topic
}

// A View is what a client believes. The zero value believes nothing.
//
// Invariants, checked by Check:
//
//  1. brokers and each topic's partitions are sorted, without doubles
//  2. as long as a topic keeps its id, the epoch of a partition's leader never
//     decreases; Apply is the only place that assigns it
type View struct {
	clusterID  string
	controller kafka.NodeID
	brokers    []Broker
	topics     map[string]*Topic
	version    uint64
}

// Version counts the answers applied. Whoever waits for news compares it.
func (v *View) Version() uint64 { return v.version }

// ClusterID returns the cluster's id, empty if no broker told it.
func (v *View) ClusterID() string { return v.clusterID }

// Controller returns the broker to ask about topics, or NoNode.
func (v *View) Controller() kafka.NodeID {
	if v.version == 0 {
		return NoNode
	}
	return v.controller
}

// Brokers returns the brokers, sorted by id.
func (v *View) Brokers() []Broker { return slices.Clone(v.brokers) }

// Broker returns one broker.
func (v *View) Broker(id kafka.NodeID) (Broker, bool) {
	i, ok := slices.BinarySearchFunc(v.brokers, id, func(b Broker, id kafka.NodeID) int {
		return cmp.Compare(b.ID, id)
	})
	if !ok {
		return Broker{}, false
	}
	return v.brokers[i], true
}

// Topic returns what is known about a topic. The result is not to be changed.
func (v *View) Topic(name string) (Topic, bool) {
	t, ok := v.topics[name]
	if !ok {
		return Topic{}, false
	}
	return *t, true
}

// Look returns what is known about a topic, or nil. It is not to be changed, nor
// kept across blocking calls.
func (v *View) Look(name string) *Topic { return v.topics[name] }

// Partition returns what is known about a partition.
func (v *View) Partition(tp kafka.TopicPartition) (Partition, bool) {
	t, ok := v.topics[tp.Topic]
	if !ok {
		return Partition{}, false
	}
	return t.partition(tp.Partition)
}

func (t *Topic) partition(id int32) (Partition, bool) {
	i, ok := slices.BinarySearchFunc(t.Partitions, id, func(p Partition, id int32) int {
		return cmp.Compare(p.ID, id)
	})
	if !ok {
		return Partition{}, false
	}
	return t.Partitions[i], true
}

// Leader returns a partition's leader and its epoch, if it has one that can be
// reached.
func (v *View) Leader(tp kafka.TopicPartition) (Broker, kafka.LeaderEpoch, bool) {
	p, ok := v.Partition(tp)
	if !ok || p.Leader == NoNode {
		return Broker{}, kafka.NoLeaderEpoch, false
	}
	b, ok := v.Broker(p.Leader)
	return b, p.Epoch, ok
}

// Apply takes in an answer. Brokers and controller are replaced. A topic of the
// answer replaces what was known of it, except partitions of which something
// newer is known; a topic that does not exist is forgotten; one that has another
// error keeps what was known, with the error.
func (v *View) Apply(a Answer) {
	v.version++
	v.clusterID, v.controller = a.ClusterID, a.Controller
	v.brokers = slices.Clone(a.Brokers)
	slices.SortFunc(v.brokers, func(a, b Broker) int { return cmp.Compare(a.ID, b.ID) })
	v.brokers = slices.CompactFunc(v.brokers, func(a, b Broker) bool { return a.ID == b.ID })
	if v.topics == nil {
		v.topics = make(map[string]*Topic)
	}
	for _, t := range a.Topics {
		v.applyTopic(t)
	}
}

func (v *View) applyTopic(t Topic) {
	old := v.topics[t.Name]
	switch t.Err {
	case kafka.None, kafka.ErrLeaderNotAvailable:
	case kafka.ErrUnknownTopicOrPartition, kafka.ErrUnknownTopicID, kafka.ErrInvalidTopic:
		v.topics[t.Name] = &Topic{Name: t.Name, Err: t.Err}
		return
	default:
		if old != nil {
			kept := *old
			kept.Err = t.Err
			v.topics[t.Name] = &kept
			return
		}
	}
	fresh := t
	fresh.Partitions = slices.Clone(t.Partitions)
	slices.SortFunc(fresh.Partitions, func(a, b Partition) int { return cmp.Compare(a.ID, b.ID) })
	fresh.Partitions = slices.CompactFunc(fresh.Partitions, func(a, b Partition) bool { return a.ID == b.ID })
	// Without an id a topic that was created again looks like the old one, and
	// its epochs begin anew: then the later answer is believed.
	if old != nil && old.ID == t.ID && t.ID != (kafka.TopicID{}) {
		keepNewer(fresh.Partitions, old)
	}
	v.topics[t.Name] = &fresh
}

// keepNewer puts back the partitions of which old knows a later epoch.
func keepNewer(fresh []Partition, old *Topic) {
	for i, p := range fresh {
		if was, ok := old.partition(p.ID); ok && was.Epoch > p.Epoch {
			fresh[i] = was
		}
	}
}

// Learn takes in a leader that a broker named in an answer of another kind
// (KIP-951), unless something as new is known. It reports whether it did.
func (v *View) Learn(tp kafka.TopicPartition, leader kafka.NodeID, epoch kafka.LeaderEpoch) bool {
	t, ok := v.topics[tp.Topic]
	if !ok {
		return false
	}
	for i := range t.Partitions {
		p := &t.Partitions[i]
		if p.ID == tp.Partition && epoch > p.Epoch {
			p.Leader, p.Epoch = leader, epoch
			return true
		}
	}
	return false
}

// Check returns the first broken invariant. (2) spans time and is checked by the
// package's tests.
func (v *View) Check() error {
	for i := 1; i < len(v.brokers); i++ {
		if v.brokers[i-1].ID >= v.brokers[i].ID {
			return fmt.Errorf("brokers %d and %d out of order", v.brokers[i-1].ID, v.brokers[i].ID)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.topics)) {
		t := v.topics[name]
		for i := 1; i < len(t.Partitions); i++ {
			if t.Partitions[i-1].ID >= t.Partitions[i].ID {
				return fmt.Errorf("topic %s: partitions out of order", name)
			}
		}
	}
	return nil
}
