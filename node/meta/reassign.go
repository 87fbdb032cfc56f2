package meta

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// Reassign returns the records that begin, change or cancel reassignments of
// replicas (KIP-455), and for each of those wanted, in their order, nil or why
// not: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT,
// INVALID_REPLICATION_FACTOR, NO_REASSIGNMENT_IN_PROGRESS or INVALID_REQUEST. on
// is the settings in force where it is decided.
//
// Replicas are added first. Once all of them are in sync one that stays leads, and asks
// those out of the in-sync set that go; then they are dropped. A reassignment that is
// under way is replaced: what it was adding and is not wanted any more goes with the
// others, or at once if it is not in sync.
func (m *Image) Reassign(want []Reassignment, on *config.View) ([]Record, []error) {
	d := m.decide(on)
	errs := make([]error, len(want))
	for i := range want {
		errs[i] = d.reassign(&want[i])
	}
	return d.done(), errs
}

func (d *decision) reassign(r *Reassignment) error {
	now, ok := d.m.Partition(r.Replica)
	if !ok {
		return fmt.Errorf("topic id %s partition %d: %w", r.Topic, r.Partition, kafka.ErrUnknownTopicOrPartition)
	}
	t := d.m.byID[r.Topic]
	name := kafka.TopicPartition{Topic: t.Name, Partition: r.Partition}
	if d.begun(r.Replica) {
		return fmt.Errorf("%s: reassigned twice: %w", name, kafka.ErrInvalidRequest)
	}
	target, before := r.Replicas, now.before()
	if target == nil {
		if !now.Reassigning() {
			return fmt.Errorf("%s: %w", name, kafka.ErrNoReassignmentInProgress)
		}
		target = before
	} else if err := d.checkTarget(r, before); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	stay := union(target, before)
	if len(now.ISR) > 0 && len(only(now.ISR, stay)) == 0 || len(now.ELR) > 0 && len(only(union(now.ISR, now.ELR), stay)) == 0 {
		return fmt.Errorf("%s: in-sync set %v: none of it would stay of %v: %w", name, now.ISR, stay, kafka.ErrInvalidReplicaAssignment)
	}
	linger := without(now.ISR, stay)
	c := d.change(t, r.Partition)
	s := &c.next
	s.Replicas, s.Adding, s.Removing = union(stay, linger), union(without(target, before), linger), union(without(before, target), linger)
	d.settle(c)
	return nil
}

// before returns the replicas as they were before a reassignment that is under
// way began. Who is both added and removed is none of them.
func (s *PartitionState) before() []kafka.NodeID { return without(s.Replicas, s.Adding) }

// Target returns the replicas as they are to be: as they are, if no reassignment
// is under way.
func (s *PartitionState) Target() []kafka.NodeID { return without(s.Replicas, s.Removing) }

// Awaited returns the replicas that have to be in sync before any is removed.
func (s *PartitionState) Awaited() []kafka.NodeID { return without(s.Adding, s.Removing) }

// Reassigning reports whether a reassignment is under way.
func (s *PartitionState) Reassigning() bool { return len(s.Adding)+len(s.Removing) > 0 }

func (d *decision) checkTarget(r *Reassignment, before []kafka.NodeID) error {
	if most := len(d.m.brokers) + len(before); len(r.Replicas) == 0 || len(r.Replicas) > most {
		return fmt.Errorf("%d replicas, with %d brokers: %w", len(r.Replicas), len(d.m.brokers), kafka.ErrInvalidReplicaAssignment)
	}
	for i, id := range r.Replicas {
		if d.broker(id) == nil && !slices.Contains(before, id) || slices.Contains(r.Replicas[:i], id) {
			return fmt.Errorf("replica %d in %v is unknown or stands twice: %w", id, r.Replicas, kafka.ErrInvalidReplicaAssignment)
		}
	}
	if r.KeepFactor && len(r.Replicas) != len(before) {
		return fmt.Errorf("%d replicas in place of %d: %w", len(r.Replicas), len(before), kafka.ErrInvalidReplicationFactor)
	}
	return nil
}

// Reassignments returns what is under way, of the partitions wanted, in their
// order, or if want is nil of all, by topic and number.
func (m *Image) Reassignments(want []Replica) []Reassigning {
	var out []Reassigning
	note := func(r Replica, s *PartitionState) {
		if s.Reassigning() {
			out = append(out, Reassigning{Replica: r, Replicas: s.Replicas, Adding: s.Awaited(), Removing: s.Removing})
		}
	}
	for _, r := range want {
		if s, ok := m.Partition(r); ok {
			note(r, &s)
		}
	}
	if want != nil {
		return out
	}
	for _, t := range m.topics {
		for i := range t.Partitions {
			note(Replica{t.ID, int32(i)}, &t.Partitions[i])
		}
	}
	return out
}

// completeReassignment has one that stays lead once all that are being added are in
// sync, if it may, and drops those that are being removed when none of them is in sync.
// It does not take them out of the in-sync set: any of them may have led, and not know
// yet that it does not. The leader asks them out when nobody can be sure to lead any
// more.
func (d *decision) completeReassignment(c *change) {
	s := &c.next
	if !s.Reassigning() || lacks(s.ISR, s.Awaited()) {
		return
	}
	isr := without(s.ISR, s.Removing)
	heir := d.fewest(c, isr)
	switch {
	case heir == NoLeader:
	case len(isr) == len(s.ISR):
		s.Replicas, s.Adding, s.Removing = s.Target(), nil, nil
	case !slices.Contains(isr, s.Leader) || !d.mayLead(s.Leader, c.Replica):
		d.lead(c, heir)
	}
}
