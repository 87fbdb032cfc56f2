package api

import (
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListOffsets (key 2): the earliest offset, the latest, or that of a time. 1 to 7.
//
// v2 adds the isolation level: without transactions both see the high watermark.
// v4 adds leader epochs. v7 adds -3, the record with the largest timestamp
// (KIP-734); other negative timestamps are UNSUPPORTED_VERSION. A timestamp above
// all records answers offset -1.

func listOffsets(s *Server, call *Call, q *kmsg.ListOffsetsRequest) kmsg.Response {
	r := kmsg.NewPtrListOffsetsResponse()
	for _, t := range q.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, s.listOffset(call, t.Topic, p))
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

func (s *Server) listOffset(call *Call, topic string, p kmsg.ListOffsetsRequestTopicPartition) kmsg.ListOffsetsResponseTopicPartition {
	r := kmsg.NewListOffsetsResponseTopicPartition()
	r.Partition = p.Partition
	q := broker.Lookup{Topic: topic, Partition: p.Partition, Timestamp: kafka.Timestamp(p.Timestamp), LeaderEpoch: kafka.NoLeaderEpoch}
	if call.Version >= 4 {
		q.LeaderEpoch = kafka.LeaderEpoch(p.CurrentLeaderEpoch)
	}
	if call.Version < 7 && kafka.Offset(p.Timestamp) == kafka.MaxTimestampOff {
		r.ErrorCode, r.Offset = int16(kafka.ErrUnsupportedVersion), -1
		return r
	}
	at, err := s.broker.ListOffset(q)
	r.ErrorCode = kafka.Code(err)
	r.Offset, r.Timestamp, r.LeaderEpoch = int64(at.Offset), int64(at.Timestamp), int32(at.Epoch)
	return r
}
