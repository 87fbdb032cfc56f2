package api

import (
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteRecords (key 21): moves the log start of partitions up to an offset, so
// that nothing below it is served again. 0 to 2.
//
// Offset -1 means the high watermark; above it, and below -1, the answer is
// OFFSET_OUT_OF_RANGE. An offset below the log start changes nothing and succeeds.
// A topic whose cleanup.policy is without delete is POLICY_VIOLATION. All versions
// mean the same: v1 is about quotas, v2 is flexible.
//
// A partition is answered for when its new log start is durable; files go in the
// background. If the request's timeout passes before, the answer is
// REQUEST_TIMED_OUT, and it happens all the same.

func deleteRecords(s *Server, call *Call, q *kmsg.DeleteRecordsRequest) kmsg.Response {
	var items []broker.Deletion
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			items = append(items, broker.Deletion{Topic: t.Topic, Partition: p.Partition, Before: kafka.Offset(p.Offset)})
		}
	}
	s.broker.DeleteRecords(items, call.deadlineIn(q.TimeoutMillis))
	r := kmsg.NewPtrDeleteRecordsResponse()
	for _, t := range q.Topics {
		topic := kmsg.NewDeleteRecordsResponseTopic()
		topic.Topic = t.Topic
		for range t.Partitions {
			p := kmsg.NewDeleteRecordsResponseTopicPartition()
			p.Partition, p.LowWatermark, p.ErrorCode = items[0].Partition, int64(items[0].LogStart), kafka.Code(items[0].Err)
			topic.Partitions = append(topic.Partitions, p)
			items = items[1:]
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}
