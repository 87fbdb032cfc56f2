package api

import (
	"time"

	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetCommit (key 8): a group's offsets are written down. 2 to 10.
//
// It is answered when they are committed. v5 leaves the retention time to the broker,
// v6 adds leader epochs, v7 static members, v9 member epochs (KIP-848), v10 names
// topics by their ids. A topic that is not there is UNKNOWN_TOPIC_OR_PARTITION, from
// v10 on UNKNOWN_TOPIC_ID.

func offsetCommit(s *Server, call *Call, q *kmsg.OffsetCommitRequest) kmsg.Response {
	in := group.CommitRequest{
		Group: q.Group, Generation: group.Generation(q.Generation), Member: q.MemberID, Instance: text(q.InstanceID),
		Retention: -1, Version: call.Version,
	}
	if call.Version <= 4 && q.RetentionTimeMillis >= 0 {
		in.Retention = time.Duration(min(q.RetentionTimeMillis, int64(maxRetention/time.Millisecond))) * time.Millisecond
	}
	for _, t := range q.Topics {
		topic := group.CommitTopic{Name: t.Topic, ID: t.TopicID}
		for _, p := range t.Partitions {
			c := group.CommitPartition{Partition: p.Partition, Offset: kafka.Offset(p.Offset), LeaderEpoch: kafka.NoLeaderEpoch, Metadata: text(p.Metadata)}
			if call.Version >= 6 {
				c.LeaderEpoch = kafka.LeaderEpoch(p.LeaderEpoch)
			}
			topic.Partitions = append(topic.Partitions, c)
		}
		in.Topics = append(in.Topics, topic)
	}
	a := askGroup[group.CommitResponse](s, q.Group, in, (*group.Shard).CommitOffsets)
	r := kmsg.NewPtrOffsetCommitResponse()
	for _, t := range a.Topics {
		topic := kmsg.OffsetCommitResponseTopic{Topic: t.Name, TopicID: t.ID}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(p.Error)})
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

// maxRetention bounds what a client may ask for: a century.
const maxRetention = 100 * 365 * 24 * time.Hour
