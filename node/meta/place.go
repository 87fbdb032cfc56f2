package meta

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// A layout is what is to be placed.
type layout struct {
	first      int // added to the position of the broker that begins
	partitions int
	replicas   int
}

// layOut places replicas: brokers take turns as the preferred leader, replicas go
// to different racks while there are any left, and no broker gets many more than
// another. Brokers that are fenced or shutting down get some only if the others
// are too few; one of the others leads in any case.
func (m *Image) layOut(l layout) ([][]kafka.NodeID, error) {
	if l.replicas <= 0 || l.replicas > len(m.brokers) {
		return nil, fmt.Errorf("replication factor %d with %d brokers: %w", l.replicas, len(m.brokers), kafka.ErrInvalidReplicationFactor)
	}
	var live, rest []place
	for i := range m.brokers {
		if b := &m.brokers[i]; b.Fenced || b.ShuttingDown {
			rest = append(rest, place{broker: b})
		} else {
			live = append(live, place{broker: b})
		}
	}
	if len(live) == 0 {
		return nil, fmt.Errorf("none of %d brokers is alive: %w", len(m.brokers), kafka.ErrInvalidReplicationFactor)
	}
	live = alternate(live)
	out := make([][]kafka.NodeID, l.partitions)
	for p := range out {
		turn := l.first + p
		out[p] = takeTurn(live, turn, min(l.replicas, len(live)))
		for i := range l.replicas - len(out[p]) {
			out[p] = append(out[p], rest[(turn+i)%len(rest)].broker.ID)
		}
	}
	return out, nil
}

// A place is a broker and how many replicas it got so far.
type place struct {
	broker *Broker
	given  int
}

// alternate orders places so that neighbours stand in different racks as far as
// they can.
func alternate(places []place) []place {
	if !slices.ContainsFunc(places, func(p place) bool { return p.broker.Rack != "" }) {
		return places
	}
	depth := make([]int, len(places)) // how many of its rack come before
	for i := range places {
		for j := range i {
			if sameRack(places[i].broker, places[j].broker) {
				depth[i]++
			}
		}
	}
	var out []place
	for level := 0; len(out) < len(places); level++ {
		for i, p := range places {
			if depth[i] == level {
				out = append(out, p)
			}
		}
	}
	return out
}

// sameRack reports whether both are in one rack. A broker that says of none is in
// one of its own.
func sameRack(a, b *Broker) bool { return a.ID == b.ID || a.Rack == b.Rack && a.Rack != "" }

// takeTurn places one partition. Each round over the brokers pairs them
// differently, so that the load of one that dies goes to many.
func takeTurn(places []place, turn, replicas int) []kafka.NodeID {
	n := len(places)
	leader, shift := turn%n, turn/n%max(1, n-1)
	chosen := []int{leader}
	for len(chosen) < replicas {
		best := -1
		for i := range n - 1 {
			at := (leader + 1 + (shift+i)%(n-1)) % n
			if !slices.Contains(chosen, at) && (best < 0 || better(places, chosen, at, best)) {
				best = at
			}
		}
		chosen = append(chosen, best)
	}
	ids := make([]kafka.NodeID, len(chosen))
	for i, at := range chosen {
		ids[i] = places[at].broker.ID
		places[at].given++
	}
	return ids
}

// better reports whether one place suits a partition better than another: its
// rack has fewer of the chosen, or it was given fewer replicas.
func better(places []place, chosen []int, a, b int) bool {
	if x, y := inRack(places, chosen, a), inRack(places, chosen, b); x != y {
		return x < y
	}
	return places[a].given < places[b].given
}

func inRack(places []place, chosen []int, at int) int {
	n := 0
	for _, other := range chosen {
		if sameRack(places[at].broker, places[other].broker) {
			n++
		}
	}
	return n
}

// newPartitions returns the records that add partitions, numbered from first. In
// sync are those whose brokers serve; the first of them leads. If they are too few
// for the high watermark to move, the others are eligible: they lack nothing that
// is committed, for nothing is (KIP-966 has nobody eligible then; what is lost with
// the disk of the first leader is not worth an operator's decision).
func (m *Image) newPartitions(topic kafka.TopicID, settings []config.Pair, first int32, placement [][]kafka.NodeID) []Record {
	least := policyOn(m.BrokerSettings(EveryBroker), nil).of(settings).minISR
	if m.FeatureLevel(EligibleLeaderReplicas) == 0 {
		least = 0
	}
	states := make([]PartitionRecord, len(placement))
	for i, replicas := range placement {
		r := Replica{topic, first + int32(i)}
		isr := filter(replicas, func(id kafka.NodeID) bool {
			b, ok := m.searchBroker(id)
			return ok && m.brokers[b].MayLead(r)
		})
		states[i] = PartitionRecord{
			Topic: topic, Partition: r.Partition,
			PartitionState: PartitionState{Replicas: replicas, ISR: isr, Leader: isr[0]},
		}
		if len(isr) < min(least, len(replicas)) {
			states[i].ELR = filter(without(replicas, isr), func(id kafka.NodeID) bool {
				b, ok := m.searchBroker(id)
				return ok && !m.brokers[b].offline(r)
			})
		}
	}
	return partitionRecords(states)
}

// checkChosen tells why the caller's choice of brokers cannot be.
func (m *Image) checkChosen(a, first Assigned) error {
	if len(a.Replicas) == 0 || len(a.Replicas) != len(first.Replicas) {
		return fmt.Errorf("partition %d has %d replicas, partition %d has %d: %w",
			a.Partition, len(a.Replicas), first.Partition, len(first.Replicas), kafka.ErrInvalidReplicaAssignment)
	}
	if len(a.Replicas) > len(m.brokers) {
		return fmt.Errorf("partition %d has %d replicas, with %d brokers: %w",
			a.Partition, len(a.Replicas), len(m.brokers), kafka.ErrInvalidReplicaAssignment)
	}
	live := false
	for i, id := range a.Replicas {
		b, ok := m.Broker(id)
		if !ok || slices.Contains(a.Replicas[:i], id) {
			return fmt.Errorf("partition %d: replica %d in %v is unknown or stands twice: %w",
				a.Partition, id, a.Replicas, kafka.ErrInvalidReplicaAssignment)
		}
		live = live || !b.Fenced && !b.ShuttingDown
	}
	if !live {
		return fmt.Errorf("partition %d: none of %v is alive: %w", a.Partition, a.Replicas, kafka.ErrInvalidReplicaAssignment)
	}
	return nil
}
