package client

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// An EpochEnd is where a leader epoch ends in a partition's log.
type EpochEnd struct {
	Epoch kafka.LeaderEpoch // the largest the log has that is not larger than the one asked for
	End   kafka.Offset      // where it ends; kafka.NoOffset if the log has no such epoch
}

// EpochEnd asks a partition's leader once where an epoch ends, in a log that the
// client knows under the leader's present epoch (OffsetForLeaderEpoch, KIP-320).
// Whoever has read further than that has read what the log has lost. Blocks.
func (c *Client) EpochEnd(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, deadline kafka.Instant) (EpochEnd, error) {
	leader, current, ok := c.meta.view.Leader(tp)
	if !ok {
		return EpochEnd{}, c.whyNoLeader(tp)
	}
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	topic := kmsg.NewOffsetForLeaderEpochRequestTopic()
	topic.Topic = tp.Topic
	part := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	part.Partition, part.CurrentLeaderEpoch, part.LeaderEpoch = tp.Partition, int32(current), int32(epoch)
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	// Version 3 is the first that consumers may use.
	resp, err := c.links.get(leader.Address).Do(req, link.Options{MinVersion: 3}, deadline)
	if err != nil {
		return EpochEnd{}, fmt.Errorf("%s: end of leader epoch %d: %w", tp, epoch, err)
	}
	for _, t := range resp.(*kmsg.OffsetForLeaderEpochResponse).Topics {
		for _, p := range t.Partitions {
			if t.Topic != tp.Topic || p.Partition != tp.Partition {
				continue
			}
			if code := kafka.Error(p.ErrorCode); code != kafka.None {
				return EpochEnd{}, fmt.Errorf("%s: end of leader epoch %d: %w", tp, epoch, code)
			}
			return EpochEnd{Epoch: kafka.LeaderEpoch(p.LeaderEpoch), End: kafka.Offset(p.EndOffset)}, nil
		}
	}
	return EpochEnd{}, fmt.Errorf("%s: not in the broker's answer: %w", tp, kafka.ErrUnknownServerError)
}

// validate asks a leader of a later epoch whether its log has what the cursor has
// fetched. Blocks.
func (c *Consumer) validate(cur *cursor) {
	defer c.wake.Broadcast()
	defer func() { cur.busy = false }()
	_, leader, ok := c.client.meta.view.Leader(cur.tp)
	if !ok {
		return
	}
	generation := cur.generation
	end, err := c.client.EpochEnd(cur.tp, cur.epoch, c.w.Now().Add(c.client.c.RequestTimeout))
	switch {
	case c.closed || cur.generation != generation: // second look: somebody seeked meanwhile
	case errors.Is(err, kafka.ErrUnsupportedVersion):
		cur.checked = leader // such a broker cannot tell
	case err != nil:
		c.client.needUpdate()
		c.rest(cur)
		if OutcomeOf(err) == kafka.Definite {
			c.fail(cur, err)
		}
	case end.End == kafka.NoOffset:
		c.w.Probe("a log knows nothing of what a consumer has read")
		unknown := cur.epoch
		cur.truncate(cur.position, kafka.NoLeaderEpoch) // whatever was fetched ahead
		c.lose(cur, fmt.Errorf("%s: the log has nothing of leader epoch %d: %w", cur.tp, unknown, ErrTruncated))
	case end.End < cur.next:
		c.truncated(cur, end)
	default:
		cur.checked = leader
	}
}

// truncated goes on where the log and what was fetched part. Nothing is lost, as
// far as the application can tell, unless Poll has returned something from there
// on: then policy decides whether to go on.
func (c *Consumer) truncated(cur *cursor, end EpochEnd) {
	c.w.Probe("a consumer had fetched what its log has lost")
	position := cur.position
	reason := fmt.Errorf("%s: read up to offset %d of leader epoch %d, which ends at %d now: %w",
		cur.tp, cur.next, cur.epoch, end.End, ErrTruncated)
	if !cur.truncate(end.End, end.Epoch) {
		return
	}
	if c.c.Reset == ResetNone {
		cur.lost = fmt.Errorf("%w: %w", ErrNoOffset, reason)
		c.news.Broadcast()
		return
	}
	c.report(Reset{Partition: cur.tp, From: position, To: cur.position, Reason: reason})
}
