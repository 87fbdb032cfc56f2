package main

import (
	"cmp"
	"slices"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// A move is where the replicas of a partition are, and where they shall be. The
// first is the preferred leader.
type move struct {
	Partition kafka.TopicPartition
	From, To  []kafka.NodeID
}

func reassignments(moves []move) []client.Reassignment {
	out := make([]client.Reassignment, len(moves))
	for i, m := range moves {
		out[i] = client.Reassignment{Partition: m.Partition, Replicas: m.To}
	}
	return out
}

// A balancer plans how replicas and leaders are spread over brokers, with as few
// moves as it finds. It is pure, and plans the same for the same topology.
type balancer struct {
	brokers []kafka.NodeID // that may take replicas
	racks   map[kafka.NodeID]string
	moves   []move // one for each partition, most of them to where it is
	load    map[kafka.NodeID]int
	prefers map[kafka.NodeID]int // how many partitions prefer each as their leader
}

// newBalancer plans for the brokers that are in use, without some.
func newBalancer(t topology, without []kafka.NodeID) *balancer {
	b := &balancer{racks: map[kafka.NodeID]string{}, load: map[kafka.NodeID]int{}, prefers: map[kafka.NodeID]int{}}
	for _, broker := range t.Cluster.Brokers {
		b.racks[broker.ID] = broker.Rack
		if !broker.Fenced && !slices.Contains(without, broker.ID) {
			b.brokers = append(b.brokers, broker.ID)
		}
	}
	t.each(func(tp kafka.TopicPartition, p cluster.Partition) {
		if len(p.Replicas) == 0 {
			return
		}
		b.moves = append(b.moves, move{tp, p.Replicas, slices.Clone(p.Replicas)})
		b.prefers[p.Replicas[0]]++
		for _, id := range p.Replicas {
			b.load[id]++
		}
	})
	return b
}

// plan returns the moves that lead somewhere else.
func (b *balancer) plan() []move {
	return slices.DeleteFunc(slices.Clone(b.moves), func(m move) bool { return slices.Equal(m.From, m.To) })
}

// evacuate moves replicas off brokers, each to the broker with the fewest that can
// take it, and reports whether all found a place.
func (b *balancer) evacuate(from []kafka.NodeID) bool {
	placed := true
	for i := range b.moves {
		for _, id := range from {
			if !slices.Contains(b.moves[i].To, id) {
				continue
			}
			to := slices.IndexFunc(b.byLoad(), func(to kafka.NodeID) bool { return b.mayMove(&b.moves[i], id, to) })
			if to < 0 {
				placed = false
				continue
			}
			b.replace(&b.moves[i], id, b.byLoad()[to])
		}
	}
	return placed
}

// spread moves replicas from the brokers with the most to those with the fewest,
// until no two differ by more than one, or nothing can move. Each move makes the
// sum of the squares of the loads smaller, so it ends.
func (b *balancer) spread() {
	for b.spreadOne() {
	}
}

func (b *balancer) spreadOne() bool {
	order := b.byLoad()
	for _, from := range slices.Backward(order) {
		for _, to := range order {
			if b.load[from]-b.load[to] < 2 {
				break
			}
			for i := range b.moves {
				if slices.Contains(b.moves[i].To, from) && b.mayMove(&b.moves[i], from, to) {
					b.replace(&b.moves[i], from, to)
					return true
				}
			}
		}
	}
	return false
}

// spreadLeaders prefers other replicas as leaders, without moving any, until no two
// brokers are preferred by numbers that differ by more than one, or nothing can
// change.
func (b *balancer) spreadLeaders() {
	for b.spreadOneLeader() {
	}
}

func (b *balancer) spreadOneLeader() bool {
	order := slices.Clone(b.brokers)
	slices.SortStableFunc(order, func(x, y kafka.NodeID) int { return cmp.Compare(b.prefers[x], b.prefers[y]) })
	for _, from := range slices.Backward(order) {
		for _, to := range order {
			if b.prefers[from]-b.prefers[to] < 2 {
				break
			}
			for i := range b.moves {
				if b.moves[i].To[0] == from && slices.Contains(b.moves[i].To, to) {
					b.prefer(&b.moves[i], to)
					return true
				}
			}
		}
	}
	return false
}

// byLoad returns the brokers that may take replicas, those with the fewest first.
func (b *balancer) byLoad() []kafka.NodeID {
	order := slices.Clone(b.brokers)
	slices.SortStableFunc(order, func(x, y kafka.NodeID) int { return cmp.Compare(b.load[x], b.load[y]) })
	return order
}

// mayMove reports whether a replica can go from one broker to another: that has
// none of the partition, and the partition is in no fewer racks afterwards.
func (b *balancer) mayMove(m *move, from, to kafka.NodeID) bool {
	if slices.Contains(m.To, to) {
		return false
	}
	after := slices.Clone(m.To)
	after[slices.Index(after, from)] = to
	return b.racksOf(after) >= b.racksOf(m.To)
}

func (b *balancer) racksOf(replicas []kafka.NodeID) int {
	racks := map[string]bool{}
	for _, id := range replicas {
		racks[b.racks[id]] = true
	}
	return len(racks)
}

func (b *balancer) replace(m *move, from, to kafka.NodeID) {
	at := slices.Index(m.To, from)
	if at == 0 {
		b.prefers[from]--
		b.prefers[to]++
	}
	m.To[at] = to
	b.load[from]--
	b.load[to]++
}

// prefer makes a replica the first.
func (b *balancer) prefer(m *move, id kafka.NodeID) {
	b.prefers[m.To[0]]--
	b.prefers[id]++
	at := slices.Index(m.To, id)
	m.To = append([]kafka.NodeID{id}, slices.Delete(m.To, at, at+1)...)
}
