package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// lay makes a topology of a topic whose partitions have these replicas, all in
// sync, the first leading.
func lay(brokers []cluster.Broker, replicas ...[]kafka.NodeID) topology {
	t := topology{Cluster: cluster.Answer{Brokers: brokers}, Topics: []cluster.Topic{{Name: "t"}}}
	for i, r := range replicas {
		t.Topics[0].Partitions = append(t.Topics[0].Partitions, cluster.Partition{ID: int32(i), Leader: r[0], Replicas: r, InSync: r})
	}
	return t
}

func brokersWith(racks ...string) (out []cluster.Broker) {
	for i, rack := range racks {
		out = append(out, cluster.Broker{ID: kafka.NodeID(i + 1), Rack: rack})
	}
	return out
}

func told(moves []move) (out []string) {
	for _, m := range moves {
		out = append(out, fmt.Sprintf("%d: %v to %v", m.Partition.Partition, m.From, m.To))
	}
	return out
}

func TestBalance(t *testing.T) {
	ids := func(ids ...kafka.NodeID) []kafka.NodeID { return ids }
	for _, c := range []struct {
		claim   string
		t       topology
		without []kafka.NodeID
		want    []string
	}{
		{"what is balanced stays", lay(brokersWith("", ""), ids(1, 2), ids(2, 1)), nil, nil},
		{"a new broker gets its share", lay(brokersWith("", "", ""), ids(1, 2), ids(2, 1), ids(1, 2)), nil,
			[]string{"0: [1 2] to [3 1]", "1: [2 1] to [2 3]"}},
		{"a fenced broker gets nothing", lay([]cluster.Broker{{ID: 1}, {ID: 2, Fenced: true}}, ids(1), ids(1), ids(1)), nil, nil},
		{"leaders are spread without moving anything", lay(brokersWith("", ""), ids(1, 2), ids(1, 2), ids(1, 2), ids(1, 2)), nil,
			[]string{"0: [1 2] to [2 1]", "1: [1 2] to [2 1]"}},
		{"a partition stays in its racks", lay(brokersWith("a", "a", "b"), ids(1, 3), ids(1, 3), ids(1, 3)), nil,
			[]string{"0: [1 3] to [2 3]", "1: [1 3] to [3 1]"}},
		{"everything goes off a broker", lay(brokersWith("", "", ""), ids(1, 2), ids(2, 1)), ids(1),
			[]string{"0: [1 2] to [3 2]", "1: [2 1] to [2 3]"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			b := newBalancer(c.t, c.without)
			if !b.evacuate(c.without) {
				t.Fatal("no place")
			}
			b.spread()
			b.spreadLeaders()
			if d := cmp.Diff(c.want, told(b.plan())); d != "" {
				t.Error(d)
			}
		})
	}
	b := newBalancer(lay(brokersWith("", ""), ids(1, 2)), ids(2))
	if b.evacuate(ids(2)) {
		t.Errorf("two replicas found a place on one broker: %v", told(b.plan()))
	}
}

// However partitions lie, a plan moves none of them twice onto one broker, changes
// no replication factor, narrows no racks and leaves nothing to plan.
func TestBalanceOfAnyTopology(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		brokers := brokersWith(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 6).Draw(t, "racks")...)
		var replicas [][]kafka.NodeID
		for range rapid.IntRange(0, 20).Draw(t, "partitions") {
			order := rapid.Permutation(brokers).Draw(t, "order")
			var r []kafka.NodeID
			for _, b := range order[:rapid.IntRange(1, len(order)).Draw(t, "replicas")] {
				r = append(r, b.ID)
			}
			replicas = append(replicas, r)
		}
		balanced := func(top topology) *balancer {
			b := newBalancer(top, nil)
			b.spread()
			b.spreadLeaders()
			return b
		}
		b := balanced(lay(brokers, replicas...))
		var after [][]kafka.NodeID
		for i, m := range b.moves {
			seen := slices.Clone(m.To)
			slices.Sort(seen)
			if len(m.To) != len(replicas[i]) || len(slices.Compact(seen)) != len(m.To) || b.racksOf(m.To) < b.racksOf(m.From) {
				t.Fatalf("partition %d: %v to %v", i, m.From, m.To)
			}
			after = append(after, m.To)
		}
		if again := balanced(lay(brokers, after...)).plan(); len(again) > 0 {
			t.Fatalf("a second plan moves %v", told(again))
		}
	})
}

func TestDrainPlan(t *testing.T) {
	ids := func(ids ...kafka.NodeID) []kafka.NodeID { return ids }
	top := lay(brokersWith("", "", ""), ids(1, 2, 3), ids(2, 1, 3), ids(1, 2, 3), ids(1), ids(1, 2))
	p := top.Topics[0].Partitions
	p[2].InSync = ids(1, 3) // 2 is not in sync
	p[4].Leader = 2         // would go back to 1
	moves, leads, stuck := planDrain(top, 1)
	want := []string{"0: [1 2 3] to [2 3 1]", "2: [1 2 3] to [3 2 1]", "4: [1 2] to [2 1]"}
	if d := cmp.Diff(want, told(moves)); d != "" || leads != 3 || len(stuck) != 1 || stuck[0].Partition != 3 {
		t.Errorf("%s, leads %d, stuck %v", d, leads, stuck)
	}
}
