package scenarios

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
)

// deleteRecords has the broker forget what is below a drawn offset of a drawn
// partition, as operators do. The log start that the answer tells is an answer to
// who asks for the earliest offset. Blocks.
func (a *adminClient) deleteRecords() {
	i := a.draws.IntN(int(a.r.options.Partitions))
	if a.seen[i] == 0 {
		return
	}
	before := history.Offset(a.draws.Int64N(int64(a.seen[i])) + 1)
	id := a.r.history.Partition(topicName, int32(i))
	a.r.history.Mark(history.Mark{Kind: history.PrefixMayGo, Partition: id, Offset: before, Note: "DeleteRecords"})
	h := a.r.history.ListOffsets(history.ListOffsets{Client: a.id, Partition: id, Query: history.Earliest})
	start, err := a.askToDelete(int32(i), before)
	if err != nil {
		h.Failed(err.Error())
		return
	}
	a.deletions++
	h.Answered(start, history.NoTimestamp)
}

// owesDeletion reports whether there was never a deletion that the broker confirmed,
// in a run that is about them: once it is well, there is one.
func (a *adminClient) owesDeletion() bool {
	return a.r.options.DeleteRecords && a.deletions == 0 && slices.Max(a.seen) > 0
}

// recordsDeleted reports whether an operator's deletion was confirmed, or took effect
// without a word.
func (r *run) recordsDeleted() bool {
	if r.admin.deletions > 0 {
		return true
	}
	return slices.ContainsFunc(r.brokers, func(b *brokerHost) bool {
		return b.running != nil && slices.ContainsFunc(b.running.Partitions(), func(v broker.View) bool {
			return v.Partition.Topic == topicName && v.LogStart > 0
		})
	})
}

// askToDelete sends one request on a connection of its own.
func (a *adminClient) askToDelete(partition int32, before history.Offset) (history.Offset, error) {
	conn, err := a.dialLeader(kafka.TopicPartition{Topic: topicName, Partition: partition})
	if err != nil {
		return history.NoOffset, err
	}
	defer conn.net.Close()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version = 2
	req.TimeoutMillis = int32(a.r.requestTimeout / time.Millisecond)
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	part.Partition, part.Offset = partition, int64(before)
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic, topic.Partitions = topicName, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	resp, err := conn.ask(req, a.world.Now().Add(a.r.requestTimeout))
	if err != nil {
		return history.NoOffset, err
	}
	answer := resp.(*kmsg.DeleteRecordsResponse)
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return history.NoOffset, errNoAnswer
	}
	told := answer.Topics[0].Partitions[0]
	if code := kafka.Error(told.ErrorCode); code != kafka.None {
		return history.NoOffset, code
	}
	return history.Offset(told.LowWatermark), nil
}
