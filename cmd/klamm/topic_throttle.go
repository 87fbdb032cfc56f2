package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// mostListed bounds a list of replicas: settings take ten thousand bytes. What is
// longer is given as all replicas of the topic.
const mostListed = 9000

// unthrottlePatience is how long the brokers have to take the settings back.
const unthrottlePatience = time.Minute

// A throttling is the settings that keep a move slow, as Kafka's tool makes them
// (KIP-73): whoever has a replica now may be the leader that it is read from, and
// whoever gets one follows.
type throttling struct {
	rate    int64
	brokers []kafka.NodeID
	topics  []throttledTopic // sorted by name
}

// A throttledTopic is the replicas of a topic that are throttled on either side.
type throttledTopic struct{ name, leading, following string }

// throttlingOf returns what to set for some moves; rate is in bytes a second.
func throttlingOf(moves []move, rate int64) throttling {
	t := throttling{rate: rate}
	leading, following := map[string][]string{}, map[string][]string{}
	var names []string
	for _, m := range moves {
		topic := m.Partition.Topic
		if !slices.Contains(names, topic) {
			names = append(names, topic)
		}
		for _, id := range m.From {
			leading[topic] = append(leading[topic], replicaItem(m.Partition.Partition, id))
		}
		for _, id := range m.To {
			if !slices.Contains(m.From, id) {
				following[topic] = append(following[topic], replicaItem(m.Partition.Partition, id))
			}
		}
		for _, id := range slices.Concat(m.From, m.To) {
			if !slices.Contains(t.brokers, id) {
				t.brokers = append(t.brokers, id)
			}
		}
	}
	slices.Sort(names)
	slices.Sort(t.brokers)
	for _, name := range names {
		t.topics = append(t.topics, throttledTopic{name, replicaList(leading[name]), replicaList(following[name])})
	}
	return t
}

func replicaItem(partition int32, id kafka.NodeID) string { return fmt.Sprintf("%d:%d", partition, id) }

func replicaList(items []string) string {
	list := strings.Join(items, ",")
	if len(list) > mostListed {
		return "*"
	}
	return list
}

// set returns the changes that put the throttle in force: the rates before the
// replicas, so that none is copied faster.
func (t throttling) set() (out []client.Alteration) {
	rate := strconv.FormatInt(t.rate, 10)
	for _, id := range t.brokers {
		out = append(out, client.Alteration{Resource: client.BrokerSettings(id), Changes: []config.Change{
			client.SetConfig(config.LeaderThrottledRate.Name, rate), client.SetConfig(config.FollowerThrottledRate.Name, rate),
		}})
	}
	for _, topic := range t.topics {
		out = append(out, client.Alteration{Resource: client.TopicSettings(topic.name), Changes: []config.Change{
			client.SetConfig(config.LeaderThrottledReplicas.Name, topic.leading), client.SetConfig(config.FollowerThrottledReplicas.Name, topic.following),
		}})
	}
	return out
}

// unset returns the changes that take it away.
func (t throttling) unset() (out []client.Alteration) {
	for _, a := range t.set() {
		for i, change := range a.Changes {
			a.Changes[i] = client.DeleteConfig(change.Name)
		}
		out = append(out, a)
	}
	return out
}

// slow slows moves down, if that is asked for. Blocks.
func (r *reassignFlags) slow(c *call, moves []move) error {
	if r.throttle == 0 {
		return nil
	}
	t, err := c.throttling(moves, r.throttle, c.deadline)
	if err != nil {
		return err
	}
	return c.alterAll(t.set(), c.deadline)
}

// unslow takes back what slow has set, once the moves have ended. Blocks.
func (r *reassignFlags) unslow(c *call, moves []move) error {
	if r.throttle == 0 {
		return nil
	}
	deadline := c.w.Now().Add(unthrottlePatience)
	t, err := c.throttling(moves, r.throttle, deadline)
	if err != nil {
		return err
	}
	return c.alterAll(t.unset(), deadline)
}

// throttling returns what to set for some moves, on brokers that are there: a move
// may be away from one that is not. Blocks.
func (c *call) throttling(moves []move, rate int64, deadline kafka.Instant) (throttling, error) {
	a, err := c.client.DescribeCluster(deadline)
	t := throttlingOf(moves, rate)
	t.brokers = slices.DeleteFunc(t.brokers, func(id kafka.NodeID) bool {
		return !slices.ContainsFunc(a.Brokers, func(b cluster.Broker) bool { return b.ID == id })
	})
	return t, err
}

// unthrottle takes away every throttle of the topics, or of all, and of all brokers.
// Blocks.
func (c *call) unthrottle(names []string) error {
	t, err := c.topology(names...)
	if err != nil {
		return err
	}
	var all throttling
	for _, b := range t.Cluster.Brokers {
		all.brokers = append(all.brokers, b.ID)
	}
	for _, topic := range t.Topics {
		all.topics = append(all.topics, throttledTopic{name: topic.Name})
	}
	return c.alterAll(all.unset(), c.deadline)
}

// alterAll makes changes of settings; it tries all of them, and fails if one fails.
// Blocks.
func (c *call) alterAll(changes []client.Alteration, deadline kafka.Instant) error {
	var failed error
	for _, change := range changes { // one broker that does not answer does not keep the others from it
		results, err := c.client.IncrementalAlterConfigs([]client.Alteration{change}, client.CarryOut, deadline)
		for _, r := range results {
			err = r.Err
		}
		if err != nil {
			failed = cmp.Or(failed, fmt.Errorf("throttle %s %s: %w", change.Resource.Type, change.Resource.Name, err))
		}
	}
	return failed
}
