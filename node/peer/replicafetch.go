package peer

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchVersion is the version of Fetch that followers speak: topic ids, replica
// epochs, sessions.
const fetchVersion = 17

// FetchRequest returns the message of a follower's fetch. The leader answers
// within wait. What the follower holds goes in the private field of each
// partition.
func FetchRequest(q *broker.ReplicaFetch, wait time.Duration) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.ReplicaState.ID, r.ReplicaState.Epoch = int32(q.Self.ID), q.Self.Epoch
	r.SessionID, r.SessionEpoch = q.SessionID, q.SessionEpoch
	r.MinBytes, r.MaxBytes = q.MinBytes, q.MaxBytes
	r.MaxWaitMillis = millis(wait)
	for _, item := range q.Items {
		if n := len(r.Topics); n == 0 || kafka.TopicID(r.Topics[n-1].TopicID) != item.Topic {
			t := kmsg.NewFetchRequestTopic()
			t.TopicID = item.Topic
			r.Topics = append(r.Topics, t)
		}
		t := &r.Topics[len(r.Topics)-1]
		t.Partitions = append(t.Partitions, fetchPartition(item))
	}
	for _, f := range q.Forgotten {
		if n := len(r.ForgottenTopics); n == 0 || kafka.TopicID(r.ForgottenTopics[n-1].TopicID) != f.Topic {
			t := kmsg.NewFetchRequestForgottenTopic()
			t.TopicID = f.Topic
			r.ForgottenTopics = append(r.ForgottenTopics, t)
		}
		t := &r.ForgottenTopics[len(r.ForgottenTopics)-1]
		t.Partitions = append(t.Partitions, f.Partition)
	}
	return r
}

func fetchPartition(item broker.ReplicaItem) kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.LastFetchedEpoch = item.Partition, int32(item.LeaderEpoch), int32(item.LastEpoch)
	p.FetchOffset, p.LogStartOffset = int64(item.From), int64(item.LogStart)
	p.PartitionMaxBytes = item.MaxBytes
	p.UnknownTags.Set(PrivateTag, binary.BigEndian.AppendUint64(nil, uint64(item.Held)))
	return p
}

// HeldOf returns how far a follower says it holds the log, in the private field
// of a partition in its fetch.
func HeldOf(tags *kmsg.Tags) (held kafka.Offset, ok bool) {
	v, ok := privateTag(tags)
	if !ok || len(v) != 8 {
		return 0, false
	}
	held = kafka.Offset(binary.BigEndian.Uint64(v))
	return held, held >= 0
}

// fetched returns what a leader answered.
func fetched(r *kmsg.FetchResponse) *broker.ReplicaFetched {
	f := &broker.ReplicaFetched{Err: kafka.Error(r.ErrorCode).AsError(), SessionID: r.SessionID}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			f.Items = append(f.Items, fetchedItem(t.TopicID, p))
		}
	}
	return f
}

func fetchedItem(topic kafka.TopicID, p kmsg.FetchResponseTopicPartition) broker.ReplicaFetchedItem {
	item := broker.ReplicaFetchedItem{
		Replica:       meta.Replica{Topic: topic, Partition: p.Partition},
		Err:           kafka.Error(p.ErrorCode).AsError(),
		HighWatermark: kafka.Offset(p.HighWatermark),
		LogStart:      kafka.Offset(p.LogStartOffset),
		Leader:        kafka.NodeID(p.CurrentLeader.LeaderID),
		CurrentEpoch:  kafka.LeaderEpoch(p.CurrentLeader.LeaderEpoch),
		Records:       p.RecordBatches,
	}
	if p.DivergingEpoch.EndOffset >= 0 {
		item.Diverging = &broker.Diverging{
			Epoch: kafka.LeaderEpoch(p.DivergingEpoch.Epoch), End: kafka.Offset(p.DivergingEpoch.EndOffset),
		}
	}
	item.Bequest, _ = privateTag(&p.UnknownTags)
	return item
}

// millis returns a duration in whole milliseconds, none below zero.
func millis(d time.Duration) int32 {
	return int32(min(max(d/time.Millisecond, 0), math.MaxInt32))
}
