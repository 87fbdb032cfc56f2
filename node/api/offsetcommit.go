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
// topics by their ids. An id that this broker does not know is UNKNOWN_TOPIC_ID; names
// are taken as they are.

func offsetCommit(s *Server, call *Call, q *kmsg.OffsetCommitRequest) kmsg.Response {
	in := group.CommitRequest{
		Group: q.Group, Generation: group.Generation(q.Generation), Member: q.MemberID, Instance: text(q.InstanceID),
		Retention: -1, Version: call.Version,
	}
	if call.Version <= 4 && q.RetentionTimeMillis >= 0 {
		in.Retention = time.Duration(min(q.RetentionTimeMillis, int64(maxRetention/time.Millisecond))) * time.Millisecond
	}
	r := kmsg.NewPtrOffsetCommitResponse()
	for _, t := range q.Topics {
		name, ok := s.topicOfOffsets(call, t.Topic, t.TopicID)
		if !ok {
			r.Topics = append(r.Topics, refusedOffsets(t))
			continue
		}
		topic := group.CommitTopic{Name: name, ID: t.TopicID}
		for _, p := range t.Partitions {
			c := group.CommitPartition{Partition: p.Partition, Offset: kafka.Offset(p.Offset), LeaderEpoch: kafka.NoLeaderEpoch, Metadata: text(p.Metadata)}
			if call.Version >= 6 {
				c.LeaderEpoch = kafka.LeaderEpoch(p.LeaderEpoch)
			}
			topic.Partitions = append(topic.Partitions, c)
		}
		in.Topics = append(in.Topics, topic)
	}
	if len(r.Topics) > 0 && len(in.Topics) == 0 {
		return r
	}
	a := askGroup[group.CommitResponse](s, q.Group, in, (*group.Shard).CommitOffsets)
	for _, t := range a.Topics {
		topic := kmsg.OffsetCommitResponseTopic{Topic: t.Name, TopicID: t.ID}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(p.Error)})
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

// idsOfOffsets is the version from which OffsetCommit and OffsetFetch name topics by
// their ids. Coordinators know offsets by the names.
const idsOfOffsets = 10

// topicOfOffsets returns the name of a topic that a call is about, and whether it is
// known.
func (s *Server) topicOfOffsets(call *Call, name string, id kafka.TopicID) (string, bool) {
	if call.Version < idsOfOffsets {
		return name, true
	}
	t, ok := s.image().TopicByID(id)
	if !ok {
		return "", false
	}
	return t.Name, true
}

// refusedOffsets answers for a topic whose id is not known.
func refusedOffsets(t kmsg.OffsetCommitRequestTopic) kmsg.OffsetCommitResponseTopic {
	out := kmsg.OffsetCommitResponseTopic{TopicID: t.TopicID}
	for _, p := range t.Partitions {
		out.Partitions = append(out.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(kafka.ErrUnknownTopicID)})
	}
	return out
}

// maxRetention bounds what a client may ask for: a century.
const maxRetention = 100 * 365 * 24 * time.Hour
