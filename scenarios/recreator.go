package scenarios

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// A recreator fills a topic of its own, deletes it, and creates another of the
// same name, over and over, while one consumer reads on. It judges by itself: its
// topics have offsets from 0 without gaps, so whoever takes a position in one of
// them to the next leaves records out.
type recreator struct {
	machine
	draws *rand.Rand

	topics int          // made so far
	end    kafka.Offset // of the last one, once it is filled

	// Of the reader: the topic whose record it returned last, and what is to
	// come next.
	reading int
	next    kafka.Offset
	told    kafka.Offset // where the last reset went, until a record follows it
	done    bool
}

var refill = kafka.TopicPartition{Topic: "refill"}

var anyTimestamp = map[string]string{"message.timestamp.after.max.ms": strconv.FormatInt(math.MaxInt64, 10)}

func (r *run) newRecreator(name string) *recreator {
	c := &recreator{draws: r.k.Rand("workload/" + name), told: kafka.NoOffset}
	c.machine = r.newMachine(name, c.main)
	return c
}

// unfinished says what is missing, or "".
func (c *recreator) unfinished() string {
	switch {
	case c.done:
		return ""
	case c.end == 0:
		return fmt.Sprintf("%s has made %s %d times and has not filled the last", c.node.Name(), refill.Topic, c.topics)
	}
	return fmt.Sprintf("%s is at offset %d of %s number %d; number %d ends at %d",
		c.node.Name(), c.next, refill.Topic, c.reading, c.topics, c.end)
}

func (c *recreator) main() {
	maker, reader := c.connect(), c.connect()
	task := c.world.Go("reader", func() { c.read(reader) })
	for !c.r.healed {
		c.create(maker)
		c.fill(maker)
		c.rest(300 * time.Millisecond)
		c.delete(maker)
		c.rest(100 * time.Millisecond)
	}
	// What was sent and not answered may still be on its way, to delete the last:
	// brokers pass a request on to the controllers as long as its client waits.
	c.world.Sleep(20*time.Second + c.r.requestTimeout)
	c.create(maker)
	for c.end == 0 {
		c.fill(maker)
		if found, err := maker.Offsets([]client.Place{{Partition: refill, From: client.Latest()}}, c.soon()); err == nil {
			c.end = found[0].Offset
		}
	}
	for !task.Done() {
		c.world.Sleep(50 * time.Millisecond)
	}
	reader.Close(kafka.Never)
	maker.Close(kafka.Never)
	c.done = true
}

func (c *recreator) connect() *client.Client {
	cl, err := client.New(c.world, c.r.clientConfig(c.node.Name()))
	if err != nil {
		panic(err)
	}
	return cl
}

func (c *recreator) soon() kafka.Instant { return c.world.Now().Add(c.r.requestTimeout) }

func (c *recreator) rest(most time.Duration) {
	c.world.Sleep(time.Duration(c.draws.Int64N(int64(most))))
}

// create asks until the topic is there. Its records may be as far ahead of a broker's
// wall clock as that was set back: a fill that is refused for good never ends.
func (c *recreator) create(cl *client.Client) {
	topic := client.NewTopic{Name: refill.Topic, Partitions: 1, Replicas: int16(c.r.options.Replicas), Configs: anyTimestamp}
	for c.topics++; ; c.world.Sleep(20 * time.Millisecond) {
		results, err := cl.CreateTopics([]client.NewTopic{topic}, c.soon())
		if err == nil && (results[0].Err == nil || errors.Is(results[0].Err, kafka.ErrTopicAlreadyExists)) {
			return
		}
	}
}

// delete asks until the topic is gone.
func (c *recreator) delete(cl *client.Client) {
	for ; ; c.world.Sleep(20 * time.Millisecond) {
		results, err := cl.DeleteTopics([]string{refill.Topic}, c.soon())
		if err == nil && (results[0].Err == nil || errors.Is(results[0].Err, kafka.ErrUnknownTopicOrPartition)) {
			return
		}
	}
}

// fill sends some records, which say which topic they are of.
func (c *recreator) fill(cl *client.Client) {
	config := client.DefaultProducer()
	config.BatchSize, config.Linger = 300, 0
	config.DeliveryTimeout = c.r.requestTimeout + 5*time.Second
	config.MaxBlock = c.r.requestTimeout
	p, err := cl.NewProducer(config)
	if err != nil {
		panic(err)
	}
	for range 1 + c.draws.IntN(60) {
		if _, err := p.SendTo(refill.Partition, client.Record{Topic: refill.Topic, Value: fmt.Append(nil, c.topics)}); err != nil {
			break // a late request has deleted the topic
		}
		if c.draws.IntN(20) == 0 {
			c.rest(20 * time.Millisecond)
		}
	}
	p.Close(kafka.Never)
}

// read returns everything there is to the judge, until the last topic is read.
func (c *recreator) read(cl *client.Client) {
	config := client.DefaultConsumer()
	config.Reset = client.ResetEarliest
	config.MaxWait = pick(c.draws, 10*time.Millisecond, 100*time.Millisecond)
	consumer := cl.NewConsumer(config)
	consumer.Assign(client.Place{Partition: refill, From: client.Earliest()})
	for c.end == 0 || c.reading < c.topics || c.next < c.end {
		records, err := consumer.Poll(c.world.Now().Add(time.Second), 1+c.draws.IntN(20))
		c.judge(consumer.Resets(), records)
		if err != nil {
			c.world.Sleep(10 * time.Millisecond)
		}
		if c.draws.IntN(4) == 0 {
			c.rest(50 * time.Millisecond)
		}
	}
	consumer.Close(kafka.Never)
}

// judge compares what was returned with where the reader is. It may jump where it
// is told so, and it begins each topic at its beginning.
func (c *recreator) judge(resets []client.Reset, records []client.Record) {
	for _, r := range resets {
		c.told = r.To
	}
	for _, r := range records {
		var topic int
		fmt.Sscan(string(r.Value), &topic)
		want := c.next
		if topic > c.reading {
			want = 0
		}
		if topic < c.reading || r.Offset != want && r.Offset != c.told {
			c.r.observer.complain(topicsApart, fmt.Sprintf("a consumer at offset %d of %s number %d was given offset %d of number %d at %s, and told of no reset",
				c.next, refill.Topic, c.reading, r.Offset, topic, c.r.k.Now()))
		}
		c.reading, c.next, c.told = topic, r.Offset+1, kafka.NoOffset
	}
}
