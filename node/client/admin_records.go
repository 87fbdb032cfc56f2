package client

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// A Deletion is where the records of one partition are to be deleted.
type Deletion struct {
	Partition kafka.TopicPartition
	Before    kafka.Offset // -1: all that is committed
}

// A Deleted is what became of a Deletion.
type Deleted struct {
	Partition kafka.TopicPartition
	LogStart  kafka.Offset // afterwards, or kafka.NoOffset
	Err       error        // OutcomeOf tells whether it may have happened all the same
}

// DeleteRecords deletes the records below offsets, each on its leader, and tries
// again until the deadline what may be tried: to delete twice does no harm, but
// for an offset of -1, which may then mean more. A partition stands there once.
// Results are in the order of the
// deletions; the error is the first among them. Blocks.
func (c *Client) DeleteRecords(deletions []Deletion, deadline kafka.Instant) ([]Deleted, error) {
	out := make([]Deleted, len(deletions))
	var open []int
	for i, d := range deletions {
		out[i] = Deleted{Partition: d.Partition, LogStart: kafka.NoOffset, Err: kafka.ErrRequestTimedOut}
		open = append(open, i)
	}
	for round := 1; ; round++ {
		c.deleteRound(deletions, open, out, deadline)
		open = slices.DeleteFunc(open, func(i int) bool { return out[i].Err == nil || OutcomeOf(out[i].Err) == kafka.Definite })
		pause := c.backOff(round)
		if len(open) == 0 || c.w.Now().Add(pause) >= deadline {
			break
		}
		if err := c.w.Sleep(pause); err != nil {
			return out, err
		}
	}
	for _, d := range out {
		if d.Err != nil {
			return out, fmt.Errorf("delete records: %w", d.Err)
		}
	}
	return out, nil
}

// deleteRound asks each leader once about the deletions that are open. Blocks.
func (c *Client) deleteRound(deletions []Deletion, open []int, out []Deleted, deadline kafka.Instant) {
	var leaders []string
	at := make(map[string][]int)
	for _, i := range open {
		address, err := c.leaderOf(deletions[i].Partition, deadline)
		if err != nil {
			out[i].Err = err
			c.needUpdate()
			continue
		}
		if !slices.Contains(leaders, address) {
			leaders = append(leaders, address)
		}
		at[address] = append(at[address], i)
	}
	for _, address := range leaders {
		c.deleteOn(address, deletions, at[address], out, deadline)
	}
}

// leaderOf returns where a partition's leader is. Blocks.
func (c *Client) leaderOf(tp kafka.TopicPartition, deadline kafka.Instant) (string, error) {
	if _, err := c.topic(tp.Topic, deadline); err != nil {
		return "", err
	}
	leader, _, ok := c.meta.view.Leader(tp)
	if !ok {
		return "", c.whyNoLeader(tp)
	}
	return leader.Address, nil
}

// deleteOn asks one leader. Blocks.
func (c *Client) deleteOn(address string, deletions []Deletion, at []int, out []Deleted, deadline kafka.Instant) {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = c.patience(deadline)
	for _, i := range at {
		d := deletions[i]
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != d.Partition.Topic {
			t := kmsg.NewDeleteRecordsRequestTopic()
			t.Topic = d.Partition.Topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Partition, p.Offset = d.Partition.Partition, int64(d.Before)
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	resp, err := c.links.get(address).Do(req, link.Options{}, deadline)
	if err != nil {
		for _, i := range at {
			out[i].Err = err
		}
		c.needUpdate()
		return
	}
	for _, t := range resp.(*kmsg.DeleteRecordsResponse).Topics {
		for _, p := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			for _, i := range at {
				if deletions[i].Partition == tp {
					out[i] = c.deleted(tp, p)
				}
			}
		}
	}
}

func (c *Client) deleted(tp kafka.TopicPartition, p kmsg.DeleteRecordsResponseTopicPartition) Deleted {
	if err := toldBy(p.ErrorCode, nil); err != nil {
		c.needUpdate()
		return Deleted{Partition: tp, LogStart: kafka.NoOffset, Err: fmt.Errorf("%s: %w", tp, err)}
	}
	return Deleted{Partition: tp, LogStart: kafka.Offset(p.LowWatermark)}
}
