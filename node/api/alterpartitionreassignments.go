package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterPartitionReassignments (key 45): begins, changes or cancels reassignments of
// replicas, each by itself (KIP-455). 0 to 1.
//
// Null replicas cancel. v1 may forbid that a partition gets another number of
// replicas (KIP-860). It is answered when the reassignment is decided: replicas are
// added first, and those that go are dropped when all that are added are in sync.

func alterPartitionReassignments(x *control, q *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	r := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	r.AllowReplicationFactorChange = q.AllowReplicationFactorChange
	want, known := x.reassignments(q)
	results, err := x.c.Reassign(want)
	if err != nil {
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
		return r
	}
	for _, t := range q.Topics {
		topic := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			err := fmt.Errorf("topic %.249s: %w", t.Topic, kafka.ErrUnknownTopicOrPartition)
			if known[t.Topic] {
				err, results = results[0], results[1:]
			}
			a := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			a.Partition, a.ErrorCode = p.Partition, kafka.Code(err)
			if err != nil {
				a.ErrorMessage = message(err)
			}
			topic.Partitions = append(topic.Partitions, a)
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

// reassignments returns what a request wants, and the topics in it that there are.
func (x *control) reassignments(q *kmsg.AlterPartitionAssignmentsRequest) (want []meta.Reassignment, known map[string]bool) {
	known = map[string]bool{}
	for _, t := range q.Topics {
		topic, ok := x.s.image().Topic(t.Topic)
		if !ok {
			continue
		}
		known[t.Topic] = true
		for _, p := range t.Partitions {
			want = append(want, meta.Reassignment{
				Replica: meta.Replica{Topic: topic.ID, Partition: p.Partition}, Replicas: nodesOf(p.Replicas),
				KeepFactor: x.call.Version >= 1 && !q.AllowReplicationFactorChange,
			})
		}
	}
	return want, known
}

// nodesOf returns nodes by their numbers; nil for nil.
func nodesOf(ids []int32) []kafka.NodeID {
	if ids == nil {
		return nil
	}
	out := make([]kafka.NodeID, len(ids))
	for i, id := range ids {
		out[i] = kafka.NodeID(id)
	}
	return out
}
