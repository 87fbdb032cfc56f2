package meta

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// Heartbeat returns what a broker's beat changes, and the answer to it, or why
// there is none: BROKER_ID_NOT_REGISTERED or STALE_BROKER_EPOCH. needed is the
// end of the metadata log with the broker's registration: once the broker has
// applied that it serves. on is the settings in force where it is decided.
//
// Logs that the broker cannot use come first: whatever else is decided knows of
// them. A broker that wants to end is relieved of all that it leads; the beat
// after that tells it that it may.
func (m *Image) Heartbeat(b Beat, needed kafka.Offset, on *config.View) ([]Record, BeatAnswer, error) {
	now, ok := m.Broker(b.ID)
	switch {
	case !ok:
		return nil, BeatAnswer{}, fmt.Errorf("broker %d: %w", b.ID, kafka.ErrBrokerIDNotRegistered)
	case now.Epoch != b.Epoch:
		return nil, BeatAnswer{}, fmt.Errorf("broker %d: epoch %d, registered with %d: %w", b.ID, b.Epoch, now.Epoch, kafka.ErrStaleBrokerEpoch)
	}
	a := BeatAnswer{CaughtUp: b.Applied >= needed, Fenced: now.Fenced}
	d := m.decide(on)
	if len(b.Offline) > 0 || len(now.Offline) > 0 {
		d.offline(now, b.Offline)
	}
	switch {
	case b.WantShutdown && (now.Fenced || now.ShuttingDown && d.leading()[b.ID] == 0):
		a.MayShutDown, a.Fenced = true, true
		d.leave(b.ID, fenced)
	case b.WantShutdown:
		d.leave(b.ID, shuttingDown)
	case b.WantFence && !now.Fenced:
		a.Fenced = true
		d.leave(b.ID, fenced)
	case now.Fenced && !b.WantFence && a.CaughtUp:
		a.Fenced = false
		d.serve(b.ID)
	}
	return d.done(), a, nil
}

// Fence returns the records that fence brokers whose sessions ended, all at once:
// leadership moves, and they leave the in-sync sets. One that is fenced already
// loses the seats that it kept when it registered anew. Unknown brokers are left
// out.
func (m *Image) Fence(ids []kafka.NodeID, on *config.View) []Record {
	d := m.decide(on)
	var gone []kafka.NodeID
	for _, id := range ids {
		b := d.broker(id)
		if b == nil {
			continue
		}
		gone = append(gone, id)
		if now := *b; !now.Fenced {
			now.Fenced = true
			d.stand(now)
		}
	}
	d.depart(gone)
	return d.done()
}

// A standing is how a broker stands with the controllers.
type standing int

const (
	fenced standing = 1 << iota
	shuttingDown
)

// leave fences a broker or has it shut down, and takes it out of in-sync sets.
func (d *decision) leave(id kafka.NodeID, as standing) {
	b := *d.broker(id)
	before := b
	b.Fenced = b.Fenced || as&fenced != 0
	b.ShuttingDown = b.ShuttingDown || as&shuttingDown != 0
	if b.Fenced != before.Fenced || b.ShuttingDown != before.ShuttingDown {
		d.stand(b)
	}
	d.depart([]kafka.NodeID{id})
}

// depart takes brokers out of the in-sync sets, all at once: where nobody else is
// left, they all were in sync to the end.
func (d *decision) depart(ids []kafka.NodeID) {
	if len(ids) == 0 {
		return
	}
	d.each(func(s *PartitionState) bool { return len(only(ids, s.ISR)) > 0 }, func(c *change) {
		c.next.ISR = without(c.next.ISR, ids)
		d.settle(c)
	})
}

// serve lets a broker serve, and has it lead what waits for it.
func (d *decision) serve(id kafka.NodeID) {
	b := *d.broker(id)
	b.Fenced, b.ShuttingDown = false, false
	d.stand(b)
	d.awake(id)
}

// awake looks at the partitions without leader that a broker may be able to lead,
// and at reassignments that may have waited for it.
func (d *decision) awake(id kafka.NodeID) {
	d.each(func(s *PartitionState) bool {
		return (s.Leader == NoLeader || s.Reassigning()) && slices.Contains(s.Replicas, id)
	}, d.settle)
}

// offline notes which logs a broker cannot use. Where somebody else may lead it
// leaves the in-sync set and does not count as eligible: nobody knows what became
// of its records. Where nobody may it waits for its log with the others.
//
// A log that can be used again may have fewer records than before in the same life of
// its broker: it may have been begun anew. What was said of it until now, and what a
// leader asked for on the strength of that, must not count any more, however late it
// comes. So the leadership is renewed.
func (d *decision) offline(now Broker, listed []Replica) {
	listed = d.placed(now.ID, listed)
	if slices.Equal(listed, now.Offline) {
		return
	}
	before := now.Offline
	now.Offline = listed
	d.will(now, BrokerOffline{ID: now.ID, Epoch: now.Epoch, Offline: listed})
	self := []kafka.NodeID{now.ID}
	for _, r := range listed {
		if _, was := slices.BinarySearchFunc(before, r, compareReplicas); was {
			continue
		}
		c := d.change(d.m.byID[r.Topic], r.Partition)
		if s := &c.next; d.fewest(c, without(union(s.ISR, s.ELR), self)) != NoLeader {
			c.lost, s.ISR = self, without(s.ISR, self)
		}
		d.settle(c)
	}
	for _, r := range before {
		if t, exists := d.m.byID[r.Topic]; exists && !now.offline(r) && int(r.Partition) < len(t.Partitions) {
			c := d.change(t, r.Partition)
			c.renew = slices.Contains(c.next.Replicas, now.ID)
			d.settle(c)
		}
	}
}

// placed returns the replicas that a broker has, sorted, of those it lists.
func (d *decision) placed(id kafka.NodeID, listed []Replica) []Replica {
	var out []Replica
	for _, r := range listed {
		if s, ok := d.m.Partition(r); ok && slices.Contains(s.Replicas, id) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, compareReplicas)
	return slices.Compact(out)
}
