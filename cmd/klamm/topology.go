package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// A topology is which brokers there are, and where partitions lie.
type topology struct {
	Cluster cluster.Answer
	Topics  []cluster.Topic // sorted by name, their partitions by number
}

// topology asks for it: all topics, or those named. Blocks.
func (c *call) topology(names ...string) (topology, error) {
	a, err := c.client.DescribeCluster(c.deadline)
	if err != nil {
		return topology{}, err
	}
	slices.SortFunc(a.Brokers, func(a, b cluster.Broker) int { return cmp.Compare(a.ID, b.ID) })
	t := topology{Cluster: a}
	if len(names) == 0 {
		t.Topics, err = c.client.ListTopics(c.deadline)
	}
	for _, name := range names {
		one, err := c.topic(name)
		if err != nil {
			return topology{}, err
		}
		t.Topics = append(t.Topics, one)
	}
	for _, topic := range t.Topics {
		slices.SortFunc(topic.Partitions, func(a, b cluster.Partition) int { return cmp.Compare(a.ID, b.ID) })
	}
	return t, err
}

// each calls f with every partition.
func (t topology) each(f func(tp kafka.TopicPartition, p cluster.Partition)) {
	for _, topic := range t.Topics {
		for _, p := range topic.Partitions {
			f(kafka.TopicPartition{Topic: topic.Name, Partition: p.ID}, p)
		}
	}
}

// broker returns a broker by its number.
func (t topology) broker(id kafka.NodeID) (cluster.Broker, bool) {
	at := slices.IndexFunc(t.Cluster.Brokers, func(b cluster.Broker) bool { return b.ID == id })
	if at < 0 {
		return cluster.Broker{}, false
	}
	return t.Cluster.Brokers[at], true
}

// A trouble is a partition that is not as it should be.
type trouble struct {
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	Leader    kafka.NodeID   `json:"leader"` // -1: none
	Replicas  []kafka.NodeID `json:"replicas"`
	InSync    []kafka.NodeID `json:"in_sync"`
}

// troubles returns the partitions that have no leader, or not all of their
// replicas in sync.
func (t topology) troubles() []trouble {
	found := []trouble{}
	t.each(func(tp kafka.TopicPartition, p cluster.Partition) {
		if p.Leader == cluster.NoNode || len(p.InSync) < len(p.Replicas) {
			found = append(found, trouble{tp.Topic, tp.Partition, p.Leader, p.Replicas, p.InSync})
		}
	})
	return found
}

func leaderless(found []trouble) (n int) {
	for _, t := range found {
		if t.Leader == cluster.NoNode {
			n++
		}
	}
	return n
}

func compareTP(a, b kafka.TopicPartition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return cmp.Compare(a.Partition, b.Partition)
}
