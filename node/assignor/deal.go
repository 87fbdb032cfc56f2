package assignor

import "github.com/klammlog/klamm/node/kafka"

// Range gives each subscriber of a topic a range of its partitions; the first ones
// get one more where it does not come out even. Partitions of the same number of
// topics with the same subscribers and as many partitions go to the same member.
func Range(members []Member, topics []Topic) [][]kafka.TopicPartition {
	plan := make([][]kafka.TopicPartition, len(members))
	topics = byName(topics)
	for i, subs := range subscribers(members, topics) {
		t, next := topics[i], int32(0)
		for at, m := range subs {
			n := t.Partitions / int32(len(subs))
			if int32(at) < t.Partitions%int32(len(subs)) {
				n++
			}
			for end := next + n; next < end; next++ {
				plan[m] = append(plan[m], kafka.TopicPartition{Topic: t.Name, Partition: next})
			}
		}
	}
	return sorted(plan)
}

// RoundRobin deals the partitions of all topics one by one to the members in turn,
// passing over who does not subscribe.
func RoundRobin(members []Member, topics []Topic) [][]kafka.TopicPartition {
	plan := make([][]kafka.TopicPartition, len(members))
	topics = byName(topics)
	order := inOrder(members)
	turn := make([]int, len(members)) // the place of each member in the order
	for at, m := range order {
		turn[m] = at
	}
	next := 0
	for i, subs := range subscribers(members, topics) {
		for n := range topics[i].Partitions {
			if len(subs) == 0 {
				break
			}
			m := firstFrom(subs, turn, next)
			plan[m] = append(plan[m], kafka.TopicPartition{Topic: topics[i].Name, Partition: n})
			next = (turn[m] + 1) % len(order)
		}
	}
	return sorted(plan)
}

// firstFrom returns the first subscriber whose turn is not before next, or the
// first of all.
func firstFrom(subs, turn []int, next int) int {
	low, high := 0, len(subs)
	for low < high {
		if mid := (low + high) / 2; turn[subs[mid]] < next {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(subs) {
		low = 0
	}
	return subs[low]
}
