package meta

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// elect finds a leader if there is none or if it may lead no longer: a member of
// the in-sync set; else an eligible leader replica; else, if neither has any
// member left, who led last; else, if the topic allows it, any replica (an
// unclean election). Otherwise the partition waits.
func (d *decision) elect(c *change) {
	s := &c.next
	if s.Leader != NoLeader && slices.Contains(s.ISR, s.Leader) && d.mayLead(s.Leader, c.Replica) {
		return
	}
	if id := d.fewest(c, s.ISR); id != NoLeader {
		d.lead(c, id)
	} else if id = d.fewest(c, s.ELR); id != NoLeader {
		d.leadEligible(c, id)
	} else if id = d.lastLeader(c); id != NoLeader {
		d.leadAlone(c, id)
	} else if id = d.anybody(c); c.policy.unclean && id != NoLeader {
		d.leadAlone(c, id)
	} else {
		d.wait(c)
	}
}

// fewest returns the candidate whose broker leads the fewest partitions of those
// that may lead, the one preferred as a replica among equals.
func (d *decision) fewest(c *change, candidates []kafka.NodeID) kafka.NodeID {
	best := NoLeader
	for _, id := range c.next.Replicas {
		if slices.Contains(candidates, id) && d.mayLead(id, c.Replica) &&
			(best == NoLeader || d.leading()[id] < d.leading()[best]) {
			best = id
		}
	}
	return best
}

// lastLeader returns who led last, if it may lead and nobody else is known to
// hold more: its broker ended uncleanly, and it may have lost records that were
// not synced (the last known leader of KIP-966).
func (d *decision) lastLeader(c *change) kafka.NodeID {
	s := &c.next
	if len(s.ISR) > 0 || len(s.ELR) > 0 || len(s.LastELR) == 0 || !d.mayLead(s.LastELR[0], c.Replica) {
		return NoLeader
	}
	return s.LastELR[0]
}

// anybody returns a replica that may lead, first of those that were eligible
// once.
func (d *decision) anybody(c *change) kafka.NodeID {
	for _, id := range c.next.LastELR {
		if d.mayLead(id, c.Replica) {
			return id
		}
	}
	return d.fewest(c, c.next.Replicas)
}

func (d *decision) lead(c *change, id kafka.NodeID) {
	d.leading()[c.next.Leader]--
	d.leading()[id]++
	c.next.Leader = id
}

// leadEligible has an eligible leader replica lead. It is in sync with itself
// alone; the others stay eligible while that is too few.
func (d *decision) leadEligible(c *change, id kafka.NodeID) {
	s := &c.next
	eligible := union(s.ELR, s.ISR)
	s.ISR = []kafka.NodeID{id}
	s.ELR = without(only(s.Replicas, eligible), s.ISR)
	d.lead(c, id)
}

// leadAlone has a replica lead that may lack committed records: they are gone,
// and nobody else counts as in sync or eligible any more.
func (d *decision) leadAlone(c *change, id kafka.NodeID) {
	c.alone = true
	c.next.ISR, c.next.ELR, c.next.LastELR = []kafka.NodeID{id}, nil, nil
	d.lead(c, id)
}

// wait leaves the partition without a leader, and notes who was the last. While
// nobody leads nothing is committed: who was in sync until now, or eligible, has it
// all, and the first of them that comes back may lead.
func (d *decision) wait(c *change) {
	s := &c.next
	d.lead(c, NoLeader)
	if !d.elr {
		s.ISR = c.last()
		return
	}
	s.ISR, s.ELR = nil, c.committed()
	if last := c.old.Leader; last != NoLeader && slices.Contains(s.Replicas, last) {
		s.LastELR = union([]kafka.NodeID{last}, s.LastELR)
	}
}

// last returns who counts as in sync where eligible leader replicas are not kept
// and nobody leads: who was, without those that may lack committed records if
// others are left; or, where nobody was, who was eligible, or who led last.
func (c *change) last() []kafka.NodeID {
	for _, ids := range [][]kafka.NodeID{
		without(c.old.ISR, c.lost), c.old.ISR, c.old.ELR, c.old.LastELR[:min(1, len(c.old.LastELR))],
	} {
		if stay := only(c.next.Replicas, ids); len(stay) > 0 {
			return stay
		}
	}
	return nil
}
