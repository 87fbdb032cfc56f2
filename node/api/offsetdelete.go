package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetDelete (key 47): some of a group's offsets are forgotten (KIP-496). 0.
//
// Those of a topic that a member subscribes to stay: GROUP_SUBSCRIBED_TO_TOPIC.

func offsetDelete(s *Server, _ *Call, q *kmsg.OffsetDeleteRequest) kmsg.Response {
	in := group.DeleteOffsetsRequest{Group: q.Group}
	for _, t := range q.Topics {
		topic := group.FetchTopic{Name: t.Topic}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, p.Partition)
		}
		in.Topics = append(in.Topics, topic)
	}
	a := askGroup[group.CommitResponse](s, q.Group, in, (*group.Shard).DeleteOffsets)
	r := kmsg.NewPtrOffsetDeleteResponse()
	r.ErrorCode = int16(a.Error)
	for _, t := range a.Topics {
		topic := kmsg.OffsetDeleteResponseTopic{Topic: t.Name}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(p.Error)})
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}
