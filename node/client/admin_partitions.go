package client

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/kafka"
)

// A Growth is how many partitions a topic shall have in all.
type Growth struct {
	Name       string
	Partitions int32

	// Assignment says which brokers hold each of the new partitions; nil leaves
	// it to the cluster.
	Assignment [][]kafka.NodeID
}

// CreatePartitions adds partitions to topics. Results are in the order of the
// growths; the error is about the request as a whole. Blocks.
func (c *Client) CreatePartitions(growths []Growth, mode Mode, deadline kafka.Instant) ([]TopicResult, error) {
	resp, err := c.askController(func() kmsg.Request { return c.growthRequest(growths, mode, deadline) },
		func(r kmsg.Response) []int16 {
			var codes []int16
			for _, t := range r.(*kmsg.CreatePartitionsResponse).Topics {
				codes = append(codes, t.ErrorCode)
			}
			return codes
		}, deadline)
	if err != nil {
		return nil, fmt.Errorf("create partitions: %w", err)
	}
	byName := make(map[string]TopicResult)
	for _, t := range resp.(*kmsg.CreatePartitionsResponse).Topics {
		byName[t.Topic] = TopicResult{Name: t.Topic, Partitions: -1, Err: topicError(t.Topic, t.ErrorCode, t.ErrorMessage)}
	}
	c.needUpdate()
	return inOrder(byName, growths, func(g Growth) string { return g.Name }), nil
}

func (c *Client) growthRequest(growths []Growth, mode Mode, deadline kafka.Instant) kmsg.Request {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis, req.ValidateOnly = c.patience(deadline), mode == OnlyValidate
	for _, g := range growths {
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = g.Name, g.Partitions
		for _, chosen := range g.Assignment {
			a := kmsg.NewCreatePartitionsRequestTopicAssignment()
			for _, id := range chosen {
				a.Replicas = append(a.Replicas, int32(id))
			}
			t.Assignment = append(t.Assignment, a)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}
