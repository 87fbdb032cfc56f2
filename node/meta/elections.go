package meta

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// ElectLeaders returns the records of elections that somebody asks for, and what
// became of each: of those wanted, in their order, or if want is nil of all that
// are needed, by topic and number. An Elected fails with
// UNKNOWN_TOPIC_OR_PARTITION, ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE
// or ELIGIBLE_LEADERS_NOT_AVAILABLE. An unclean election may lose committed
// records, and elects nobody where somebody leads. on is the settings in force
// where it is decided.
func (m *Image) ElectLeaders(kind ElectionKind, want []Replica, on *config.View) ([]Record, []Elected, error) {
	if kind != ElectPreferred && kind != ElectUnclean {
		return nil, nil, fmt.Errorf("election of kind %d: %w", kind, kafka.ErrInvalidRequest)
	}
	d := m.decide(on)
	var out []Elected
	if want == nil {
		d.each(func(s *PartitionState) bool { return s.needs(kind) }, func(c *change) {
			out = append(out, Elected{c.Replica, d.electOne(kind, c)})
		})
		return d.done(), out, nil
	}
	for _, r := range want {
		e := Elected{Replica: r}
		if _, ok := m.Partition(r); ok {
			e.Err = d.electOne(kind, d.change(m.byID[r.Topic], r.Partition))
		} else {
			e.Err = fmt.Errorf("topic id %s partition %d: %w", r.Topic, r.Partition, kafka.ErrUnknownTopicOrPartition)
		}
		out = append(out, e)
	}
	return d.done(), out, nil
}

func (s *PartitionState) needs(kind ElectionKind) bool {
	if kind == ElectUnclean {
		return s.Leader == NoLeader
	}
	return s.Leader != s.Replicas[0]
}

func (d *decision) electOne(kind ElectionKind, c *change) error {
	s := &c.next
	switch preferred := s.Replicas[0]; {
	case !s.needs(kind):
		return fmt.Errorf("node %d leads: %w", s.Leader, kafka.ErrElectionNotNeeded)
	case kind == ElectPreferred && !d.toPreferred(c):
		return fmt.Errorf("node %d, in-sync set %v: %w", preferred, s.ISR, kafka.ErrPreferredLeaderNotAvailable)
	case kind == ElectPreferred:
		return nil
	}
	c.policy.unclean = true
	if d.settle(c); s.Leader == NoLeader {
		return fmt.Errorf("replicas %v: %w", s.Replicas, kafka.ErrEligibleLeadersNotAvailable)
	}
	return nil
}

// toPreferred has the preferred replica lead, if it may.
func (d *decision) toPreferred(c *change) bool {
	preferred := c.next.Replicas[0]
	if !slices.Contains(c.next.ISR, preferred) || !d.mayLead(preferred, c.Replica) {
		return false
	}
	d.lead(c, preferred)
	d.settle(c)
	return true
}

// ElectWaiting returns the records that give a leader to partitions that wait for
// one and can have it by now. on is the settings in force where it is decided.
func (m *Image) ElectWaiting(on *config.View) []Record {
	d := m.decide(on)
	d.each(func(s *PartitionState) bool { return s.Leader == NoLeader }, d.settle)
	return d.done()
}

// Rebalance returns the records that give leadership back to preferred replicas,
// of those brokers where too large a share is led elsewhere. on is the settings
// in force where it is decided.
func (m *Image) Rebalance(r Rebalancing, on *config.View) []Record {
	preferred, astray := map[kafka.NodeID]int{}, map[kafka.NodeID]int{}
	for _, t := range m.topics {
		for i := range t.Partitions {
			s := &t.Partitions[i]
			preferred[s.Replicas[0]]++
			if s.needs(ElectPreferred) {
				astray[s.Replicas[0]]++
			}
		}
	}
	d := m.decide(on)
	left := r.Limit
	d.each(func(s *PartitionState) bool {
		id := s.Replicas[0]
		return left > 0 && s.needs(ElectPreferred) && astray[id]*100 > preferred[id]*r.Percent
	}, func(c *change) {
		if d.toPreferred(c) {
			left--
		}
	})
	return d.done()
}
