package client_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

const produceKey = 0

func numbers(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// The broker says REQUEST_TIMED_OUT and appends all the same: the retry must be
// recognized.
func TestAnIdempotentRetryAppendsOnce(t *testing.T) {
	run(t, func(x *fixture) {
		x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: 3})
		p := x.producer(func(c *client.ProducerConfig) { c.BatchSize = 1 })
		var open []*client.Delivery
		for _, v := range numbers(20) {
			open = append(open, ok(x, call(p.SendTo(0, client.Record{Topic: "orders", Value: []byte(v)}))))
		}
		for i, d := range open {
			if r := ok(x, call(d.Wait(x.deadline))); r.Outcome != client.Acked || int(r.Offset) != i {
				t.Errorf("record %d: %v at %d, %v", i, r.Outcome, r.Offset, r.Err)
			}
		}
		if diff := cmp.Diff(numbers(20), x.log()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		x.done(p)
	})
}

func TestAConnectionThatBreaksIsMadeAgain(t *testing.T) {
	run(t, func(x *fixture) {
		for range 3 {
			x.brokers.ControlKey(produceKey, func(kmsg.Request) (kmsg.Response, error, bool) {
				return nil, errors.New("cut"), true
			})
		}
		p := x.producer(func(c *client.ProducerConfig) { c.BatchSize = 1 })
		for _, v := range numbers(10) {
			ok(x, call(p.SendTo(0, client.Record{Topic: "orders", Value: []byte(v)})))
		}
		x.check("flush", p.Flush(x.deadline))
		if diff := cmp.Diff(numbers(10), x.log()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		x.done(p)
	})
}

func TestProducersFollowTheLeader(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(nil)
		for i := range 12 {
			x.check("move", x.brokers.MoveTopicPartition("orders", 0, int32(i%3)))
			if r := x.send(p, fmt.Sprint(i)); r.Outcome != client.Acked || r.Offset != kafka.Offset(i) {
				t.Fatalf("record %d: %v at %d, %v", i, r.Outcome, r.Offset, r.Err)
			}
		}
		x.done(p)
	})
}

// withoutMetadata runs f, in which no metadata is to be had, after each of a few
// moves of partition 0 of orders to another broker.
func (x *fixture) withoutMetadata(f func(i int)) {
	x.brokers.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		x.brokers.KeepControl()
		return nil, errors.New("cut"), true
	})
	for i := 1; i < 7; i++ {
		x.check("move", x.brokers.MoveTopicPartition("orders", 0, (x.brokers.LeaderFor("orders", 0)+1)%3))
		f(i)
	}
}

// KIP-951: a broker that refuses names the leader; no metadata is needed.
func TestALeaderNamedInARefusalIsBelieved(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(nil)
		x.send(p, "0")
		x.withoutMetadata(func(i int) {
			if r := x.send(p, fmt.Sprint(i)); r.Outcome != client.Acked {
				t.Fatalf("record %d: %v, %v", i, r.Outcome, r.Err)
			}
		})
		x.done(p)
	})
	run(t, func(x *fixture) {
		x.fill(7)
		c := x.consumer(client.ResetNone, client.Earliest())
		x.values(c, 7)
		x.withoutMetadata(func(i int) {
			x.check("seek", c.Seek(orders0, client.At(kafka.Offset(i))))
			if got := x.values(c, 1); got[0] != fmt.Sprint(i) {
				t.Fatalf("record %d: %v", i, got)
			}
		})
		x.check("close", c.Close(x.deadline))
	})
}

// Nobody answers until the delivery times out: the record may be in the log. What
// follows goes under another identity.
func TestWhatIsNotAnsweredInTimeIsUnknown(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(func(c *client.ProducerConfig) { c.DeliveryTimeout = 300 * time.Millisecond })
		x.send(p, "first")
		fault := x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: -1})
		r := x.send(p, "second")
		if r.Outcome != client.Unknown || !errors.Is(r.Err, outbox.ErrExpired) || !errors.Is(r.Err, kafka.ErrRequestTimedOut) {
			t.Errorf("%v, %v", r.Outcome, r.Err)
		}
		fault.Remove()
		if r := x.send(p, "third"); r.Outcome != client.Acked || r.Offset != 2 {
			t.Errorf("third: %v at %d, %v", r.Outcome, r.Offset, r.Err)
		}
		if diff := cmp.Diff([]string{"first", "second", "third"}, x.log()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		x.done(p)
	})
}

func TestWhatIsRefusedHasFailed(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(nil)
		x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: 1})
		if r := x.send(p, "refused"); r.Outcome != client.Failed || !errors.Is(r.Err, kafka.ErrMessageTooLarge) {
			t.Errorf("%v, %v", r.Outcome, r.Err)
		}
		if r := x.send(p, "next"); r.Outcome != client.Acked || r.Offset != 0 {
			t.Errorf("next: %v at %d, %v", r.Outcome, r.Offset, r.Err)
		}
		x.done(p)
	})
}

// Kafka answers NOT_LEADER_OR_FOLLOWER also to what it has appended, if the
// leader moved before acks=all was reached (KAFKA-13574).
func TestALostLeadershipIsNoFailure(t *testing.T) {
	for acks, want := range map[kafka.Acks]client.Outcome{kafka.AcksAll: client.Unknown, kafka.AcksLeader: client.Failed} {
		run(t, func(x *fixture) {
			p := x.producer(func(c *client.ProducerConfig) {
				c.Idempotent, c.Acks, c.Retries = false, acks, 0
			})
			x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 1})
			if r := x.send(p, "x"); r.Outcome != want {
				t.Errorf("acks=%d: %v, want %v: %v", acks, r.Outcome, want, r.Err)
			}
			x.done(p)
		})
	}
}

func TestWithoutAcksNobodyKnows(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(func(c *client.ProducerConfig) { c.Idempotent, c.Acks = false, kafka.AcksNone })
		for _, v := range numbers(5) {
			if r := x.send(p, v); r.Outcome != client.Sent || r.Offset != kafka.NoOffset {
				t.Errorf("%v at %d, %v", r.Outcome, r.Offset, r.Err)
			}
		}
		x.done(p)
		c := x.consumer(client.ResetNone, client.Earliest())
		if diff := cmp.Diff(numbers(5), x.values(c, 5)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		x.check("close", c.Close(x.deadline))
	})
}

func TestSendRefusesWhatCannotBe(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(func(c *client.ProducerConfig) {
			c.MaxBlock, c.MaxRequestSize = 100*time.Millisecond, 1000
		})
		_, err := p.Send(client.Record{Topic: "nothing"})
		x.want("no such topic", err, kafka.ErrUnknownTopicOrPartition)
		_, err = p.SendTo(3, client.Record{Topic: "orders"})
		x.want("no such partition", err, client.ErrNoPartition)
		_, err = p.Send(client.Record{Topic: "orders", Value: make([]byte, 1000)})
		x.want("too large", err, client.ErrTooLarge)
		if client.OutcomeOf(err) != kafka.Definite {
			t.Errorf("too large: %v", client.OutcomeOf(err))
		}
		x.done(p)
		_, err = p.Send(client.Record{Topic: "orders"})
		x.want("closed", err, client.ErrClosed)
	})
}

func TestSendWaitsForMemory(t *testing.T) {
	run(t, func(x *fixture) {
		fault := x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
		p := x.producer(func(c *client.ProducerConfig) {
			c.BufferMemory, c.MaxBlock, c.BatchSize = 10_000, 100*time.Millisecond, 1000
		})
		value := []byte(strings.Repeat("x", 900))
		var err error
		sent := 0
		for ; err == nil && sent < 100; sent++ {
			_, err = p.SendTo(0, client.Record{Topic: "orders", Value: value})
		}
		x.want("full", err, client.ErrBufferFull)
		if sent < 9 || sent > 12 {
			t.Errorf("%d records of 900 bytes in 10000", sent)
		}
		fault.Remove()
		if _, err := p.SendTo(0, client.Record{Topic: "orders", Value: value}); err != nil {
			t.Errorf("after memory was freed: %v", err)
		}
		x.done(p)
	})
}

// A canceled task leaves the producer in order for others.
func TestTrySendDoesNotWait(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(func(c *client.ProducerConfig) { c.BufferMemory = 1000 })
		large := client.Record{Topic: "orders", Value: make([]byte, 800)}
		if d, err := p.TrySend(large); d != nil || err != nil {
			t.Errorf("a topic nobody has asked about: %v, %v", d, err)
		}
		ok(x, call(p.Partitions("orders")))
		d := ok(x, call(p.TrySend(large)))
		if d == nil {
			t.Fatal("not taken, though there was nothing to wait for")
		}
		if other, err := p.TrySend(large); other != nil || err != nil {
			t.Errorf("memory is used up: %v, %v", other, err)
		}
		if r := ok(x, call(d.Wait(x.deadline))); r.Outcome != client.Acked {
			t.Errorf("%v, %v", r.Outcome, r.Err)
		}
		_, err := p.TrySend(client.Record{Topic: "orders", Value: make([]byte, 2<<20)})
		x.want("too large", err, client.ErrTooLarge)
		x.done(p)
		_, err = p.TrySend(large)
		x.want("closed", err, client.ErrClosed)
	})
}

func TestACanceledSendTakesNothing(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(nil)
		var err error
		task := x.w.Go("sends", func() { _, err = p.Send(client.Record{Topic: "nothing"}) })
		x.check("sleep", x.w.Sleep(10*time.Millisecond))
		task.Cancel()
		x.await(task)
		x.want("canceled", err, env.ErrCanceled)
		if r := x.send(p, "x"); r.Outcome != client.Acked {
			t.Errorf("%v, %v", r.Outcome, r.Err)
		}
		x.done(p)
	})
}

func TestCloseTellsWhatBecameOfEveryRecord(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(func(c *client.ProducerConfig) { c.BatchSize, c.Linger = 1, 0 })
		x.send(p, "acked")
		x.brokers.ControlKey(produceKey, func(kmsg.Request) (kmsg.Response, error, bool) {
			x.brokers.KeepControl()
			return nil, nil, true // no answer
		})
		var open []*client.Delivery
		for _, v := range numbers(20) {
			open = append(open, ok(x, call(p.SendTo(0, client.Record{Topic: "orders", Value: []byte(v)}))))
		}
		err := p.Close(x.w.Now().Add(200 * time.Millisecond))
		x.want("close", err, env.ErrDeadline)
		outcomes := make(map[client.Outcome]int)
		for i, d := range open {
			if !d.Done() {
				t.Fatalf("record %d has no result", i)
			}
			outcomes[d.Result().Outcome]++
		}
		if outcomes[client.Unknown] != 5 || outcomes[client.Failed] != 15 {
			t.Errorf("%v, want 5 in flight unknown and 15 failed", outcomes)
		}
	})
}

func TestRecordsWithKeysKeepTheirPartition(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(nil)
		where := make(map[string]int32)
		for i := range 50 {
			key := fmt.Sprint(i % 7)
			d := ok(x, call(p.Send(client.Record{Topic: "orders", Key: []byte(key)})))
			if was, seen := where[key]; seen && was != d.Partition().Partition {
				t.Errorf("key %s went to %d and %d", key, was, d.Partition().Partition)
			}
			where[key] = d.Partition().Partition
		}
		x.done(p)
		p = x.producer(func(c *client.ProducerConfig) { c.BatchSize = 1 })
		var used []int32
		for range 200 {
			d := ok(x, call(p.Send(client.Record{Topic: "orders"})))
			ok(x, call(d.Wait(x.deadline)))
			if part := d.Partition().Partition; !slices.Contains(used, part) {
				used = append(used, part)
			}
		}
		if len(used) != 3 {
			t.Errorf("records without a key went to partitions %v only", used)
		}
		x.done(p)
	})
}

func TestAProducerWithoutPermissionEnds(t *testing.T) {
	run(t, func(x *fixture) {
		x.brokers.ControlKey(22, func(r kmsg.Request) (kmsg.Response, error, bool) {
			resp := r.ResponseKind().(*kmsg.InitProducerIDResponse)
			resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
			return resp, nil, true
		})
		p := x.producer(nil)
		// The refusal comes before the record or after it.
		if d, err := p.SendTo(0, client.Record{Topic: "orders"}); err == nil {
			r := ok(x, call(d.Wait(x.deadline)))
			if r.Outcome != client.Failed || !errors.Is(r.Err, kafka.ErrClusterAuthorizationFailed) {
				t.Errorf("%v, %v", r.Outcome, r.Err)
			}
		}
		_, err := p.Send(client.Record{Topic: "orders"})
		x.want("next", err, kafka.ErrClusterAuthorizationFailed)
		x.done(p)
	})
}

func TestProducerSettingsThatContradictEachOther(t *testing.T) {
	run(t, func(x *fixture) {
		for name, change := range map[string]func(*client.ProducerConfig){
			"idempotence without acks=all": func(c *client.ProducerConfig) { c.Acks = kafka.AcksLeader },
			"idempotence with 6 in flight": func(c *client.ProducerConfig) { c.MaxInFlight = 6 },
			"nothing in flight":            func(c *client.ProducerConfig) { c.MaxInFlight = 0 },
			"acks=2":                       func(c *client.ProducerConfig) { c.Idempotent, c.Acks = false, 2 },
			"a codec that does not exist":  func(c *client.ProducerConfig) { c.Compression.Codec = 7 },
		} {
			c := client.DefaultProducer()
			change(&c)
			if _, err := x.client.NewProducer(c); err == nil {
				t.Errorf("%s is accepted", name)
			}
		}
	})
}
