package api

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeTopicPartitions (key 75): partitions and their leaders, so many at a
// time. 0.
//
// Topics are answered in the order of their names, those asked for or, without any,
// all. At most maxPartitionsDescribed partitions are told, or as many as the
// request says if that is fewer; then a cursor says where to go on. A cursor in
// the request says where to begin: topics before it are left out. Unknown topics
// are told only if they were asked for. Eligible leader replicas, and the last that
// were known, are told as they are kept (KIP-966).
//
// A cursor at a negative partition ends the connection, as in Kafka.

const maxPartitionsDescribed = 2000 // max.request.partition.size.limit

func beginDescribeTopicPartitions(s *Server, call *Call) (answer, error) {
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	if err := s.decode(q, call); err != nil {
		return nil, err
	}
	if q.Cursor != nil && q.Cursor.Partition < 0 {
		return nil, fmt.Errorf("%w: cursor at partition %d", errFrame, q.Cursor.Partition)
	}
	return served(func() kmsg.Response { return s.describeTopicPartitions(call, q) }), nil
}

func (s *Server) describeTopicPartitions(call *Call, q *kmsg.DescribeTopicPartitionsRequest) kmsg.Response {
	r := kmsg.NewPtrDescribeTopicPartitionsResponse()
	room := int(max(min(q.ResponsePartitionLimit, maxPartitionsDescribed), 1))
	for _, name := range s.namesToDescribe(q) {
		if room == 0 {
			r.NextCursor = cursorAt(name, 0)
			return r
		}
		t, ok := s.image().Topic(name)
		if !ok {
			r.Topics = append(r.Topics, unknownTopic(name))
			continue
		}
		first := 0
		if q.Cursor != nil && q.Cursor.Topic == name {
			first = min(int(q.Cursor.Partition), len(t.Partitions))
		}
		end := min(first+room, len(t.Partitions))
		r.Topics = append(r.Topics, s.describedTopic(call, t, first, end))
		if room -= end - first; end < len(t.Partitions) {
			r.NextCursor = cursorAt(name, int32(end))
			return r
		}
	}
	return r
}

// namesToDescribe returns the topics that are asked for, sorted, from the cursor
// on.
func (s *Server) namesToDescribe(q *kmsg.DescribeTopicPartitionsRequest) []string {
	var names []string
	for _, t := range q.Topics {
		names = append(names, t.Topic)
	}
	if len(names) == 0 {
		for _, t := range s.image().Topics() {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if q.Cursor != nil {
		at, _ := slices.BinarySearch(names, q.Cursor.Topic)
		names = names[at:]
	}
	return names
}

func cursorAt(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = topic, partition
	return &c
}

func unknownTopic(name string) kmsg.DescribeTopicPartitionsResponseTopic {
	r := kmsg.NewDescribeTopicPartitionsResponseTopic()
	r.Topic, r.IsInternal = &name, isInternal(name)
	r.ErrorCode = int16(kafka.ErrUnknownTopicOrPartition)
	if err := meta.CheckName(name); err != nil {
		r.ErrorCode = kafka.Code(err)
	}
	return r
}

// describedTopic answers for the partitions of a topic from first up to end.
func (s *Server) describedTopic(call *Call, t *meta.Topic, first, end int) kmsg.DescribeTopicPartitionsResponseTopic {
	r := kmsg.NewDescribeTopicPartitionsResponseTopic()
	name := t.Name
	r.Topic, r.TopicID, r.IsInternal, r.AuthorizedOperations = &name, t.ID, isInternal(name), allowedOnTopic
	for number := first; number < end; number++ {
		state := t.Partitions[number]
		p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		p.Partition, p.LeaderID, p.LeaderEpoch = int32(number), int32(state.Leader), int32(state.LeaderEpoch)
		p.Replicas, p.ISR = nodeIDs(state.Replicas), nodeIDs(state.ISR)
		p.EligibleLeaderReplicas, p.LastKnownELR = nodeIDs(state.ELR), nodeIDs(state.LastELR)
		p.OfflineReplicas = nodeIDs(s.offline(t, p.Partition))
		p.ErrorCode = int16(s.leaderError(call, state.Leader))
		r.Partitions = append(r.Partitions, p)
	}
	return r
}
