package group

import (
	"cmp"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A place is a partition of a topic that is known by its id.
type place struct {
	topic     kafka.TopicID
	partition int32
}

func (p place) compare(q place) int {
	return cmp.Or(slices.Compare(p.topic[:], q.topic[:]), cmp.Compare(p.partition, q.partition))
}

// places is a set of partitions, sorted. It is never changed, so that it can be
// shared.
type places []place

// placesOf makes a set of what a request or a record says.
func placesOf(topics []TopicPartitions) (out places) {
	for _, t := range topics {
		for _, p := range t.Partitions {
			out = append(out, place{t.Topic, p})
		}
	}
	slices.SortFunc(out, place.compare)
	return slices.Compact(out)
}

// topics says a set as requests and records do. No partitions are an empty list.
func (p places) topics() []TopicPartitions {
	out := []TopicPartitions{}
	for _, q := range p {
		if n := len(out); n == 0 || out[n-1].Topic != q.topic {
			out = append(out, TopicPartitions{Topic: q.topic})
		}
		last := &out[len(out)-1]
		last.Partitions = append(last.Partitions, q.partition)
	}
	return out
}

func (p places) has(q place) bool {
	_, found := slices.BinarySearchFunc(p, q, place.compare)
	return found
}

// split returns what of a set is also in another, and what is not.
func (p places) split(in places) (both, rest places) {
	for _, q := range p {
		if in.has(q) {
			both = append(both, q)
		} else {
			rest = append(rest, q)
		}
	}
	return both, rest
}

// with returns a set with what another has besides.
func (p places) with(more places) places {
	if len(more) == 0 {
		return p
	}
	out := append(slices.Clone(p), more...)
	slices.SortFunc(out, place.compare)
	return slices.Compact(out)
}
