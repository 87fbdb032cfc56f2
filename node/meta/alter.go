package meta

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// AlterPartitions returns the records that change in-sync sets as leaders wish
// (KIP-497), and an Altered for each item, in their order; or STALE_BROKER_EPOCH.
// An Altered fails with UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION,
// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, INVALID_UPDATE_VERSION,
// INELIGIBLE_REPLICA, INVALID_REQUEST, or NEW_LEADER_ELECTED: then the set was
// changed and the leader with it. on is the settings in force where it is decided.
//
// What is wanted and is so already succeeds whatever its partition epoch: an
// answer may have been lost (KAFKA-14144).
func (m *Image) AlterPartitions(self Member, items []Alter, on *config.View) ([]Record, []Altered, error) {
	if err := m.checkEpoch(self); err != nil {
		return nil, nil, err
	}
	d := m.decide(on)
	out := make([]Altered, len(items))
	for i := range items {
		out[i].State, out[i].Err = d.alter(self.ID, &items[i])
	}
	return d.done(), out, nil
}

func (d *decision) alter(self kafka.NodeID, a *Alter) (PartitionState, error) {
	t, ok := d.m.byID[a.Topic]
	if !ok {
		return PartitionState{}, fmt.Errorf("topic id %s: %w", a.Topic, kafka.ErrUnknownTopicID)
	}
	name := kafka.TopicPartition{Topic: t.Name, Partition: a.Partition}
	if a.Partition < 0 || int(a.Partition) >= len(t.Partitions) {
		return PartitionState{}, fmt.Errorf("%s: %w", name, kafka.ErrUnknownTopicOrPartition)
	}
	if d.begun(a.Replica) {
		return PartitionState{}, fmt.Errorf("%s: changed twice: %w", name, kafka.ErrInvalidRequest)
	}
	c := d.change(t, a.Partition)
	if err := c.checkLeader(self, a); err != nil {
		return PartitionState{}, fmt.Errorf("%s: %w", name, err)
	}
	isr := a.ids()
	if sameMembers(isr, c.old.ISR) {
		return c.old, nil
	}
	if err := d.checkISR(c, a, isr); err != nil {
		return PartitionState{}, fmt.Errorf("%s: %w", name, err)
	}
	c.next.ISR = isr
	d.settle(c)
	if c.next.LeaderEpoch != c.old.LeaderEpoch {
		return c.next, fmt.Errorf("%s: node %d leads in epoch %d: %w", name, c.next.Leader, c.next.LeaderEpoch, kafka.ErrNewLeaderElected)
	}
	return c.next, nil
}

func (a *Alter) ids() []kafka.NodeID {
	out := make([]kafka.NodeID, len(a.ISR))
	for i, member := range a.ISR {
		out[i] = member.ID
	}
	return out
}

// checkLeader refuses who does not lead, or no longer.
func (c *change) checkLeader(self kafka.NodeID, a *Alter) error {
	switch now := &c.old; {
	case a.LeaderEpoch < now.LeaderEpoch:
		return fmt.Errorf("leader epoch %d, now %d: %w", a.LeaderEpoch, now.LeaderEpoch, kafka.ErrFencedLeaderEpoch)
	case a.LeaderEpoch > now.LeaderEpoch:
		return fmt.Errorf("leader epoch %d, still %d: %w", a.LeaderEpoch, now.LeaderEpoch, kafka.ErrUnknownLeaderEpoch)
	case now.Leader != self:
		return fmt.Errorf("node %d does not lead, node %d does: %w", self, now.Leader, kafka.ErrInvalidRequest)
	}
	return nil
}

// checkISR refuses an in-sync set that was made of an old one, or that cannot be,
// or to which a replica is added that may not be in sync (KIP-841, KIP-903).
// Those that are in it may stay.
func (d *decision) checkISR(c *change, a *Alter, isr []kafka.NodeID) error {
	now := &c.old
	if a.Epoch != now.Epoch {
		return fmt.Errorf("partition epoch %d, now %d: %w", a.Epoch, now.Epoch, kafka.ErrInvalidUpdateVersion)
	}
	if len(isr) > len(now.Replicas) {
		return fmt.Errorf("%d in sync of %d replicas: %w", len(isr), len(now.Replicas), kafka.ErrInvalidRequest)
	}
	for i, id := range isr {
		if !slices.Contains(now.Replicas, id) || slices.Contains(isr[:i], id) {
			return fmt.Errorf("in-sync set %v of replicas %v: %d is none or stands twice: %w", isr, now.Replicas, id, kafka.ErrInvalidRequest)
		}
	}
	if !slices.Contains(isr, now.Leader) {
		return fmt.Errorf("in-sync set %v without the leader %d: %w", isr, now.Leader, kafka.ErrInvalidRequest)
	}
	for _, member := range a.ISR {
		if slices.Contains(now.ISR, member.ID) {
			continue
		}
		if why := d.ineligible(member, c.Replica); why != "" {
			return fmt.Errorf("replica %d with broker epoch %d %s: %w", member.ID, member.Epoch, why, kafka.ErrIneligibleReplica)
		}
	}
	return nil
}

// ineligible tells why a replica may not become in sync.
func (d *decision) ineligible(member Member, r Replica) string {
	b := d.broker(member.ID)
	switch {
	case b == nil:
		return "is not registered"
	case b.Epoch != member.Epoch:
		return fmt.Sprintf("is now registered with %d", b.Epoch)
	case b.Fenced:
		return "is fenced"
	case b.ShuttingDown:
		return "is shutting down"
	case b.offline(r):
		return "cannot use its log"
	}
	return ""
}

func sameMembers(a, b []kafka.NodeID) bool { return len(a) == len(b) && !lacks(a, b) && !lacks(b, a) }
