package client

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// forgetAfter is how long a topic that nobody asks for stays in the requests
// (metadata.max.idle.ms).
const forgetAfter = 5 * time.Minute

// metadata keeps the view fresh, in one task that starts with the first topic
// somebody wants.
type metadata struct {
	view     cluster.View
	wanted   map[string]kafka.Instant // when each topic was last wanted
	update   bool                     // somebody needs something newer than the last answer
	tried    kafka.Instant            // when the last request ended
	answered kafka.Instant            // when the last successful one did
	failures int
	err      error // of the last request
	running  bool
	wake     env.Cond   // for the task
	news     []env.Cond // broadcast whenever a request ended
}

func (m *metadata) init(w *env.World) {
	m.wanted = make(map[string]kafka.Instant)
	m.wake = w.NewCond("metadata")
}

// listen has a condition broadcast after each metadata request.
func (m *metadata) listen(c env.Cond) { m.news = append(m.news, c) }

func (m *metadata) unlisten(c env.Cond) {
	if i := slices.Index(m.news, c); i >= 0 {
		m.news = slices.Delete(m.news, i, i+1)
	}
}

// want makes a topic part of the requests; it does not block. If nothing is
// known of it an update is under way afterwards.
func (c *Client) want(topic string) {
	_, wanted := c.meta.wanted[topic]
	c.meta.wanted[topic] = c.w.Now()
	if _, known := c.meta.view.Topic(topic); !known || !wanted {
		c.needUpdate()
	}
}

// needUpdate asks for newer metadata. It does not block.
func (c *Client) needUpdate() {
	c.meta.update = true
	if !c.meta.running && !c.closed {
		c.meta.running = true
		c.tasks.Go("metadata", c.keepMetadata)
	}
	c.meta.wake.Broadcast()
}

// keepMetadata asks for metadata when somebody needs it, and when it is old.
func (c *Client) keepMetadata() {
	for !c.closed {
		if at := c.nextUpdate(); c.w.Now() < at {
			if err := c.meta.wake.Wait(at); err != nil && !isDeadline(err) {
				return
			}
			continue
		}
		c.meta.update = false
		if c.updateOnce(c.w.Now().Add(c.c.RequestTimeout)) != nil {
			c.meta.update = true
		}
		for _, news := range c.meta.news {
			news.Broadcast()
		}
	}
}

// learn takes in a leader that a broker named when it refused a request
// (KIP-951), and reports whether that is news. It does not block.
func (c *Client) learn(tp kafka.TopicPartition, leader, epoch int32) bool {
	if leader < 0 || !c.meta.view.Learn(tp, kafka.NodeID(leader), kafka.LeaderEpoch(epoch)) {
		return false
	}
	c.w.Probe("a broker that refused a request named the new leader")
	for _, news := range c.meta.news {
		news.Broadcast()
	}
	return true
}

// nextUpdate returns when the next request is due.
func (c *Client) nextUpdate() kafka.Instant {
	m := &c.meta
	switch {
	case m.update && m.tried == 0:
		return 0
	case m.update && m.failures > 0:
		return m.tried.Add(c.c.RetryBackoff << min(m.failures-1, 3))
	case m.update:
		return m.tried.Add(c.c.RetryBackoff)
	}
	return m.answered.Add(c.c.MetadataMaxAge)
}

// updateOnce asks about the wanted topics and takes in the answer. Blocks.
func (c *Client) updateOnce(deadline kafka.Instant) error {
	now := c.w.Now()
	maps.DeleteFunc(c.meta.wanted, func(_ string, at kafka.Instant) bool {
		return at.Add(forgetAfter) < now
	})
	m := &c.meta
	topics := append([]string{}, slices.Sorted(maps.Keys(m.wanted))...)
	resp, err := c.askOnce(func() kmsg.Request { return c.metadataRequest(topics) }, forMetadata, deadline)
	m.tried, m.err = c.w.Now(), err
	if err != nil {
		m.failures++
		return err
	}
	m.failures, m.answered = 0, m.tried
	m.view.Apply(decodeMetadata(resp.(*kmsg.MetadataResponse)))
	return nil
}

// forMetadata asks for a version that can do without creating topics.
var forMetadata = link.Options{MinVersion: 4}

// Metadata asks a broker about topics: nil means all of them, empty means none.
// What is told of each topic is not judged. Blocks.
func (c *Client) Metadata(topics []string, deadline kafka.Instant) (cluster.Answer, error) {
	resp, err := c.ask(func() kmsg.Request { return c.metadataRequest(topics) }, forMetadata, deadline)
	if err != nil {
		return cluster.Answer{}, fmt.Errorf("metadata: %w", err)
	}
	return decodeMetadata(resp.(*kmsg.MetadataResponse)), nil
}

// Reach asks every bootstrap address once, until one answers: who starts up
// learns at once that nobody is there. Blocks.
func (c *Client) Reach(deadline kafka.Instant) error {
	_, err := c.askOnce(func() kmsg.Request { return c.metadataRequest([]string{}) }, forMetadata, deadline)
	return err
}

func (c *Client) metadataRequest(topics []string) kmsg.Request {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = c.c.AutoCreateTopics && topics != nil
	if topics != nil {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return req
}

func decodeMetadata(resp *kmsg.MetadataResponse) cluster.Answer {
	a := cluster.Answer{Controller: kafka.NodeID(resp.ControllerID)}
	if resp.ClusterID != nil {
		a.ClusterID = *resp.ClusterID
	}
	for _, b := range resp.Brokers {
		broker := cluster.Broker{ID: kafka.NodeID(b.NodeID), Address: address(b.Host, b.Port)}
		if b.Rack != nil {
			broker.Rack = *b.Rack
		}
		a.Brokers = append(a.Brokers, broker)
	}
	for i := range resp.Topics {
		a.Topics = append(a.Topics, decodeTopic(&resp.Topics[i]))
	}
	return a
}

func decodeTopic(t *kmsg.MetadataResponseTopic) cluster.Topic {
	topic := cluster.Topic{ID: t.TopicID, Internal: t.IsInternal, Err: kafka.Error(t.ErrorCode)}
	if t.Topic != nil {
		topic.Name = *t.Topic
	}
	for _, p := range t.Partitions {
		topic.Partitions = append(topic.Partitions, cluster.Partition{
			ID:       p.Partition,
			Leader:   kafka.NodeID(p.Leader),
			Epoch:    kafka.LeaderEpoch(p.LeaderEpoch),
			Replicas: nodeIDs(p.Replicas),
			InSync:   nodeIDs(p.ISR),
			Offline:  nodeIDs(p.OfflineReplicas),
			Err:      kafka.Error(p.ErrorCode),
		})
	}
	return topic
}

func nodeIDs(ids []int32) []kafka.NodeID {
	out := make([]kafka.NodeID, len(ids))
	for i, id := range ids {
		out[i] = kafka.NodeID(id)
	}
	return out
}

// address joins host and port, with the brackets an IPv6 address needs.
func address(host string, port int32) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}

// topic waits until a topic's partitions are known. It fails with what the
// brokers say of the topic, or of the last request, when the deadline passes.
// Blocks.
func (c *Client) topic(name string, deadline kafka.Instant) (cluster.Topic, error) {
	c.want(name)
	news := c.w.NewCond("topic " + name)
	c.meta.listen(news)
	defer c.meta.unlisten(news)
	before := c.meta.view.Version()
	for {
		t, ok := c.meta.view.Topic(name)
		fresh := c.meta.view.Version() > before // an old refusal may be outdated
		switch {
		case ok && len(t.Partitions) > 0:
			return t, nil
		case ok && fresh && t.Err != kafka.None && t.Err.Outcome() == kafka.Definite:
			return t, fmt.Errorf("topic %s: %w", name, t.Err)
		case c.meta.err != nil && hopeless(c.meta.err):
			return t, c.meta.err
		}
		c.needUpdate()
		if err := news.Wait(deadline); err != nil {
			return t, fmt.Errorf("topic %s: %w", name, c.whyNoTopic(t, err))
		}
		if c.closed {
			return t, ErrClosed
		}
	}
}

// whyNoTopic prefers the reason over the deadline that passed meanwhile.
func (c *Client) whyNoTopic(t cluster.Topic, err error) error {
	switch {
	case !isDeadline(err):
		return err
	case t.Err != kafka.None:
		return t.Err
	case c.meta.err != nil:
		return c.meta.err
	}
	return err
}
