package node_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

// A cluster is some nodes in a simulated world.
type cluster struct {
	t     *testing.T
	k     *sim.Kernel
	hosts []*host
	user  *env.World
	at    *sim.Node

	network *netsim.Network
}

// A host is a machine with a node.
type host struct {
	c     *cluster
	id    int
	sim   *sim.Node
	w     *env.World
	set   []config.Pair
	node  *node.Node
	ended error
}

// roles of a cluster's nodes, by number from 1: "bc" is both, "b" or "c" one.
func newCluster(t *testing.T, seed uint64, roles ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, k: sim.New(sim.Options{Seed: seed})}
	t.Cleanup(c.k.Close)
	network := netsim.New(c.k, netsim.DefaultOptions())
	var voters []string
	for i, r := range roles {
		if strings.Contains(r, "c") {
			voters = append(voters, fmt.Sprintf("%d@n%d:9093", i+1, i+1))
		}
	}
	for i, r := range roles {
		h := &host{c: c, id: i + 1, set: []config.Pair{
			{Name: "node.id", Value: fmt.Sprint(i + 1)},
			{Name: "controller.quorum.voters", Value: strings.Join(voters, ",")},
			{Name: "broker.session.timeout.ms", Value: "3000"},
			{Name: "broker.heartbeat.interval.ms", Value: "500"},
			{Name: "default.replication.factor", Value: "3"},
			{Name: "min.insync.replicas", Value: "2"},
		}}
		broker, ctrl := fmt.Sprintf("PLAINTEXT://n%d:9092", i+1), fmt.Sprintf("CONTROLLER://n%d:9093", i+1)
		switch r {
		case "bc":
			h.with("listeners", broker+","+ctrl)
		case "b":
			h.with("process.roles", "broker")
			h.with("listeners", broker)
		case "c":
			h.with("process.roles", "controller")
			h.with("listeners", ctrl)
		}
		h.sim = c.k.NewNode(fmt.Sprintf("n%d", i+1))
		h.w = world.New(network, h.sim, disksim.New(c.k, fmt.Sprintf("n%d/0", i+1), disksim.Options{}))
		if testing.Verbose() {
			h.w.Log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("at", i+1)
		}
		c.hosts = append(c.hosts, h)
	}
	c.at, c.network = c.k.NewNode("user"), network
	c.user = world.New(network, c.at)
	return c
}

func (h *host) with(name, value string) { h.set = append(h.set, config.Pair{Name: name, Value: value}) }

// start starts the host's node in the background.
func (h *host) start() {
	if !h.sim.Alive() {
		h.sim.Restart()
	}
	settings, err := config.NewBroker(h.set)
	if err != nil {
		h.c.t.Fatal(err)
	}
	h.sim.Go("node", func() {
		n, err := node.Start(h.w, node.Config{Settings: settings})
		h.node, h.ended = n, err
	})
}

func (h *host) crash() {
	h.node = nil
	h.sim.Crash()
}

// stop stops the host's node cleanly.
func (h *host) stop() {
	h.c.t.Helper()
	done := false
	h.sim.Go("stop", func() {
		h.ended = h.node.Stop(h.w.Now().Add(20 * time.Second))
		h.node, done = nil, true
	})
	h.c.until("a node has stopped", func() bool { return done })
}

// until lets time pass until something is so, a minute at most.
func (c *cluster) until(what string, so func() bool) {
	c.t.Helper()
	if end := c.k.Run(c.k.Now().Add(time.Minute), so); end != sim.Finished {
		c.t.Fatalf("%s: not within a minute: the run ended %s at %s; %v", what, end, c.k.Now(), c.k.Panics())
	}
	for _, h := range c.hosts {
		if h.ended != nil {
			c.t.Fatalf("%s: node %d: %v", what, h.id, h.ended)
		}
		if h.node != nil {
			if err := h.node.Check(); err != nil {
				c.t.Fatalf("%s: node %d: %v", what, h.id, err)
			}
		}
	}
}

func (c *cluster) start() {
	c.t.Helper()
	for _, h := range c.hosts {
		h.start()
	}
	c.until("all nodes serve", func() bool {
		for _, h := range c.hosts {
			if h.node == nil {
				return h.ended != nil
			}
		}
		return true
	})
}

// as runs f as a task of somebody outside.
func (c *cluster) as(what string, f func(w *env.World) error) {
	c.t.Helper()
	done, err := false, error(nil)
	c.at.Go("user", func() {
		err = f(c.user)
		done = true
	})
	c.until(what, func() bool { return done })
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

// admin runs f with a client of the nodes that are alive.
func (c *cluster) admin(what string, f func(*client.Client, kafka.Instant) error) {
	c.t.Helper()
	c.as(what, func(w *env.World) error {
		settings := client.DefaultConfig(c.bootstrap()...)
		cl, err := client.New(w, settings)
		if err != nil {
			return err
		}
		err = f(cl, w.Now().Add(30*time.Second))
		cl.Close(w.Now().Add(time.Second))
		return err
	})
}

func (c *cluster) bootstrap() (out []string) {
	for _, h := range c.hosts {
		if h.node != nil && h.node.IsBroker() {
			out = append(out, fmt.Sprintf("n%d:9092", h.id))
		}
	}
	return out
}

// active returns the host of the active controller, nil if there is none.
func (c *cluster) active() *host {
	for _, h := range c.hosts {
		if h.node != nil && h.node.Active() {
			return h
		}
	}
	return nil
}

// create creates a topic with the defaults of the cluster.
func (c *cluster) create(topic string) {
	c.t.Helper()
	c.admin("creating "+topic, func(cl *client.Client, deadline kafka.Instant) error {
		results, err := cl.CreateTopics([]client.NewTopic{{Name: topic, Partitions: 3, Replicas: -1}}, deadline)
		if err != nil {
			return err
		}
		return results[0].Err
	})
}

// produce writes a record to each partition of a topic.
func (c *cluster) produce(topic, value string) {
	c.t.Helper()
	c.admin("producing to "+topic, func(cl *client.Client, deadline kafka.Instant) error {
		p, err := cl.NewProducer(client.DefaultProducer())
		if err != nil {
			return err
		}
		for partition := range int32(3) {
			d, err := p.SendTo(partition, client.Record{Topic: topic, Value: []byte(value)})
			if err != nil {
				return err
			}
			r, err := d.Wait(deadline)
			if err != nil || r.Err != nil {
				return errors.Join(err, r.Err)
			}
		}
		return p.Close(deadline)
	})
}

// inSync waits until every partition has all its replicas in sync, and until all
// nodes have made the same of the metadata.
func (c *cluster) inSync() {
	c.t.Helper()
	c.until("all replicas are in sync", func() bool {
		for _, h := range c.hosts {
			if h.node == nil {
				continue
			}
			for _, topic := range h.node.Image().Topics() {
				for _, p := range topic.Partitions {
					if len(p.ISR) != len(p.Replicas) {
						return false
					}
				}
			}
		}
		return c.agree()
	})
}

func (c *cluster) agree() bool {
	var applied kafka.Offset
	var digest uint64
	for i, h := range c.hosts {
		if h.node == nil {
			return false
		}
		at, d := h.node.Metadata()
		if i > 0 && at == applied && d != digest {
			c.t.Fatalf("node %d made %x of the metadata up to %d, another %x", h.id, d, at, digest)
		}
		if i > 0 && at != applied {
			return false
		}
		applied, digest = at, d
	}
	return true
}

func TestThreeNodesAreACluster(t *testing.T) {
	for name, roles := range map[string][]string{
		"that do both": {"bc", "bc", "bc"},
		"apart":        {"c", "c", "c", "b", "b", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 1, roles...)
			c.start()
			c.create("one")
			c.produce("one", "x")
			c.inSync()

			lost := c.active()
			lost.crash()
			c.create("two")
			c.produce("two", "y")
			c.produce("one", "z")
			if c.active() == lost {
				t.Fatal("nobody took the controller's place")
			}
			lost.start()
			c.until("the node is back", func() bool { return lost.node != nil })
			c.inSync()
			for _, h := range slices.Backward(c.hosts) { // brokers before the controllers that they hand over to
				h.stop()
			}
		})
	}
}

// Records that wait for followers do not take the room of what followers ask: without
// room for more than one request they would wait until the followers are out of sync.
func TestWhatWaitsForFollowersLeavesRoomForThem(t *testing.T) {
	c := newCluster(t, 2, "bc", "bc", "bc")
	for _, h := range c.hosts {
		h.with("queued.max.request.bytes", "100000")
		h.with("socket.request.max.bytes", "100000")
	}
	c.start()
	c.create("orders")
	c.inSync()
	c.admin("many produce at once", func(cl *client.Client, _ kafka.Instant) error {
		var sent []*client.Delivery
		for range 6 {
			p, err := cl.NewProducer(client.DefaultProducer())
			if err != nil {
				return err
			}
			d, err := p.SendTo(0, client.Record{Topic: "orders", Value: make([]byte, 60_000)})
			if err != nil {
				return err
			}
			sent = append(sent, d)
		}
		deadline := c.user.Now().Add(5 * time.Second)
		for _, d := range sent {
			if r, err := d.Wait(deadline); err != nil || r.Err != nil {
				return errors.Join(err, r.Err)
			}
		}
		return nil
	})
}
