package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
)

// A fixture is a client on real sockets, and three brokers that others wrote,
// with the topic orders of three partitions.
type fixture struct {
	*testing.T
	brokers  *kfake.Cluster
	w        *env.World
	client   *client.Client
	deadline kafka.Instant

	duringOffload func() // runs while something is offloaded, once
}

// hooked lets a test act while a task of the client offloads.
type hooked struct {
	env.Tasks
	x *fixture
}

func (h hooked) Offload(f func()) {
	h.Tasks.Offload(f)
	if act := h.x.duringOffload; act != nil {
		h.x.duringOffload = nil
		act()
	}
}

// run runs f as a task of a host.
func run(t *testing.T, f func(x *fixture), opts ...kfake.Opt) {
	t.Helper()
	brokers, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(3, "orders")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer brokers.Close()
	host, err := osenv.New(osenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	err = host.Do(context.Background(), func() error {
		w := *host.World()
		x := &fixture{T: t, brokers: brokers, w: &w}
		w.Tasks = hooked{w.Tasks, x}
		c := client.DefaultConfig(brokers.ListenAddrs()...)
		c.RetryBackoff, c.RetryMax = time.Millisecond, 20*time.Millisecond
		c.ReconnectBackoff, c.ReconnectMax = time.Millisecond, 20*time.Millisecond
		x.client = ok(x, call(client.New(x.w, c)))
		x.deadline = x.w.Now().Add(20 * time.Second)
		f(x)
		x.check("client", x.client.Check())
		x.check("close", x.client.Close(x.deadline))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A result is what a call returned.
type result[T any] struct {
	v   T
	err error
}

func call[T any](v T, err error) result[T] { return result[T]{v, err} }

// ok returns what a call that must succeed returned.
func ok[T any](x *fixture, r result[T]) T {
	x.Helper()
	if r.err != nil {
		x.Fatal(r.err)
	}
	return r.v
}

func (x *fixture) check(what string, err error) {
	x.Helper()
	if err != nil {
		x.Errorf("%s: %v", what, err)
	}
}

// await waits until a task has returned.
func (x *fixture) await(task env.Task) {
	x.Helper()
	for !task.Done() {
		if x.w.Now() > x.deadline {
			x.Fatal("a task does not return")
		}
		x.check("sleep", x.w.Sleep(time.Millisecond))
	}
}

func (x *fixture) want(what string, err, target error) {
	x.Helper()
	if !errors.Is(err, target) {
		x.Errorf("%s: %v, want %v", what, err, target)
	}
}

// producer returns a producer that is closed at the end of the test.
func (x *fixture) producer(change func(*client.ProducerConfig)) *client.Producer {
	x.Helper()
	c := client.DefaultProducer()
	c.Linger = 0
	if change != nil {
		change(&c)
	}
	return ok(x, call(x.client.NewProducer(c)))
}

// send sends a record to partition 0 of orders and waits for its result.
func (x *fixture) send(p *client.Producer, value string) client.Result {
	x.Helper()
	d := ok(x, call(p.SendTo(0, client.Record{Topic: "orders", Value: []byte(value)})))
	return ok(x, call(d.Wait(x.deadline)))
}

// done checks a producer and closes it.
func (x *fixture) done(p *client.Producer) {
	x.Helper()
	x.check("producer", p.Check())
	x.check("close producer", p.Close(x.deadline))
}

var orders0 = kafka.TopicPartition{Topic: "orders", Partition: 0}

// consumer returns a consumer of partition 0 of orders.
func (x *fixture) consumer(reset client.ResetPolicy, from client.Start) *client.Consumer {
	c := client.DefaultConsumer()
	c.Reset, c.MaxWait = reset, 20*time.Millisecond
	cons := x.client.NewConsumer(c)
	cons.Assign(client.Place{Partition: orders0, From: from})
	return cons
}

// values polls until it has n records and returns their values.
func (x *fixture) values(c *client.Consumer, n int) []string {
	x.Helper()
	var out []string
	for len(out) < n {
		records, err := c.Poll(x.deadline, n-len(out))
		if err != nil || len(records) == 0 {
			x.Fatalf("%d of %d records: %v", len(out), n, err)
		}
		for _, r := range records {
			out = append(out, string(r.Value))
		}
	}
	x.check("consumer", c.Check())
	return out
}

// log returns everything in partition 0 of orders.
func (x *fixture) log() []string {
	x.Helper()
	end := ok(x, call(x.client.Offsets([]client.Place{{Partition: orders0, From: client.Latest()}}, x.deadline)))[0].Offset
	c := x.consumer(client.ResetNone, client.Earliest())
	defer c.Close(x.deadline)
	return x.values(c, int(end))
}

// raw sends a request to one broker on a link of the test's own.
func (x *fixture) raw(address string, req kmsg.Request) {
	x.Helper()
	l := link.New(x.w, link.DefaultConfig(address))
	if _, err := l.Do(req, link.Options{}, x.deadline); err != nil {
		x.Fatal(err)
	}
	x.check("close link", l.Close(x.deadline))
}
