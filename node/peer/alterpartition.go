package peer

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterRequest returns the message with a leader's wishes: AlterPartition v3.
// Neighbours of one topic stand under one topic.
func AlterRequest(self meta.Member, items []meta.Alter) *kmsg.AlterPartitionRequest {
	q := kmsg.NewPtrAlterPartitionRequest()
	q.BrokerID, q.BrokerEpoch = int32(self.ID), self.Epoch
	for _, item := range items {
		if n := len(q.Topics); n == 0 || kafka.TopicID(q.Topics[n-1].TopicID) != item.Topic {
			t := kmsg.NewAlterPartitionRequestTopic()
			t.TopicID = item.Topic
			q.Topics = append(q.Topics, t)
		}
		p := kmsg.NewAlterPartitionRequestTopicPartition()
		p.Partition, p.LeaderEpoch, p.PartitionEpoch = item.Partition, int32(item.LeaderEpoch), item.Epoch
		for _, m := range item.ISR {
			one := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
			one.BrokerID, one.BrokerEpoch = int32(m.ID), m.Epoch
			p.NewEpochISR = append(p.NewEpochISR, one)
		}
		t := &q.Topics[len(q.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return q
}

// AltersOf returns the wishes of a message, in its order. Version 2 names members
// without their epochs.
func AltersOf(q *kmsg.AlterPartitionRequest) (self meta.Member, items []meta.Alter) {
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			a := meta.Alter{
				Replica:     meta.Replica{Topic: t.TopicID, Partition: p.Partition},
				LeaderEpoch: kafka.LeaderEpoch(p.LeaderEpoch), Epoch: p.PartitionEpoch,
			}
			for _, id := range p.NewISR {
				a.ISR = append(a.ISR, meta.Member{ID: kafka.NodeID(id), Epoch: meta.NoEpoch})
			}
			for _, m := range p.NewEpochISR {
				a.ISR = append(a.ISR, meta.Member{ID: kafka.NodeID(m.BrokerID), Epoch: m.BrokerEpoch})
			}
			items = append(items, a)
		}
	}
	return meta.Member{ID: kafka.NodeID(q.BrokerID), Epoch: q.BrokerEpoch}, items
}

// AlterResponse returns the answer: an Altered for each item, or the error of all.
func AlterResponse(items []meta.Alter, altered []meta.Altered, err error) *kmsg.AlterPartitionResponse {
	r := kmsg.NewPtrAlterPartitionResponse()
	if r.ErrorCode = kafka.Code(err); err != nil {
		return r
	}
	for i, a := range altered {
		if n := len(r.Topics); n == 0 || kafka.TopicID(r.Topics[n-1].TopidID) != items[i].Topic {
			t := kmsg.NewAlterPartitionResponseTopic()
			t.TopidID = items[i].Topic
			r.Topics = append(r.Topics, t)
		}
		p := kmsg.NewAlterPartitionResponseTopicPartition()
		p.Partition, p.ErrorCode = items[i].Partition, kafka.Code(a.Err)
		p.LeaderID, p.LeaderEpoch, p.PartitionEpoch = int32(a.State.Leader), int32(a.State.LeaderEpoch), a.State.Epoch
		for _, id := range a.State.ISR {
			p.ISR = append(p.ISR, int32(id))
		}
		t := &r.Topics[len(r.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return r
}

// altered returns the answers to items. Of the state it has what goes over the
// wire: leader, epochs and the in-sync set.
func altered(items []meta.Alter, r *kmsg.AlterPartitionResponse) ([]meta.Altered, error) {
	if code := kafka.Error(r.ErrorCode); code != kafka.None {
		return nil, code
	}
	var out []meta.Altered
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			i := len(out)
			if i == len(items) || items[i].Topic != kafka.TopicID(t.TopidID) || items[i].Partition != p.Partition {
				return nil, fmt.Errorf("answer about partition %d of topic id %x nobody asked for: %w", p.Partition, t.TopidID, kafka.ErrUnknownServerError)
			}
			a := meta.Altered{Err: kafka.Error(p.ErrorCode).AsError()}
			a.State.Leader, a.State.LeaderEpoch = kafka.NodeID(p.LeaderID), kafka.LeaderEpoch(p.LeaderEpoch)
			a.State.Epoch = p.PartitionEpoch
			for _, id := range p.ISR {
				a.State.ISR = append(a.State.ISR, kafka.NodeID(id))
			}
			out = append(out, a)
		}
	}
	if len(out) != len(items) {
		return nil, fmt.Errorf("%d answers to %d wishes: %w", len(out), len(items), kafka.ErrUnknownServerError)
	}
	return out, nil
}
