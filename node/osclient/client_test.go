package osclient_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	inner "github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osclient"
)

func numbers(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func TestGoroutinesShareAProducer(t *testing.T) {
	x := start(t)
	x.topic("orders", 3, nil)
	p := x.producer(nil)
	var group sync.WaitGroup
	for part := range int32(3) {
		group.Go(func() {
			for _, v := range numbers(100) {
				if _, err := p.SendTo(x.ctx, part, osclient.Record{Topic: "orders", Value: []byte(v)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := p.Close(x.ctx); err != nil {
		t.Error(err)
	}
	want := map[int32][]string{0: numbers(100), 1: numbers(100), 2: numbers(100)}
	if diff := cmp.Diff(want, x.values("orders", 300)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryCallbackIsCalledOnceInOrder(t *testing.T) {
	x := start(t)
	x.topic("orders", 1, nil)
	p := x.producer(func(c *osclient.ProducerConfig) { c.BatchSize = 100 })
	var offsets []osclient.Offset // callbacks come one after the other
	for i := range 200 {
		err := p.Produce(x.ctx, osclient.Record{Topic: "orders", Value: fmt.Append(nil, i)}, func(r osclient.Result) {
			if r.Outcome != osclient.Acked {
				t.Errorf("record %d: %v, %v", i, r.Outcome, r.Err)
			}
			offsets = append(offsets, r.Offset)
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 99 {
			if err := p.Flush(x.ctx); err != nil {
				t.Fatal(err)
			}
			if len(offsets) != 100 {
				t.Errorf("%d callbacks had returned when Flush did, want 100", len(offsets))
			}
		}
	}
	if err := p.Close(x.ctx); err != nil {
		t.Error(err)
	}
	if len(offsets) != 200 || !slices.IsSorted(offsets) || offsets[199] != 199 {
		t.Errorf("offsets %v", offsets)
	}
}

// A callback may take its time and use the client; the client goes on meanwhile.
func TestACallbackMaySend(t *testing.T) {
	x := start(t)
	x.topic("orders", 1, nil)
	p := x.producer(nil)
	followed := make(chan *osclient.Delivery, 1)
	err := p.Produce(x.ctx, osclient.Record{Topic: "orders", Value: []byte("0")}, func(osclient.Result) {
		d, err := p.Send(x.ctx, osclient.Record{Topic: "orders", Value: []byte("1")})
		if err != nil {
			t.Error(err)
		}
		if _, err := d.Wait(x.ctx); err != nil { // while the callback blocks
			t.Error(err)
		}
		followed <- d
	})
	if err != nil {
		t.Fatal(err)
	}
	<-followed
	if err := p.Close(x.ctx); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[int32][]string{0: {"0", "1"}}, x.values("orders", 2)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestContextsEndWaits(t *testing.T) {
	x := start(t)
	x.topic("orders", 1, nil)
	cons, err := x.client.NewConsumer(osclient.DefaultConsumer())
	if err != nil {
		t.Fatal(err)
	}
	if err := cons.AssignTopic(x.ctx, "orders", osclient.Earliest()); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(x.ctx, 20*time.Millisecond)
	defer cancel()
	if records, err := cons.Poll(short, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("poll: %v, %v", records, err)
	}
	if _, err := cons.Poll(short, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("poll of a context that was done: %v", err)
	}
	p := x.producer(func(c *osclient.ProducerConfig) { c.Linger = time.Hour; c.DeliveryTimeout = 2 * time.Hour })
	d, err := p.Send(x.ctx, osclient.Record{Topic: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(x.ctx)
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := d.Wait(canceled); !errors.Is(err, context.Canceled) || !errors.Is(err, env.ErrCanceled) {
		t.Errorf("wait: %v", err)
	}
	if err := p.Flush(x.ctx); err != nil {
		t.Error(err)
	}
	if r, err := d.Wait(x.ctx); err != nil || r.Outcome != osclient.Acked {
		t.Errorf("the record that somebody had stopped waiting for: %+v, %v", r, err)
	}
}

// Nobody is there: what was never sent has failed, and Close says so in time.
func TestCloseGivesEveryRecordAResult(t *testing.T) {
	x := start(t)
	x.topic("orders", 1, nil)
	p := x.producer(func(c *osclient.ProducerConfig) { c.Linger = time.Hour; c.DeliveryTimeout = 2 * time.Hour })
	var results []osclient.Result
	for range 3 {
		err := p.Produce(x.ctx, osclient.Record{Topic: "orders"}, func(r osclient.Result) { results = append(results, r) })
		if err != nil {
			t.Fatal(err)
		}
	}
	over, cancel := context.WithCancel(x.ctx)
	cancel()
	if err := p.Close(over); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	if len(results) != 3 || results[0].Outcome != osclient.Failed {
		t.Errorf("results %+v", results)
	}
	if _, err := p.Send(x.ctx, osclient.Record{Topic: "orders"}); !errors.Is(err, inner.ErrClosed) {
		t.Errorf("send after close: %v", err)
	}
}

func TestClosingTheClientEndsItsUsers(t *testing.T) {
	x := start(t)
	x.topic("orders", 1, nil)
	c, err := osclient.New(osclient.DefaultConfig(x.address))
	if err != nil {
		t.Fatal(err)
	}
	config := osclient.DefaultProducer()
	config.Linger, config.DeliveryTimeout = time.Hour, 2*time.Hour
	p, err := c.NewProducer(config)
	if err != nil {
		t.Fatal(err)
	}
	cons, err := c.NewConsumer(osclient.DefaultConsumer())
	if err != nil {
		t.Fatal(err)
	}
	var called atomic.Int32
	if err := p.Produce(x.ctx, osclient.Record{Topic: "orders"}, func(osclient.Result) { called.Add(1) }); err != nil {
		t.Fatal(err)
	}
	polled := make(chan error)
	go func() {
		_, err := cons.Poll(x.ctx, 0)
		polled <- err
	}()
	_ = c.Close() // says that a record had not been sent
	if err := <-polled; err == nil {
		t.Error("poll of a closed client succeeded")
	}
	if called.Load() != 1 {
		t.Errorf("%d callbacks, want 1", called.Load())
	}
	if _, err := p.Send(x.ctx, osclient.Record{Topic: "orders"}); !errors.Is(err, env.ErrClosed) {
		t.Errorf("send after close: %v", err)
	}
}

// The function runs where it may block, and what it returns is looked at.
func TestAUsersFunctionChoosesThePartition(t *testing.T) {
	x := start(t)
	x.topic("orders", 3, nil)
	p := x.producer(func(c *osclient.ProducerConfig) {
		c.Partition = func(r *osclient.Record, count int32) int32 {
			if _, err := x.client.ListTopics(x.ctx); err != nil { // waits
				t.Error(err)
			}
			return int32(len(r.Value)) - 1
		}
	})
	for _, v := range []string{"a", "bb", "ccc"} {
		if _, err := p.Send(x.ctx, osclient.Record{Topic: "orders", Value: []byte(v)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Send(x.ctx, osclient.Record{Topic: "orders", Value: []byte("dddd")}); !errors.Is(err, inner.ErrNoPartition) {
		t.Errorf("partition 3 of 3: %v", err)
	}
	if err := p.Close(x.ctx); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[int32][]string{0: {"a"}, 1: {"bb"}, 2: {"ccc"}}, x.values("orders", 3)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Batches that the topic does not take are split until it does; a record that is
// too large by itself fails alone.
func TestLargeBatchesAreSplit(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		t.Run(fmt.Sprint("idempotent ", idempotent), func(t *testing.T) {
			x := start(t)
			x.topic("orders", 1, map[string]string{"max.message.bytes": "1000"})
			p := x.producer(func(c *osclient.ProducerConfig) {
				c.Idempotent, c.Linger = idempotent, 20*time.Millisecond
			})
			var deliveries []*osclient.Delivery
			var want []string
			for i := range 200 {
				value := fmt.Sprint(i, strings.Repeat(".", 90))
				if i == 77 {
					value = strings.Repeat("x", 2000)
				} else {
					want = append(want, value)
				}
				d, err := p.Send(x.ctx, osclient.Record{Topic: "orders", Value: []byte(value)})
				if err != nil {
					t.Fatal(err)
				}
				deliveries = append(deliveries, d)
			}
			next := osclient.Offset(0)
			for i, d := range deliveries {
				r, err := d.Wait(x.ctx)
				switch {
				case err != nil:
					t.Fatal(err)
				case i == 77 && (r.Outcome != osclient.Failed || !errors.Is(r.Err, kafka.ErrMessageTooLarge)):
					t.Errorf("the large record: %v, %v", r.Outcome, r.Err)
				case i != 77 && (r.Outcome != osclient.Acked || r.Offset != next):
					t.Errorf("record %d: %v at %d, want %d; %v", i, r.Outcome, r.Offset, next, r.Err)
				}
				if i != 77 {
					next++
				}
			}
			if err := p.Close(x.ctx); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want, x.values("orders", 199)[0]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSendAllTakesRecordsInOrder(t *testing.T) {
	x := start(t)
	x.topic("orders", 1, nil)
	p := x.producer(nil)
	var records []osclient.Record
	for _, v := range numbers(50) {
		records = append(records, osclient.Record{Topic: "orders", Value: []byte(v)})
	}
	records = append(records, osclient.Record{Topic: "orders", Value: make([]byte, 2<<20)}, osclient.Record{Topic: "orders"})
	deliveries, err := p.SendAll(x.ctx, records)
	if !errors.Is(err, inner.ErrTooLarge) || len(deliveries) != 50 {
		t.Fatalf("%d records taken, %v", len(deliveries), err)
	}
	if err := p.Close(x.ctx); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(numbers(50), x.values("orders", 50)[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDoReachesTheClientUnderneath(t *testing.T) {
	x := start(t)
	x.topic("orders", 1, nil)
	var topics []string
	err := x.client.Do(x.ctx, func(c *inner.Client, w *env.World) error {
		described, err := c.DescribeTopics([]string{"orders"}, w.Now().Add(10*time.Second))
		for _, topic := range described {
			topics = append(topics, topic.Name)
		}
		return err
	})
	if err != nil || !slices.Equal(topics, []string{"orders"}) {
		t.Errorf("%v, %v", topics, err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	if _, err := osclient.New(osclient.DefaultConfig()); err == nil {
		t.Error("a client of nobody")
	}
	c, err := osclient.New(osclient.DefaultConfig("127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	config := osclient.DefaultConsumer()
	config.MaxBytes = 0
	if _, err := c.NewConsumer(config); err == nil {
		t.Error("fetch.max.bytes=0 was taken")
	}
	producer := osclient.DefaultProducer()
	producer.Acks = kafka.AcksLeader
	if _, err := c.NewProducer(producer); err == nil {
		t.Error("enable.idempotence with acks=1 was taken")
	}
}
