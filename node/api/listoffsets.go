package api

import (
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListOffsets (key 2): the earliest offset, the latest, or that of a time. 1 to 11.
//
// v2 adds the isolation level: without transactions both see the high watermark.
// v4 adds leader epochs. Negative timestamps mean something else than a time: -1
// the latest offset, -2 the earliest; from v7 on -3, the record with the largest
// timestamp (KIP-734); from v8 on -4, the earliest offset on this node's disks,
// which is the earliest; from v9 on -5, the latest in the second tier (KIP-1005),
// and from v11 on -6, the earliest not yet there (KIP-1023), both of which are -1
// without one. Others, and in a version before, are UNSUPPORTED_VERSION. v10's
// timeout is about the second tier. A timestamp above all records answers offset
// -1. A partition that stands in the request twice is INVALID_REQUEST both times.

func listOffsets(s *Server, call *Call, q *kmsg.ListOffsetsRequest) kmsg.Response {
	times := map[kafka.TopicPartition]int{}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			times[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}]++
		}
	}
	r := kmsg.NewPtrListOffsetsResponse()
	for _, t := range q.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			a := noOffset(p.Partition, kafka.ErrInvalidRequest)
			if times[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}] == 1 {
				a = s.listOffset(call, t.Topic, p)
			}
			topic.Partitions = append(topic.Partitions, a)
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

func noOffset(partition int32, code kafka.Error) kmsg.ListOffsetsResponseTopicPartition {
	r := kmsg.NewListOffsetsResponseTopicPartition()
	r.Partition, r.ErrorCode = partition, int16(code)
	r.Offset, r.Timestamp, r.LeaderEpoch = int64(kafka.NoOffset), int64(kafka.NoTimestamp), int32(kafka.NoLeaderEpoch)
	return r
}

// listOffsetsSince says from which version on a negative timestamp has a meaning.
func listOffsetsSince(at kafka.Offset) (version int16, known bool) {
	switch at {
	case kafka.LatestOffset, kafka.EarliestOffset:
		return 1, true
	case kafka.MaxTimestampOff:
		return 7, true
	case kafka.EarliestLocalOffset:
		return 8, true
	case kafka.LatestTieredOffset:
		return 9, true
	case kafka.EarliestPendingUploadOffset:
		return 11, true
	}
	return 0, false
}

func (s *Server) listOffset(call *Call, topic string, p kmsg.ListOffsetsRequestTopicPartition) kmsg.ListOffsetsResponseTopicPartition {
	q := broker.Lookup{Topic: topic, Partition: p.Partition, Timestamp: kafka.Timestamp(p.Timestamp), LeaderEpoch: kafka.NoLeaderEpoch}
	if call.Version >= 4 {
		q.LeaderEpoch = kafka.LeaderEpoch(p.CurrentLeaderEpoch)
	}
	if since, known := listOffsetsSince(kafka.Offset(p.Timestamp)); p.Timestamp < 0 && (!known || call.Version < since) {
		return noOffset(p.Partition, kafka.ErrUnsupportedVersion)
	}
	at, err := s.broker.ListOffset(q)
	r := noOffset(p.Partition, kafka.ErrorOf(err))
	r.Offset, r.Timestamp, r.LeaderEpoch = int64(at.Offset), int64(at.Timestamp), int32(at.Epoch)
	return r
}
