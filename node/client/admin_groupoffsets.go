package client

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/assignor"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// GroupOffsets returns what a group has committed, sorted: for the partitions that
// are asked for, kafka.NoOffset where there is nothing, or with nil all there is. A
// group that does not exist has committed nothing. Blocks.
func (c *Client) GroupOffsets(group string, of []kafka.TopicPartition, deadline kafka.Instant) ([]Commit, error) {
	at := &coordinator{c: c, group: group}
	found, err := at.offsets(of, c.links, deadline)
	if err != nil {
		return nil, err
	}
	out := make([]Commit, 0, len(found))
	for _, f := range found { //klamm:unordered sorted below
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Commit) int { return comparePartitions(a.Partition, b.Partition) })
	return out, nil
}

// offsets asks what is committed; of nil is for all there is. Blocks.
func (g *coordinator) offsets(of []kafka.TopicPartition, links *pool, deadline kafka.Instant) (map[kafka.TopicPartition]Commit, error) {
	resp, err := g.ask(groupCall{
		build: func() kmsg.Request { return offsetsRequest(g.group, of) },
		code:  offsetsCode, links: links, o: link.Options{MinVersion: 2, MaxVersion: 9},
	}, deadline)
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", g.group, err)
	}
	found, err := groupOffsets(g.group, resp.(*kmsg.OffsetFetchResponse))
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", g.group, err)
	}
	return found, nil
}

// An OffsetResult is what became of one partition's committed offset.
type OffsetResult struct {
	Partition kafka.TopicPartition
	Err       error // OutcomeOf tells whether it may have happened all the same
}

// AlterGroupOffsets commits offsets for a group that has no members, or else fails
// with kafka.ErrNonEmptyGroup. A group that does not exist begins to. Results are in
// the order of the offsets; the error is the first among them. Blocks.
func (c *Client) AlterGroupOffsets(group string, offsets []Commit, deadline kafka.Instant) ([]OffsetResult, error) {
	var of []kafka.TopicPartition
	for _, o := range offsets {
		of = append(of, o.Partition)
	}
	at := &coordinator{c: c, group: group}
	resp, err := at.ask(groupCall{
		build: func() kmsg.Request {
			return commitRequest(commitAs{group: group, generation: assignor.NoGeneration}, offsets)
		},
		code: commitCode, links: c.links, once: true, o: link.Options{MinVersion: 2, MaxVersion: 9},
	}, deadline)
	codes := map[kafka.TopicPartition]kafka.Error{}
	if err == nil {
		for _, t := range resp.(*kmsg.OffsetCommitResponse).Topics {
			for _, p := range t.Partitions {
				codes[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = kafka.Error(p.ErrorCode)
			}
		}
	}
	return offsetResults("alter offsets of group "+group, of, codes, err)
}

// DeleteGroupOffsets has a group forget offsets, of topics that no member of it
// subscribes to. Results are in the order of the partitions; the error is the first
// among them. Blocks.
func (c *Client) DeleteGroupOffsets(group string, of []kafka.TopicPartition, deadline kafka.Instant) ([]OffsetResult, error) {
	at := &coordinator{c: c, group: group}
	resp, err := at.ask(groupCall{
		build: func() kmsg.Request { return deleteOffsetsRequest(group, of) },
		code:  func(r kmsg.Response) kafka.Error { return kafka.Error(r.(*kmsg.OffsetDeleteResponse).ErrorCode) },
		links: c.links, once: true,
	}, deadline)
	codes := map[kafka.TopicPartition]kafka.Error{}
	if err == nil {
		r := resp.(*kmsg.OffsetDeleteResponse)
		err = kafka.Error(r.ErrorCode).AsError()
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				codes[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = kafka.Error(p.ErrorCode)
			}
		}
	}
	return offsetResults("delete offsets of group "+group, of, codes, err)
}

func deleteOffsetsRequest(group string, of []kafka.TopicPartition) kmsg.Request {
	q := kmsg.NewPtrOffsetDeleteRequest()
	q.Group = group
	at := map[string]int{}
	for _, tp := range of {
		i, ok := at[tp.Topic]
		if !ok {
			i = len(q.Topics)
			at[tp.Topic] = i
			q.Topics = append(q.Topics, kmsg.OffsetDeleteRequestTopic{Topic: tp.Topic})
		}
		q.Topics[i].Partitions = append(q.Topics[i].Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: tp.Partition})
	}
	return q
}

// offsetResults gives each partition its result. What the broker did not mention may
// have happened.
func offsetResults(what string, of []kafka.TopicPartition, codes map[kafka.TopicPartition]kafka.Error, failed error) ([]OffsetResult, error) {
	out := make([]OffsetResult, len(of))
	var first error
	for i, tp := range of {
		out[i].Partition = tp
		code, told := codes[tp]
		switch {
		case failed != nil:
			out[i].Err = fmt.Errorf("%s: %w", what, failed)
		case !told:
			out[i].Err = fmt.Errorf("%s: %s: not answered: %w", what, tp, kafka.ErrUnknownServerError)
		case code == kafka.ErrUnknownMemberID:
			// The group has members, and who asks is none of them.
			out[i].Err = fmt.Errorf("%s: %s: %w", what, tp, kafka.ErrNonEmptyGroup)
		case code != kafka.None:
			out[i].Err = fmt.Errorf("%s: %s: %w", what, tp, code)
		}
		if first == nil {
			first = out[i].Err
		}
	}
	return out, first
}
