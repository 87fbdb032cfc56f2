package client

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// A NewTopic is a topic to be created. Partitions and Replicas -1 mean the
// cluster's defaults.
type NewTopic struct {
	Name       string
	Partitions int32
	Replicas   int16
	Configs    map[string]string
}

// A TopicResult is what became of one topic of a request.
type TopicResult struct {
	Name       string
	ID         kafka.TopicID // zero if the broker does not tell
	Partitions int32         // of a created topic; -1 if the broker does not tell
	Err        error         // OutcomeOf tells whether it may have happened all the same
}

// CreateTopics creates topics. Results are in the order of the topics; the error
// is about the request as a whole. Blocks.
func (c *Client) CreateTopics(topics []NewTopic, deadline kafka.Instant) ([]TopicResult, error) {
	resp, err := c.askController(func() kmsg.Request { return c.createRequest(topics, deadline) },
		func(r kmsg.Response) []int16 {
			var codes []int16
			for _, t := range r.(*kmsg.CreateTopicsResponse).Topics {
				codes = append(codes, t.ErrorCode)
			}
			return codes
		}, deadline)
	if err != nil {
		return nil, fmt.Errorf("create topics: %w", err)
	}
	byName := make(map[string]TopicResult)
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		byName[t.Topic] = TopicResult{Name: t.Topic, ID: t.TopicID, Partitions: t.NumPartitions,
			Err: topicError(t.Topic, t.ErrorCode, t.ErrorMessage)}
	}
	c.needUpdate()
	return inOrder(byName, topics, func(t NewTopic) string { return t.Name }), nil
}

func (c *Client) createRequest(topics []NewTopic, deadline kafka.Instant) kmsg.Request {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = c.patience(deadline)
	for _, t := range topics {
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.Name, t.Partitions, t.Replicas
		for _, name := range slices.Sorted(maps.Keys(t.Configs)) {
			rc := kmsg.NewCreateTopicsRequestTopicConfig()
			rc.Name, rc.Value = name, kmsg.StringPtr(t.Configs[name])
			rt.Configs = append(rt.Configs, rc)
		}
		req.Topics = append(req.Topics, rt)
	}
	return req
}

// DeleteTopics deletes topics by name. Results are in the order of the names; the
// error is about the request as a whole. Blocks.
func (c *Client) DeleteTopics(names []string, deadline kafka.Instant) ([]TopicResult, error) {
	resp, err := c.askController(func() kmsg.Request { return c.deleteRequest(names, deadline) },
		func(r kmsg.Response) []int16 {
			var codes []int16
			for _, t := range r.(*kmsg.DeleteTopicsResponse).Topics {
				codes = append(codes, t.ErrorCode)
			}
			return codes
		}, deadline)
	if err != nil {
		return nil, fmt.Errorf("delete topics: %w", err)
	}
	byName := make(map[string]TopicResult)
	for _, t := range resp.(*kmsg.DeleteTopicsResponse).Topics {
		if t.Topic != nil {
			byName[*t.Topic] = TopicResult{Name: *t.Topic, ID: t.TopicID, Partitions: -1,
				Err: topicError(*t.Topic, t.ErrorCode, t.ErrorMessage)}
		}
	}
	c.needUpdate()
	return inOrder(byName, names, func(name string) string { return name }), nil
}

func (c *Client) deleteRequest(names []string, deadline kafka.Instant) kmsg.Request {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = c.patience(deadline)
	req.TopicNames = names
	for _, name := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return req
}

// ListTopics returns all topics, sorted by name. Blocks.
func (c *Client) ListTopics(deadline kafka.Instant) ([]cluster.Topic, error) {
	a, err := c.Metadata(nil, deadline)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(a.Topics, func(a, b cluster.Topic) int { return strings.Compare(a.Name, b.Name) })
	return a.Topics, nil
}

// DescribeTopics returns what the cluster knows of topics, in the order of the
// names; Topic.Err tells of those that do not exist. Blocks.
func (c *Client) DescribeTopics(names []string, deadline kafka.Instant) ([]cluster.Topic, error) {
	a, err := c.Metadata(append([]string{}, names...), deadline)
	if err != nil {
		return nil, err
	}
	out := make([]cluster.Topic, len(names))
	for i, name := range names {
		out[i] = cluster.Topic{Name: name, Err: kafka.ErrUnknownTopicOrPartition}
		for _, t := range a.Topics {
			if t.Name == name {
				slices.SortFunc(t.Partitions, func(a, b cluster.Partition) int { return int(a.ID) - int(b.ID) })
				out[i] = t
			}
		}
	}
	return out, nil
}

// patience returns how many milliseconds a broker may take.
func (c *Client) patience(deadline kafka.Instant) int32 {
	return int32(min(deadline.Sub(c.w.Now()), c.c.RequestTimeout).Milliseconds())
}

// topicError says which topic an error is about, unless the broker does.
func topicError(name string, code int16, message *string) error {
	err := toldBy(code, message)
	if err == nil || strings.Contains(err.Error(), name) {
		return err
	}
	return fmt.Errorf("topic %s: %w", name, err)
}

// inOrder returns the results in the order of what was asked. What the broker
// did not mention may have happened.
func inOrder[T any](byName map[string]TopicResult, asked []T, name func(T) string) []TopicResult {
	out := make([]TopicResult, len(asked))
	for i, a := range asked {
		r, ok := byName[name(a)]
		if !ok {
			r = TopicResult{Name: name(a), Partitions: -1, Err: topicError(name(a), int16(kafka.ErrUnknownServerError), nil)}
		}
		out[i] = r
	}
	return out
}

// askController sends a request that must not be repeated once it may have been
// carried out. It is repeated while it certainly was not: not sent, or refused
// because another broker is the controller. Blocks.
func (c *Client) askController(build func() kmsg.Request, codes func(kmsg.Response) []int16, deadline kafka.Instant) (kmsg.Response, error) {
	return c.askControllerWith(build, link.Options{}, codes, deadline)
}

// askControllerWith is askController for a request that needs a version. Blocks.
func (c *Client) askControllerWith(build func() kmsg.Request, o link.Options, codes func(kmsg.Response) []int16, deadline kafka.Instant) (kmsg.Response, error) {
	for attempt := 1; ; attempt++ {
		address, err := c.controller(deadline)
		var resp kmsg.Response
		if err == nil {
			resp, err = c.links.get(address).Do(build(), o, deadline)
		}
		if err == nil && slices.Contains(codes(resp), int16(kafka.ErrNotController)) {
			err = kafka.ErrNotController
		}
		if err == nil || hopeless(err) || !errors.Is(err, link.ErrNotSent) && !errors.Is(err, kafka.ErrNotController) {
			return resp, err
		}
		pause := c.backOff(attempt)
		if c.w.Now().Add(pause) >= deadline {
			return nil, err
		}
		if err := c.w.Sleep(pause); err != nil {
			return nil, err
		}
	}
}

// controller asks who the controller is. Blocks.
func (c *Client) controller(deadline kafka.Instant) (string, error) {
	a, err := c.Metadata([]string{}, deadline)
	if err != nil {
		return "", fmt.Errorf("%w: %w", link.ErrNotSent, err)
	}
	for _, b := range a.Brokers {
		if b.ID == a.Controller {
			return b.Address, nil
		}
	}
	if len(a.Brokers) == 0 {
		return "", fmt.Errorf("%w: %w", link.ErrNotSent, kafka.ErrBrokerNotAvailable)
	}
	return a.Brokers[c.w.Rand("client broker").IntN(len(a.Brokers))].Address, nil
}
