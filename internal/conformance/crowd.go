package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A crowd is many partitions on a cluster of processes, and what they cost: to
// create, to have, and when a process dies.
type crowd struct {
	partitions, topics int
	quiet              time.Duration // how long nothing happens while costs are counted
	fleet              *fleet
}

// watchCrowd is how often each broker is asked what it leads: an answer about ten
// thousand partitions is half a megabyte.
const watchCrowd = 100 * time.Millisecond

// runCrowd measures it all, and tells.
func (o *options) runCrowd(dir string) error {
	f, err := newFleet(o.klamm, dir, o.layout)
	if err != nil {
		return err
	}
	defer f.end()
	c := &crowd{partitions: o.partitions, topics: o.topics, quiet: o.quiet, fleet: f}
	if err := f.start(); err != nil {
		return f.blame(err)
	}
	for _, step := range []func() error{c.rest, c.create, c.rest, c.produce, c.killBroker, c.killController, c.killBoth, c.roll, c.rest} {
		if err := step(); err != nil {
			return f.blame(err)
		}
	}
	return nil
}

// rest tells what the processes use while nothing happens.
func (c *crowd) rest() error {
	time.Sleep(5 * time.Second) // what happened before may have consequences
	before, err := c.fleet.costs()
	if err != nil {
		return err
	}
	time.Sleep(c.quiet)
	now, err := c.fleet.costs()
	if err == nil {
		fmt.Printf("idle for %v: %s\n", c.quiet, since(before, now, c.quiet))
	}
	return err
}

// create creates the topics by one request and waits until every replica is in sync.
func (c *crowd) create() error {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis = int32(healWithin.Milliseconds())
	for i := range c.topics {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = fmt.Sprint("crowd-", i), int32(c.partitions/c.topics), brokers
		q.Topics = append(q.Topics, t)
	}
	before, err := c.fleet.costs()
	if err != nil {
		return err
	}
	w, err := watchFleet(c.fleet, 5*watchCrowd)
	if err != nil {
		return err
	}
	defer w.stop()
	begun := time.Now()
	if err := c.fleet.any.askFor(healWithin, func(ctx context.Context, cl *kgo.Client) error { return createAll(ctx, cl, q) }); err != nil {
		return err
	}
	answered := time.Since(begun)
	for w.count() < c.partitions {
		if time.Since(begun) > healWithin {
			return fmt.Errorf("%d of %d partitions have a leader after %v", w.count(), c.partitions, healWithin)
		}
		time.Sleep(10 * time.Millisecond)
	}
	led := time.Since(begun)
	if err := c.fleet.heal(); err != nil {
		return err
	}
	took := time.Since(begun)
	now, err := c.fleet.costs()
	if err == nil {
		fmt.Printf("created: answered after %v, led after %v, open and in sync after %v: %s\n",
			rounded(answered), rounded(led), rounded(took), since(before, now, took))
	}
	return err
}

func createAll(ctx context.Context, c *kgo.Client, q *kmsg.CreateTopicsRequest) error {
	answer, err := q.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	for _, t := range answer.Topics {
		if t.ErrorCode != 0 {
			return fmt.Errorf("create %s: error %d: %s", t.Topic, t.ErrorCode, *t.ErrorMessage)
		}
	}
	return nil
}

// onePartition is how many records are produced to one partition among the many.
const onePartition = 1000

// produce produces records to one partition, each when the one before it was
// acknowledged by all replicas: what that costs should not depend on how many others
// there are.
func (c *crowd) produce() error {
	before, err := c.fleet.costs()
	if err != nil {
		return err
	}
	begun := time.Now()
	var took []time.Duration
	err = c.fleet.any.askFor(healWithin, func(ctx context.Context, cl *kgo.Client) error {
		for range onePartition {
			asked := time.Now()
			r := &kgo.Record{Topic: "crowd-0", Partition: 1, Value: []byte("one among many")}
			if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
				return err
			}
			took = append(took, time.Since(asked))
		}
		return nil
	}, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		return err
	}
	all := time.Since(begun)
	now, err := c.fleet.costs()
	if err == nil {
		slices.Sort(took)
		fmt.Printf("produced %d records one after the other: median %v, 99 %% within %v: %s\n", onePartition,
			took[len(took)/2].Round(10*time.Microsecond), took[len(took)*99/100].Round(10*time.Microsecond), since(before, now, all))
	}
	return err
}

// killBroker kills a broker that is not the active controller.
func (c *crowd) killBroker() error {
	active, err := c.fleet.controller()
	if err != nil {
		return err
	}
	victim := c.fleet.nodes[0]
	if victim == active {
		victim = c.fleet.nodes[1]
	}
	return c.kill("a broker", victim)
}

// killController kills the active controller, whatever else it is.
func (c *crowd) killController() error {
	active, err := c.fleet.controller()
	if err != nil {
		return err
	}
	return c.kill("the active controller", active)
}

// killBoth kills the active controller and the broker that leads most at once.
func (c *crowd) killBoth() error {
	if !c.fleet.apart {
		return nil // with both roles that was the step before
	}
	active, err := c.fleet.controller()
	if err != nil {
		return err
	}
	leader, err := c.fleet.leader()
	if err != nil {
		return err
	}
	return c.kill("a broker and the active controller", leader, active)
}

// kill kills nodes, tells how long partitions had no leader, and starts the nodes
// again.
func (c *crowd) kill(what string, victims ...*node) error {
	w, err := watchFleet(c.fleet, watchCrowd)
	if err != nil {
		return err
	}
	defer w.stop()
	for w.count() < c.partitions {
		time.Sleep(10 * time.Millisecond)
	}
	w.begin()
	for _, v := range victims {
		if err := v.end(kill); err != nil {
			return err
		}
	}
	time.Sleep(c.fleet.bound() + 2*time.Second)
	fmt.Printf("killed %s: %v; bound %v\n", what, w.end(c.fleet.id(victims[0])), c.fleet.bound())
	w.stop()
	var errs []error
	for _, v := range victims {
		errs = append(errs, c.restart(v))
	}
	return errors.Join(errs...)
}

// restart starts a node, and tells how long it takes.
func (c *crowd) restart(n *node) error {
	begun := time.Now()
	if err := n.start(); err != nil {
		return err
	}
	ready := time.Since(begun)
	if err := c.fleet.heal(); err != nil {
		return err
	}
	used, err := n.cost()
	if err == nil {
		fmt.Printf("node %d is started again: answers after %v, cluster healthy after %v, %d ms CPU, %d MiB\n",
			c.fleet.id(n), rounded(ready), rounded(time.Since(begun)), used.cpu.Milliseconds(), used.bytes>>20)
	}
	return err
}

// roll stops the broker that leads most as an operator does, and starts it again.
func (c *crowd) roll() error {
	w, err := watchFleet(c.fleet, watchCrowd)
	if err != nil {
		return err
	}
	defer w.stop()
	for w.count() < c.partitions {
		time.Sleep(10 * time.Millisecond)
	}
	n, err := c.fleet.leader()
	if err != nil {
		return err
	}
	w.begin()
	begun := time.Now()
	if err := n.end(stop); err != nil {
		return err
	}
	fmt.Printf("stopped within %v: %v\n", rounded(time.Since(begun)), w.end(c.fleet.id(n)))
	w.stop()
	return c.restart(n)
}
