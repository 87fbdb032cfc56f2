package meta

import (
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// A decision is one in the making: what is to change, and the brokers as they
// will be then. Many partitions change in one decision, so that a broker's death
// is a few records.
type decision struct {
	m      *Image
	policy policy // of topics that set nothing
	elr    bool   // EligibleLeaderReplicas is on

	brokers []Broker             // those that will be otherwise than in the image
	leads   map[kafka.NodeID]int // how many partitions each leads; nil until somebody asks
	records []Record             // what comes before the partitions
	changes []*change
	byTopic map[kafka.TopicID][]*change // by number, nil for those that do not change
	room    []change                    // for changes to come
}

func (m *Image) decide(on *config.View) *decision {
	return &decision{
		m: m, policy: policyOn(m.BrokerSettings(EveryBroker), on), elr: m.FeatureLevel(EligibleLeaderReplicas) > 0,
		byTopic: map[kafka.TopicID][]*change{},
	}
}

// done returns the records.
func (d *decision) done() []Record {
	slices.SortFunc(d.changes, func(a, b *change) int { return compareReplicas(a.Replica, b.Replica) })
	states := make([]PartitionRecord, 0, len(d.changes))
	for _, c := range d.changes {
		if c.changed() {
			states = append(states, PartitionRecord{Topic: c.Topic, Partition: c.Partition, PartitionState: c.next})
		}
	}
	return append(d.records, partitionRecords(states)...)
}

// broker returns a broker as it will be.
func (d *decision) broker(id kafka.NodeID) *Broker {
	for i := range d.brokers {
		if d.brokers[i].ID == id {
			return &d.brokers[i]
		}
	}
	if i, ok := d.m.searchBroker(id); ok {
		return &d.m.brokers[i]
	}
	return nil
}

// will notes that a broker will be otherwise, and how that is recorded.
func (d *decision) will(b Broker, how Record) {
	d.brokers = slices.DeleteFunc(d.brokers, func(other Broker) bool { return other.ID == b.ID })
	d.brokers = append(d.brokers, b)
	d.records = append(d.records, how)
}

// stand fences a broker or lets it serve, or has it shut down.
func (d *decision) stand(b Broker) {
	d.will(b, BrokerChange{ID: b.ID, Epoch: b.Epoch, Fenced: b.Fenced, ShuttingDown: b.ShuttingDown})
}

func (d *decision) mayLead(id kafka.NodeID, r Replica) bool {
	b := d.broker(id)
	return b != nil && b.MayLead(r)
}

// leading counts how many partitions each broker leads, as decided so far.
func (d *decision) leading() map[kafka.NodeID]int {
	if d.leads == nil {
		d.leads = map[kafka.NodeID]int{}
		for _, t := range d.m.topics {
			for i := range t.Partitions {
				d.leads[t.Partitions[i].Leader]++
			}
		}
	}
	return d.leads
}

// A change is what becomes of one partition.
type change struct {
	Replica
	policy policy
	old    PartitionState
	next   PartitionState // its epochs are set in the end

	lost  []kafka.NodeID // may lack committed records: they lose their place in ISR and ELR
	bump  bool           // the partition epoch grows even if nothing else changes
	renew bool           // who leads begins a leadership anew
	alone bool           // the leader may lack committed records, and nobody else counts
}

// change begins to change a partition, or goes on with it.
func (d *decision) change(t *Topic, number int32) *change {
	all := d.byTopic[t.ID]
	if all == nil {
		all = make([]*change, len(t.Partitions))
		d.byTopic[t.ID] = all
	}
	if all[number] == nil {
		all[number] = d.begin(t, number)
	}
	return all[number]
}

func (d *decision) begin(t *Topic, number int32) *change {
	if len(d.room) == 0 {
		d.room = make([]change, min(64, 1+len(d.changes)))
	}
	c := &d.room[0]
	d.room = d.room[1:]
	s := t.Partitions[number]
	*c = change{Replica: Replica{t.ID, number}, policy: d.policy.of(t.Settings), old: s, next: s}
	d.changes = append(d.changes, c)
	return c
}

// begun reports whether a partition changes already.
func (d *decision) begun(r Replica) bool {
	all := d.byTopic[r.Topic]
	return all != nil && all[r.Partition] != nil
}

func (c *change) changed() bool { return c.next.Epoch != c.old.Epoch }

// each begins to change every partition that is of interest, as it is decided so
// far.
func (d *decision) each(of func(*PartitionState) bool, f func(*change)) {
	for _, t := range d.m.topics {
		begun := d.byTopic[t.ID]
		for i := range t.Partitions {
			s := &t.Partitions[i]
			if begun != nil && begun[i] != nil {
				s = &begun[i].next
			}
			if of(s) {
				f(d.change(t, int32(i)))
			}
		}
	}
}

// settle draws the consequences of what is wanted: it completes a reassignment,
// keeps account of eligible leader replicas, and elects a leader if there is none
// or if it may lead no longer.
func (d *decision) settle(c *change) {
	s, old := &c.next, &c.old
	s.ISR = only(s.Replicas, s.ISR)
	d.completeReassignment(c)
	d.keepEligible(c)
	d.elect(c)
	d.trim(c)
	s.LeaderEpoch, s.Epoch = old.LeaderEpoch, old.Epoch
	if s.Leader != old.Leader || lacks(s.Replicas, old.Replicas) || c.renew && s.Leader != NoLeader {
		s.LeaderEpoch++
	}
	if c.bump || !s.equal(old) {
		s.Epoch++
	}
}

// keepEligible keeps account of the replicas that hold every committed record
// though they are not in sync (KIP-966). While the in-sync set is smaller than
// min.insync.replicas the high watermark stands, so whoever leaves it then, or
// makes it so small, has all that is committed.
func (d *decision) keepEligible(c *change) {
	s := &c.next
	switch {
	case c.alone:
	case !d.elr:
		s.ELR, s.LastELR = nil, nil
	case c.enough():
		s.ELR, s.LastELR = nil, c.lastEligible()
	default:
		s.ELR, s.LastELR = without(c.committed(), s.ISR), c.lastEligible()
	}
}

// enough reports whether the in-sync set is large enough for the high watermark to
// move.
func (c *change) enough() bool {
	return len(c.next.ISR) >= min(c.policy.minISR, len(c.next.Replicas))
}

// committed returns the replicas that held every committed record so far, in their
// order, and hold it still.
func (c *change) committed() []kafka.NodeID {
	return without(only(c.next.Replicas, union(c.old.ISR, c.old.ELR)), c.lost)
}

// lastEligible returns who led last, if nobody led, and who lost a place by now.
func (c *change) lastEligible() []kafka.NodeID {
	return only(union(c.old.LastELR, only(c.lost, union(c.old.ISR, c.old.ELR))), c.next.Replicas)
}

// trim forgets who was eligible where somebody leads and has made up for them, or
// where they cannot use their log: it may be fetched again then.
func (d *decision) trim(c *change) {
	s := &c.next
	switch {
	case s.Leader == NoLeader:
	case c.enough():
		s.ELR, s.LastELR = nil, nil
	default:
		s.LastELR = without(s.LastELR, s.ISR)
		s.ELR = filter(s.ELR, func(id kafka.NodeID) bool {
			b := d.broker(id)
			return b == nil || !b.offline(c.Replica)
		})
	}
}

func (s *PartitionState) equal(o *PartitionState) bool {
	return s.Leader == o.Leader && s.LeaderEpoch == o.LeaderEpoch && s.Epoch == o.Epoch &&
		slices.Equal(s.Replicas, o.Replicas) && slices.Equal(s.ISR, o.ISR) &&
		slices.Equal(s.Adding, o.Adding) && slices.Equal(s.Removing, o.Removing) &&
		slices.Equal(s.ELR, o.ELR) && slices.Equal(s.LastELR, o.LastELR)
}

// Lists of nodes are never changed in place: these return a new one, or the old
// one as it was.

// without returns the ids that are not among others.
func without(ids, others []kafka.NodeID) []kafka.NodeID {
	return filter(ids, func(id kafka.NodeID) bool { return !slices.Contains(others, id) })
}

// only returns the ids that are among others.
func only(ids, others []kafka.NodeID) []kafka.NodeID {
	return filter(ids, func(id kafka.NodeID) bool { return slices.Contains(others, id) })
}

func filter(ids []kafka.NodeID, keep func(kafka.NodeID) bool) []kafka.NodeID {
	if !slices.ContainsFunc(ids, func(id kafka.NodeID) bool { return !keep(id) }) {
		return ids
	}
	var out []kafka.NodeID
	for _, id := range ids {
		if keep(id) {
			out = append(out, id)
		}
	}
	return out
}

// union returns ids and then those others that are not among them.
func union(ids, others []kafka.NodeID) []kafka.NodeID {
	more := without(others, ids)
	if len(more) == 0 {
		return ids
	}
	return append(slices.Clone(ids), more...)
}

// lacks reports whether one of others is not among ids.
func lacks(ids, others []kafka.NodeID) bool {
	return slices.ContainsFunc(others, func(id kafka.NodeID) bool { return !slices.Contains(ids, id) })
}
