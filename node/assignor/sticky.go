package assignor

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// Sticky balances the partitions and, among all balanced plans, leaves with the
// members as much of what they own as it can (KIP-54).
//
// A claim of an older generation counts for nothing where another member claims
// the same (KIP-341); two claims of one generation cancel each other out
// (KAFKA-12984): both are wrong.
func Sticky(members []Member, topics []Topic) [][]kafka.TopicPartition {
	return balance(members, byName(topics)).plan()
}

// CooperativeSticky is Sticky for members that go on while they rebalance: what a
// member owns and another shall have is given to nobody, until its owner has let
// go of it and joins again (KIP-429).
func CooperativeSticky(members []Member, topics []Topic) [][]kafka.TopicPartition {
	b := balance(members, byName(topics))
	for p := range b.owner {
		if claimed := b.claimants[p]; claimed != nobody && claimed != b.owner[p] {
			b.owner[p] = nobody
		}
	}
	return b.plan()
}

// Uniform is the coordinator's assignor of that name (KIP-848): what the members own
// is what they were to have. What moves is handed over by the protocol.
func Uniform(members []Member, topics []Topic) [][]kafka.TopicPartition {
	return Sticky(members, topics)
}

const nobody = -1

// A balancing is a plan in the making. Members and partitions are known by their
// places; partitions lie topic behind topic.
type balancing struct {
	topics      []Topic
	first       []int   // of each topic: the place of its partition 0
	topicOf     []int   // of each partition
	subscribers [][]int // of each topic, in the order in which partitions are dealt
	order       []int   // of members
	owner       []int   // of each partition, or nobody
	claimants   []int   // who owns it by the claims; many, if several say so
	load        []int   // of each member: how many it is given
}

// many stands for several members with the same right.
const many = -2

// balance makes the plan: what is owned is kept as far as it is fair, the rest is
// given to who has least, and then partitions move to whoever has two less.
func balance(members []Member, topics []Topic) *balancing {
	b := &balancing{topics: topics, subscribers: subscribers(members, topics), order: inOrder(members), load: make([]int, len(members))}
	for i, t := range topics {
		b.first = append(b.first, len(b.topicOf))
		for range t.Partitions {
			b.topicOf = append(b.topicOf, i)
		}
	}
	b.owner = filled(len(b.topicOf), nobody)
	b.claim(members)
	if b.alike() {
		b.spread()
	} else {
		b.improve()
	}
	return b
}

func filled(n, value int) []int { return slices.Repeat([]int{value}, n) }

// claim notes who owns what, by the youngest claims.
func (b *balancing) claim(members []Member) {
	n := len(b.topicOf)
	b.claimants = filled(n, nobody)
	generation := make([]int32, n)
	place := make(map[string]int, len(b.topics))
	for i, t := range b.topics {
		place[t.Name] = i
	}
	subscribes := b.subscriptions(len(members))
	for _, m := range b.order {
		for _, tp := range members[m].Owned {
			topic, ok := place[tp.Topic]
			if !ok || tp.Partition < 0 || tp.Partition >= b.topics[topic].Partitions {
				continue
			}
			p, g := b.first[topic]+int(tp.Partition), members[m].Generation
			switch before := b.claimants[p]; {
			case before == m:
			case before == nobody || g > generation[p]:
				b.claimants[p], generation[p] = m, g
			case g == generation[p]:
				b.claimants[p] = many
			}
		}
	}
	for p, m := range b.claimants {
		if m >= 0 && subscribes(m, b.topicOf[p]) {
			b.owner[p] = m
			b.load[m]++
		}
	}
}

// subscriptions returns whether a member subscribes to a topic.
func (b *balancing) subscriptions(members int) func(m, topic int) bool {
	set := make(map[[2]int]struct{}, members)
	for topic, subs := range b.subscribers {
		for _, m := range subs {
			set[[2]int{m, topic}] = struct{}{}
		}
	}
	return func(m, topic int) bool { _, ok := set[[2]int{m, topic}]; return ok }
}

// alike reports whether every topic that somebody subscribes to has the same
// subscribers.
func (b *balancing) alike() bool {
	var all []int
	for _, subs := range b.subscribers {
		switch {
		case len(subs) == 0:
		case all == nil:
			all = subs
		case !slices.Equal(all, subs):
			return false
		}
	}
	return true
}

// spread balances where all subscribe to the same: everybody gets the same number,
// some one more, preferably who has it. It is linear in partitions and members.
func (b *balancing) spread() {
	subs, partitions := b.dealt()
	if len(subs) == 0 {
		return
	}
	least, extra := partitions/len(subs), partitions%len(subs)
	quota := make([]int, len(b.load))
	for _, m := range subs {
		quota[m] = least
		if b.load[m] > least && extra > 0 {
			quota[m]++
			extra--
		}
	}
	for _, m := range subs {
		if extra > 0 && quota[m] == least {
			quota[m]++
			extra--
		}
	}
	for p, m := range b.owner {
		if m != nobody && b.load[m] > quota[m] {
			b.owner[p] = nobody
			b.load[m]--
		}
	}
	at := 0
	for p, m := range b.owner {
		if m != nobody || len(b.subscribers[b.topicOf[p]]) == 0 {
			continue
		}
		for b.load[subs[at]] == quota[subs[at]] {
			at = (at + 1) % len(subs)
		}
		b.give(p, subs[at])
		at = (at + 1) % len(subs)
	}
}

// dealt returns who subscribes where all subscribe to the same, and to how many
// partitions.
func (b *balancing) dealt() (subs []int, partitions int) {
	for i, s := range b.subscribers {
		if len(s) > 0 {
			subs = s
			partitions += int(b.topics[i].Partitions)
		}
	}
	return subs, partitions
}

// improve balances where members subscribe to different topics: as long as a
// partition can go to a subscriber that has at least two less than its owner, it
// does. The sum of the squares falls with each move, so this ends.
func (b *balancing) improve() {
	for p, m := range b.owner {
		if subs := b.subscribers[b.topicOf[p]]; m == nobody && len(subs) > 0 {
			b.give(p, b.leastOf(subs))
		}
	}
	for moved := true; moved; {
		moved = false
		for p, m := range b.owner {
			if m == nobody {
				continue
			}
			if to := b.leastOf(b.subscribers[b.topicOf[p]]); b.load[to]+1 < b.load[m] {
				b.load[m]--
				b.give(p, to)
				moved = true
			}
		}
	}
}

// leastOf returns who of some members has least, the first of them in their order.
func (b *balancing) leastOf(subs []int) int {
	least := subs[0]
	for _, m := range subs {
		if b.load[m] < b.load[least] {
			least = m
		}
	}
	return least
}

func (b *balancing) give(p, m int) {
	b.owner[p] = m
	b.load[m]++
}

// plan returns each member's partitions.
func (b *balancing) plan() [][]kafka.TopicPartition {
	plan := make([][]kafka.TopicPartition, len(b.load))
	for p, m := range b.owner {
		if m != nobody {
			t := b.topicOf[p]
			plan[m] = append(plan[m], kafka.TopicPartition{Topic: b.topics[t].Name, Partition: int32(p - b.first[t])})
		}
	}
	return sorted(plan)
}
