package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetForLeaderEpoch (key 23): where a leader epoch ends in a log, so that a
// reader learns whether what it has read is still there (KIP-320). 2 to 4.
//
// v3 adds the replica id of who asks, which does not matter here. An epoch that
// the log does not know answers epoch -1 and offset -1.

func offsetForLeaderEpoch(s *Server, _ *Call, q *kmsg.OffsetForLeaderEpochRequest) kmsg.Response {
	r := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for _, t := range q.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			a := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			end, err := s.broker.EpochEnd(t.Topic, p.Partition,
				kafka.LeaderEpoch(p.CurrentLeaderEpoch), kafka.LeaderEpoch(p.LeaderEpoch))
			a.Partition, a.ErrorCode = p.Partition, kafka.Code(err)
			a.LeaderEpoch, a.EndOffset = int32(end.Epoch), int64(end.End)
			topic.Partitions = append(topic.Partitions, a)
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}
