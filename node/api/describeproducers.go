package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeProducers (key 61): the producers that a partition remembers. 0.
//
// They are told in the order of their ids. A partition that stands in the request
// again is INVALID_REQUEST there. Nobody is in a transaction: the first
// offset of the current one is -1, and so is the coordinator's epoch.

func describeProducers(s *Server, _ *Call, q *kmsg.DescribeProducersRequest) kmsg.Response {
	r := kmsg.NewPtrDescribeProducersResponse()
	seen := map[kafka.TopicPartition]bool{}
	for _, t := range q.Topics {
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: p}
			a := kmsg.NewDescribeProducersResponseTopicPartition()
			a.Partition, a.ErrorCode = p, int16(kafka.ErrInvalidRequest)
			if !seen[tp] {
				a = s.producersOf(tp)
			}
			seen[tp] = true
			topic.Partitions = append(topic.Partitions, a)
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

func (s *Server) producersOf(tp kafka.TopicPartition) kmsg.DescribeProducersResponseTopicPartition {
	r := kmsg.NewDescribeProducersResponseTopicPartition()
	r.Partition = tp.Partition
	producers, err := s.broker.Producers(tp.Topic, tp.Partition)
	if err != nil {
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
		return r
	}
	for _, known := range producers {
		p := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		p.ProducerID, p.ProducerEpoch = int64(known.ID), int32(known.Epoch)
		p.LastSequence, p.LastTimestamp = int32(known.LastSequence), int64(known.LastTimestamp)
		p.CoordinatorEpoch, p.CurrentTxnStartOffset = -1, int64(kafka.NoOffset)
		r.ActiveProducers = append(r.ActiveProducers, p)
	}
	return r
}
