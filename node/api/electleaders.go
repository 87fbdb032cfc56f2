package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ElectLeaders (key 43): elections that somebody asks for (KIP-460). 0 to 2.
//
// v1 has the type: 0 has the preferred replica lead if it is in sync, 1 any replica
// of a partition that nobody leads, which may lose records; v0 is about preferred
// replicas only, and has no error code of the whole answer. No topics mean all
// partitions; then those that needed no election are not told. v2 is flexible.

func electLeaders(x *control, q *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	r := kmsg.NewPtrElectLeadersResponse()
	kind := meta.ElectionKind(q.ElectionType)
	if x.call.Version == 0 {
		kind = meta.ElectPreferred
	}
	want, unknown := x.electable(q)
	elected, err := x.c.ElectLeaders(kind, want)
	if err != nil {
		r.ErrorCode = kafka.Code(err)
		return r
	}
	if q.Topics == nil {
		for _, e := range elected {
			if t, ok := x.s.image().TopicByID(e.Topic); ok && kafka.ErrorOf(e.Err) != kafka.ErrElectionNotNeeded {
				addElected(r, t.Name, e.Partition, e.Err)
			}
		}
		return r
	}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			if unknown[t.Topic] {
				addElected(r, t.Topic, p, kafka.ErrUnknownTopicOrPartition)
				continue
			}
			addElected(r, t.Topic, p, elected[0].Err)
			elected = elected[1:]
		}
	}
	return r
}

// electable returns the partitions that a request names, nil for all, and the
// topics that there are not.
func (x *control) electable(q *kmsg.ElectLeadersRequest) (want []meta.Replica, unknown map[string]bool) {
	if q.Topics == nil {
		return nil, nil
	}
	want, unknown = []meta.Replica{}, map[string]bool{}
	for _, t := range q.Topics {
		known, ok := x.s.image().Topic(t.Topic)
		if !ok {
			unknown[t.Topic] = true
			continue
		}
		for _, p := range t.Partitions {
			want = append(want, meta.Replica{Topic: known.ID, Partition: p})
		}
	}
	return want, unknown
}

func addElected(r *kmsg.ElectLeadersResponse, topic string, partition int32, err error) {
	if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != topic {
		t := kmsg.NewElectLeadersResponseTopic()
		t.Topic = topic
		r.Topics = append(r.Topics, t)
	}
	p := kmsg.NewElectLeadersResponseTopicPartition()
	p.Partition, p.ErrorCode = partition, kafka.Code(err)
	if err != nil {
		p.ErrorMessage = message(err)
	}
	t := &r.Topics[len(r.Topics)-1]
	t.Partitions = append(t.Partitions, p)
}
