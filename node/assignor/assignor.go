// Package assignor decides who of a group gets which partitions.
//
// An assignor is a function of the members and the topics; whoever leads a group,
// or coordinates it, calls it and nobody else has to compute the same. What two
// clients in one group must agree on is the name and what the name promises: that
// is Kafka's (KIP-54, KIP-429, KIP-848).
//
// Each partition of a topic that somebody subscribes to is given to exactly one of
// its subscribers, but for what CooperativeSticky holds back. The result has one
// list for each member, in the order of the members, sorted by topic and partition.
package assignor

import (
	"cmp"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A Member is who may be given partitions.
type Member struct {
	ID       string
	Instance string   // its group.instance.id, or ""
	Topics   []string // that it subscribes to
	Rack     string

	// Owned is what it says it owns, and Generation when it was given that. Who
	// knows of no generation says NoGeneration.
	Owned      []kafka.TopicPartition
	Generation int32
}

// NoGeneration is the generation of who never had one.
const NoGeneration int32 = -1

// A Topic is a topic as the metadata has it.
type Topic struct {
	Name       string
	Partitions int32
}

// An Assignor decides who gets what.
type Assignor func(members []Member, topics []Topic) [][]kafka.TopicPartition

// Named returns the assignors of clients by the names that Kafka has for them.
func Named(name string) (Assignor, bool) {
	switch name {
	case "range":
		return Range, true
	case "roundrobin":
		return RoundRobin, true
	case "sticky":
		return Sticky, true
	case "cooperative-sticky":
		return CooperativeSticky, true
	}
	return nil, false
}

// inOrder returns the members' places in the order in which partitions are dealt:
// who has an instance id first, by it, so that a static member that comes back
// with another member id gets what it had; the others by member id.
func inOrder(members []Member) []int {
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareMembers(&members[a], &members[b]) })
	return order
}

func compareMembers(a, b *Member) int {
	switch {
	case a.Instance != "" && b.Instance != "":
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.ID, b.ID))
	case a.Instance != "":
		return -1
	case b.Instance != "":
		return 1
	}
	return cmp.Compare(a.ID, b.ID)
}

// subscribers returns, for each topic, the places of its subscribers in the order
// in which partitions are dealt.
func subscribers(members []Member, topics []Topic) [][]int {
	place := make(map[string]int, len(topics))
	for i, t := range topics {
		place[t.Name] = i
	}
	out := make([][]int, len(topics))
	for _, m := range inOrder(members) {
		for _, name := range members[m].Topics {
			i, ok := place[name]
			if !ok || len(out[i]) > 0 && out[i][len(out[i])-1] == m { // unknown, or named twice
				continue
			}
			out[i] = append(out[i], m)
		}
	}
	return out
}

// byName returns the topics in the order of their names.
func byName(topics []Topic) []Topic {
	sorted := slices.Clone(topics)
	slices.SortFunc(sorted, func(a, b Topic) int { return cmp.Compare(a.Name, b.Name) })
	return sorted
}

func comparePartitions(a, b kafka.TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// sorted returns the plan with every list sorted, and none nil.
func sorted(plan [][]kafka.TopicPartition) [][]kafka.TopicPartition {
	for i := range plan {
		if plan[i] == nil {
			plan[i] = []kafka.TopicPartition{}
		}
		slices.SortFunc(plan[i], comparePartitions)
	}
	return plan
}
