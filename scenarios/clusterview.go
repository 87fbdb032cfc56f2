package scenarios

import (
	"slices"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/broker"
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

// hides reports whether a partition of a cluster may have records behind the end that
// clients were told: in its leader's log, or because nobody leads it at this moment.
func (r *run) hides(partition int32, told history.Offset) bool {
	if !r.options.clustered() {
		return false
	}
	tp := kafka.TopicPartition{Topic: topicName, Partition: partition}
	b := r.leader(tp)
	if b == nil || b.running == nil {
		return true
	}
	v, there := b.running.Partition(tp)
	return !there || !shows(v, kafka.Offset(told))
}

// shows reports whether a leader has told all it holds: the end that clients are told
// is its high watermark, which is behind its log until its followers have fetched.
func shows(v broker.View, told kafka.Offset) bool {
	return v.Role == broker.Leading && v.LogEnd == told
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

// counts reports whether a broker's replica is in sync, or eligible to lead, so that
// what it held counts.
func (r *run) counts(b *brokerHost, tp kafka.TopicPartition) bool {
	s, ok := r.newestState(tp)
	id := kafka.NodeID(b.seat.id)
	return ok && (slices.Contains(s.ISR, id) || slices.Contains(s.ELR, id))
}

// controller returns the active controller, or nil. Of two that believe it they are,
// it is the one of the newer term.
func (r *run) controller() (active *brokerHost) {
	newest := uint64(0)
	for _, b := range r.nodes {
		if b.running == nil || !b.running.Active() {
			continue
		}
		if v, ok := b.running.Quorum(); ok && v.Term >= newest {
			active, newest = b, v.Term
		}
	}
	return active
}
