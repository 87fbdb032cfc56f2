package node_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

// A reader is a program that reads a topic as a member of a group.
type reader struct {
	c      *cluster
	sim    *sim.Node
	w      *env.World
	group  client.GroupConfig
	member *client.GroupConsumer
	seen   map[string]int // values processed
	before func(*client.Client)
	ended  error
	idle   bool // does not poll
	stop   bool
	done   bool
}

// reader starts a member in the background: it processes, then commits.
func (c *cluster) reader(name string, seen map[string]int, set func(*client.GroupConfig)) *reader {
	r := &reader{c: c, sim: c.k.NewNode(name), seen: seen, group: client.DefaultGroup("readers", "orders")}
	r.w = world.New(c.network, r.sim)
	r.w.Log = c.user.Log
	r.group.Session, r.group.Heartbeat, r.group.AutoCommit = 6*time.Second, time.Second, 0
	if set != nil {
		set(&r.group)
	}
	r.sim.Go("reader", func() { r.ended = r.run() })
	return r
}

func (r *reader) run() error {
	defer func() { r.done = true }()
	cl, err := client.New(r.w, client.DefaultConfig("n1:9092", "n2:9092", "n3:9092"))
	if err != nil {
		return err
	}
	if r.before != nil {
		r.before(cl)
	}
	config := client.DefaultConsumer()
	config.Reset = client.ResetEarliest
	if r.member, err = cl.NewGroupConsumer(r.group, config); err != nil {
		return err
	}
	for !r.stop {
		if r.idle {
			r.w.Sleep(100 * time.Millisecond)
			continue
		}
		records, err := r.member.Poll(r.w.Now().Add(500*time.Millisecond), 0)
		var p *client.PartitionError
		if err != nil && !errors.As(err, &p) {
			return err
		}
		for _, rec := range records {
			r.seen[string(rec.Value)]++
		}
		if len(records) > 0 && r.group.AutoCommit == 0 {
			_ = r.member.CommitPolled(r.w.Now().Add(5 * time.Second)) // a commit that fails is made again with the next
		}
	}
	err = r.member.Close(r.w.Now().Add(10 * time.Second))
	return errors.Join(err, cl.Close(r.w.Now().Add(time.Second)))
}

// send produces n records to a topic of six partitions, with values from first on.
func (c *cluster) send(topic string, first, n int) {
	c.t.Helper()
	c.admin("producing to "+topic, func(cl *client.Client, deadline kafka.Instant) error {
		p, err := cl.NewProducer(client.DefaultProducer())
		if err != nil {
			return err
		}
		for i := range n {
			d, err := p.SendTo(int32(i%6), client.Record{Topic: topic, Value: []byte(fmt.Sprint("v", first+i))})
			if err != nil {
				return err
			}
			if r, err := d.Wait(deadline); err != nil || r.Err != nil {
				return errors.Join(err, r.Err)
			}
		}
		return p.Close(deadline)
	})
}

func (c *cluster) createWide(topic string) {
	c.t.Helper()
	c.admin("creating "+topic, func(cl *client.Client, deadline kafka.Instant) error {
		results, err := cl.CreateTopics([]client.NewTopic{{Name: topic, Partitions: 6, Replicas: -1}}, deadline)
		return errors.Join(err, results[0].Err)
	})
}

// shared reports whether every partition is some reader's, and none is two's.
func shared(readers ...*reader) bool {
	var all []kafka.TopicPartition
	for _, r := range readers {
		if r.member != nil {
			all = append(all, r.member.Assignment()...)
		}
	}
	slices.SortFunc(all, func(a, b kafka.TopicPartition) int { return int(a.Partition - b.Partition) })
	return len(all) == 6 && len(slices.Compact(all)) == 6
}

func TestAGroupSharesATopic(t *testing.T) {
	for name, set := range map[string]func(*client.GroupConfig){
		"eager":       nil,
		"cooperative": func(g *client.GroupConfig) { g.Assignors = []string{"cooperative-sticky"} },
		"static":      func(g *client.GroupConfig) { g.Instance = "i" },
		"consumer":    func(g *client.GroupConfig) { g.Protocol = client.ConsumerGroup },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 1, "bc", "bc", "bc")
			for _, h := range c.hosts {
				h.with("group.consumer.session.timeout.ms", "6000")
				h.with("group.consumer.heartbeat.interval.ms", "500")
			}
			c.start()
			c.createWide("orders")
			c.send("orders", 0, 30)
			seen := map[string]int{}
			var readers []*reader
			for i := range 3 {
				readers = append(readers, c.reader(fmt.Sprint("r", i), seen, func(g *client.GroupConfig) {
					if set != nil {
						set(g)
					}
					if g.Instance != "" {
						g.Instance = fmt.Sprint("i", i)
					}
				}))
			}
			c.until("the group is balanced and has read everything", func() bool {
				return shared(readers...) && len(readers[2].member.Assignment()) == 2 && len(seen) == 30
			})
			readers[0].sim.Crash()
			c.send("orders", 30, 30)
			c.until("the others have read what is new", func() bool { return shared(readers[1:]...) && len(seen) == 60 })

			coordinator := c.hosts[0]
			coordinator.crash()
			c.send("orders", 60, 30)
			c.until("the group goes on without a node", func() bool { return len(seen) == 90 })
			coordinator.start()
			c.until("the node is back", func() bool { return coordinator.node != nil })
			for _, r := range readers[1:] {
				r.stop = true
			}
			c.until("the readers have stopped", func() bool { return readers[1].done && readers[2].done })
			for _, r := range readers[1:] {
				if r.ended != nil {
					t.Error(r.ended)
				}
			}
		})
	}
}

// A member that was fenced while its program was at something else waits for the next
// Poll to let go of what it had. A heartbeat is due from the start of a membership: to
// wait for that would be to go round without time passing.
func TestAFencedMemberWaitsForItsProgram(t *testing.T) {
	c := newCluster(t, 1, "bc", "bc", "bc")
	for _, h := range c.hosts {
		h.with("group.consumer.session.timeout.ms", "2000")
		h.with("group.consumer.heartbeat.interval.ms", "500")
	}
	c.start()
	c.createWide("orders")
	r := c.reader("r", map[string]int{}, func(g *client.GroupConfig) { g.Protocol = client.ConsumerGroup })
	c.until("the member has everything", func() bool { return shared(r) })
	r.idle = true
	r.sim.Pause(5 * time.Second)
	c.until("the member is fenced", func() bool { return r.member.Stats().Fence == 1 })
	since := c.k.Now()
	c.until("time passes", func() bool { return c.k.Now().Sub(since) >= 2*time.Second })
	r.idle = false
	c.until("the member has everything again", func() bool { return shared(r) })
}

// A static leader that comes back is not asked to assign (KIP-814), and has not seen
// what topics were like when somebody did: partitions may have come meanwhile.
func TestAStaticLeaderFindsWhatCameWhileItWasAway(t *testing.T) {
	c := newCluster(t, 1, "bc", "bc", "bc")
	c.start()
	c.createWide("orders")
	static := func(g *client.GroupConfig) { g.Instance = "i" }
	first := c.reader("r1", map[string]int{}, static)
	c.until("the member has everything", func() bool { return shared(first) })
	first.sim.Crash()
	c.admin("adding a partition", func(cl *client.Client, deadline kafka.Instant) error {
		results, err := cl.CreatePartitions([]client.Growth{{Name: "orders", Partitions: 7}}, client.CarryOut, deadline)
		return errors.Join(err, results[0].Err)
	})
	again := c.reader("r2", map[string]int{}, static)
	again.before = func(cl *client.Client) { // it knows how large the topic is before it joins
		at := client.Place{Partition: kafka.TopicPartition{Topic: "orders", Partition: 6}, From: client.Latest()}
		if _, err := cl.Offsets([]client.Place{at}, again.w.Now().Add(5*time.Second)); err != nil {
			t.Error(err)
		}
	}
	c.until("it has the new partition too", func() bool { return again.member != nil && len(again.member.Assignment()) == 7 })
}
