package client_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/partitioner"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// fetches counts the fetches that brokers see from now on.
func (x *fixture) fetches() func() int {
	n := make(chan int, 1)
	n <- 0
	x.brokers.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		x.brokers.KeepControl()
		n <- <-n + 1
		return nil, nil, false
	})
	return func() int {
		v := <-n
		n <- v
		return v
	}
}

// What was fetched of a partition before it was paused is returned after it is
// resumed, and is not fetched again.
func TestAPauseKeepsWhatWasFetched(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		c := x.consumer(client.ResetNone, client.Earliest())
		x.values(c, 1) // the others are there, too
		x.check("pause", c.Pause(orders0))
		x.check("sleep", x.w.Sleep(60*time.Millisecond)) // the fetch under way comes back
		count := x.fetches()
		x.check("sleep", x.w.Sleep(60*time.Millisecond))
		if n := count(); n > 0 {
			t.Errorf("%d fetches of a paused partition", n)
		}
		x.check("resume", c.Resume(orders0))
		records := ok(x, call(c.Poll(x.deadline, 100)))
		if len(records) != 9 || string(records[0].Value) != "1" {
			t.Errorf("%d records after the pause", len(records))
		}
		x.check("close", c.Close(x.deadline))
	})
}

// A consumer that nobody polls stops fetching when it holds enough, of a partition
// and in all.
func TestFetchingAheadIsBounded(t *testing.T) {
	for name, set := range map[string]func(*client.ConsumerConfig){
		"max.partition.fetch.bytes": func(c *client.ConsumerConfig) { c.MaxPartitionBytes = 2000 },
		"fetch.max.bytes":           func(c *client.ConsumerConfig) { c.MaxBytes = 2000 },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(x *fixture) {
				p := x.producer(func(c *client.ProducerConfig) { c.BatchSize = 1 })
				for i := range 50 {
					ok(x, call(p.SendTo(0, client.Record{Topic: "orders", Value: bytes.Repeat([]byte{byte(i)}, 400)})))
				}
				x.done(p)
				config := client.DefaultConsumer()
				config.Reset, config.MaxWait = client.ResetNone, 20*time.Millisecond
				set(&config)
				c := x.client.NewConsumer(config)
				c.Assign(client.Place{Partition: orders0, From: client.At(0)})
				x.check("sleep", x.w.Sleep(100*time.Millisecond))
				count := x.fetches()
				x.check("sleep", x.w.Sleep(60*time.Millisecond))
				if n := count(); n > 0 {
					t.Errorf("%d fetches though enough is there", n)
				}
				seen := 0
				for seen < 50 {
					seen += len(ok(x, call(c.Poll(x.deadline, 0))))
				}
				x.check("consumer", c.Check())
				x.check("close", c.Close(x.deadline))
			})
		})
	}
}

func TestPollWithoutALimitReturnsMaxPollRecords(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(nil)
		for range 20 {
			ok(x, call(p.SendTo(0, client.Record{Topic: "orders"})))
		}
		x.done(p)
		config := client.DefaultConsumer()
		config.MaxPollRecords = 7
		c := x.client.NewConsumer(config)
		c.Assign(client.Place{Partition: orders0, From: client.At(0)})
		for seen := 0; seen < 20; {
			n := len(ok(x, call(c.Poll(x.deadline, 0))))
			if n == 0 || n > 7 {
				t.Fatalf("%d records", n)
			}
			seen += n
		}
		x.check("close", c.Close(x.deadline))
	})
}

// KIP-1106: back by a time, not to the beginning nor the end.
func TestAResetByDuration(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(func(c *client.ProducerConfig) { c.BatchSize = 1 })
		now := x.w.Wall()
		for i := range 10 { // one an hour
			ok(x, call(p.SendTo(0, client.Record{Topic: "orders", Value: fmt.Append(nil, i), Timestamp: now - kafka.Timestamp(10-i)*3_600_000})))
		}
		x.done(p)
		config := client.DefaultConsumer()
		config.Reset, config.ResetDuration = client.ResetByDuration, 210*time.Minute
		config.MaxWait = 20 * time.Millisecond
		c := x.client.NewConsumer(config)
		c.Assign(client.Place{Partition: orders0, From: client.At(99)})
		if diff := cmp.Diff([]string{"7", "8", "9"}, x.values(c, 3)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if rs := c.Resets(); len(rs) != 1 || rs[0].From != 99 || rs[0].To != 7 {
			t.Errorf("resets %+v", rs)
		}
		x.check("close", c.Close(x.deadline))
	})
}

func TestConsumerSettingsThatMakeNoSense(t *testing.T) {
	for name, spoil := range map[string]func(*client.ConsumerConfig){
		"fetch.min.bytes":           func(c *client.ConsumerConfig) { c.MinBytes = -1 },
		"fetch.max.bytes":           func(c *client.ConsumerConfig) { c.MaxBytes = 0 },
		"max.partition.fetch.bytes": func(c *client.ConsumerConfig) { c.MaxPartitionBytes = 1 << 31 },
		"fetch.max.wait.ms":         func(c *client.ConsumerConfig) { c.MaxWait = -1 },
		"max.poll.records":          func(c *client.ConsumerConfig) { c.MaxPollRecords = 0 },
		"auto.offset.reset":         func(c *client.ConsumerConfig) { c.Reset = 9 },
		"by_duration":               func(c *client.ConsumerConfig) { c.Reset, c.ResetDuration = client.ResetByDuration, -1 },
	} {
		c := client.DefaultConsumer()
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		if spoil(&c); c.Check() == nil {
			t.Errorf("%s: %+v is accepted", name, c)
		}
	}
}

// Several questions about one partition are several requests.
func TestManyOffsetsOfOnePartition(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(func(c *client.ProducerConfig) { c.BatchSize = 1 })
		for _, ts := range []kafka.Timestamp{1000, 3000, 2000} {
			ok(x, call(p.SendTo(0, client.Record{Topic: "orders", Timestamp: ts})))
		}
		x.done(p)
		var places []client.Place
		for _, from := range []client.Start{client.Earliest(), client.Latest(), client.Newest(), client.AtTime(1500), client.AtTime(9000), client.At(77)} {
			places = append(places, client.Place{Partition: orders0, From: from})
		}
		var got []kafka.Offset
		for _, f := range ok(x, call(x.client.Offsets(places, x.deadline))) {
			got = append(got, f.Offset)
		}
		if diff := cmp.Diff([]kafka.Offset{0, 3, 1, 1, kafka.NoOffset, 77}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAPartitionerDecides(t *testing.T) {
	run(t, func(x *fixture) {
		p := x.producer(func(c *client.ProducerConfig) { c.Partitioner = partitioner.RoundRobin() })
		var got []int32
		for range 6 {
			got = append(got, ok(x, call(p.Send(client.Record{Topic: "orders", Key: []byte("same")}))).Partition().Partition)
		}
		if diff := cmp.Diff([]int32{0, 1, 2, 0, 1, 2}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		x.done(p)
		p = x.producer(func(c *client.ProducerConfig) {
			c.Partitioner = partitioner.Func(func(r *partitioner.Record, n int32) int32 { return n - int32(len(r.Value)) })
		})
		if d := ok(x, call(p.Send(client.Record{Topic: "orders", Value: []byte("1")}))); d.Partition().Partition != 2 {
			t.Errorf("partition %d", d.Partition().Partition)
		}
		_, err := p.Send(client.Record{Topic: "orders"})
		x.want("partition 3 of 3", err, client.ErrNoPartition)
		x.done(p)
	})
}

func TestCompressionLevels(t *testing.T) {
	run(t, func(x *fixture) {
		for i, how := range []record.Compression{{Codec: record.Gzip, Level: 1}, {Codec: record.Gzip, Level: 9}, {Codec: record.Lz4, Level: 17},
			{Codec: record.Zstd, Level: 1}, {Codec: record.Zstd, Level: 19}, {Codec: record.Snappy}} {
			p := x.producer(func(c *client.ProducerConfig) { c.Compression = how })
			if r := x.send(p, fmt.Sprint(i)); r.Outcome != client.Acked {
				t.Errorf("%+v: %v, %v", how, r.Outcome, r.Err)
			}
			x.done(p)
		}
		if diff := cmp.Diff(numbers(6), x.log()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, how := range []record.Compression{{Codec: record.Gzip, Level: 10}, {Codec: record.Lz4, Level: 18}, {Codec: record.Zstd, Level: 23},
			{Codec: record.None, Level: 1}, {Codec: record.Snappy, Level: 1}, {Codec: 9}} {
			c := client.DefaultProducer()
			c.Compression = how
			if p, err := x.client.NewProducer(c); err == nil {
				t.Errorf("%+v is accepted", how)
				x.done(p)
			}
		}
	})
}
