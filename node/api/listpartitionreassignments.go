package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListPartitionReassignments (key 46): the reassignments of replicas that are under
// way (KIP-455). 0.
//
// Null topics mean all; topics and partitions that there are not are left out.

func listPartitionReassignments(x *control, q *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	r := kmsg.NewPtrListPartitionReassignmentsResponse()
	var want []meta.Replica
	if q.Topics != nil {
		want = []meta.Replica{}
		for _, t := range q.Topics {
			known, ok := x.s.image().Topic(t.Topic)
			for _, p := range t.Partitions {
				if ok {
					want = append(want, meta.Replica{Topic: known.ID, Partition: p})
				}
			}
		}
	}
	under, err := x.c.Reassignments(want)
	if err != nil {
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
		return r
	}
	for _, one := range under {
		t, ok := x.s.image().TopicByID(one.Topic)
		if !ok {
			continue // deleted since
		}
		if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != t.Name {
			topic := kmsg.NewListPartitionReassignmentsResponseTopic()
			topic.Topic = t.Name
			r.Topics = append(r.Topics, topic)
		}
		p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		p.Partition, p.Replicas = one.Partition, nodeIDs(one.Replicas)
		p.AddingReplicas, p.RemovingReplicas = nodeIDs(one.Adding), nodeIDs(one.Removing)
		topic := &r.Topics[len(r.Topics)-1]
		topic.Partitions = append(topic.Partitions, p)
	}
	return r
}
