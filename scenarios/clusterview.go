package scenarios

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// The methods of this file see through the cluster: what its nodes believe at this
// moment, without asking them over the network.

// newestState returns the newest state of a partition that a running broker knows.
func (r *run) newestState(tp kafka.TopicPartition) (newest meta.PartitionState, ok bool) {
	for _, b := range r.brokers {
		if b.running == nil {
			continue
		}
		t, there := b.running.Image().Topic(tp.Topic)
		if !there || int(tp.Partition) >= len(t.Partitions) {
			continue
		}
		if s := t.Partitions[tp.Partition]; !ok || s.Epoch > newest.Epoch {
			newest, ok = s, true
		}
	}
	return newest, ok
}

// leader returns the broker that leads a partition, as the newest metadata of a
// running broker has it; nil if nobody does.
func (r *run) leader(tp kafka.TopicPartition) *brokerHost {
	if s, ok := r.newestState(tp); ok {
		return r.brokerWith(s.Leader)
	}
	return nil
}

// follower returns a running broker that has a replica and does not lead, or nil.
func (r *run) follower(tp kafka.TopicPartition) *brokerHost {
	s, ok := r.newestState(tp)
	if !ok {
		return nil
	}
	for _, id := range s.Replicas {
		if b := r.brokerWith(id); b != nil && b.running != nil && id != s.Leader {
			return b
		}
	}
	return nil
}

// brokerWith returns the broker of that number, or nil.
func (r *run) brokerWith(id kafka.NodeID) *brokerHost {
	for _, b := range r.brokers {
		if kafka.NodeID(b.seat.id) == id {
			return b
		}
	}
	return nil
}

// controller returns the node that is the active controller, or nil.
func (r *run) controller() *brokerHost {
	for _, b := range r.nodes {
		if b.running != nil && b.seat.isVoter() {
			return b
		}
	}
	return nil
}
