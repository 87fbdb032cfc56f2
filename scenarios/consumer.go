package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// A consumerClient reads every partition to its end, again and again from
// somewhere before if it is drawn so. If its process dies it comes back as a new
// consumer.
type consumerClient struct {
	machine
	config     client.ConsumerConfig
	draws      *rand.Rand
	positions  []history.Offset // by partition: what the next poll must begin with
	generation []int32          // by partition: counts jumps
	limit      int
	done       bool
}

func (r *run) newConsumer(name string) *consumerClient {
	draws := r.k.Rand("workload/" + name)
	c := &consumerClient{config: client.DefaultConsumer(), draws: draws, limit: pick(draws, 1, 10, 100)}
	c.config.Reset = client.ResetEarliest
	if r.options.AnyReset {
		c.config.Reset = pick(draws, client.ResetEarliest, client.ResetLatest, client.ResetNone)
	}
	c.config.MaxWait = pick(draws, 10*time.Millisecond, 100*time.Millisecond, 500*time.Millisecond)
	c.config.MaxPartitionBytes = pick(draws, 100, 4000, 1<<20)
	c.config.MaxBytes = pick(draws, 1000, 50<<20)
	// More than a fetch may return would make each wait for max.wait.
	c.config.MinBytes = pick(draws, 1, 1, min(500, c.config.MaxPartitionBytes/2))
	c.config.Rack = r.rackOf(name)
	c.positions = make([]history.Offset, r.options.Partitions)
	c.generation = make([]int32, r.options.Partitions)
	c.machine = r.newMachine(name, c.main)
	return c
}

// pending says why the consumer has not finished, or "".
func (c *consumerClient) pending() string {
	if c.done || c.r.admin.ends == nil {
		return ""
	}
	for i, end := range c.r.admin.ends {
		if c.positions[i] < end && !c.r.givenUp(int32(i)) {
			return fmt.Sprintf("%s is at offset %d of %s-%d, which ends at %d",
				c.node.Name(), c.positions[i], topicName, i, end)
		}
	}
	return c.node.Name() + " has read everything and not noticed"
}

// main is the life of one incarnation: from where the last one was, or from the
// beginning.
func (c *consumerClient) main() {
	cl, err := client.New(c.world, c.r.clientConfig(c.node.Name()))
	if err != nil {
		panic(err)
	}
	if c.incarnation > 0 && c.draws.IntN(2) == 0 {
		clear(c.positions)
	}
	consumer := cl.NewConsumer(c.config)
	var places []client.Place
	for i := range c.positions {
		places = append(places, client.Place{Partition: c.at(i), From: client.At(kafka.Offset(c.positions[i]))})
	}
	consumer.Assign(places...)
	for !c.caughtUp() {
		if d := c.r.options.Dawdle; d > 0 && !c.r.healed && c.draws.IntN(8) == 0 {
			c.world.Sleep(time.Duration(c.draws.Int64N(int64(d))))
		}
		c.poll(cl, consumer)
		if c.draws.IntN(60) == 0 && !c.r.healed {
			c.seekBack(consumer)
		}
		if c.draws.IntN(4) == 0 {
			c.world.Sleep(time.Duration(c.draws.Int64N(int64(40 * time.Millisecond))))
		}
	}
	consumer.Close(kafka.Never)
	cl.Close(kafka.Never)
	c.done = true
}

func (c *consumerClient) at(partition int) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: topicName, Partition: int32(partition)}
}

// caughtUp reports whether everything there is has been read.
func (c *consumerClient) caughtUp() bool {
	if c.r.admin.ends == nil {
		return false
	}
	for i, end := range c.r.admin.ends {
		if c.positions[i] < end && !c.r.givenUp(int32(i)) {
			return false
		}
	}
	return true
}

// poll makes one poll and records what it returned, partition by partition.
func (c *consumerClient) poll(cl *client.Client, consumer *client.Consumer) {
	invoked := c.r.history.Now()
	records, err := consumer.Poll(c.world.Now().Add(time.Second), c.limit)
	c.noteResets(consumer)
	var failure *client.PartitionError
	switch {
	case errors.Is(err, client.ErrNoOffset) && errors.As(err, &failure):
		c.startOver(cl, consumer, failure.Partition)
		return
	case err != nil:
		if errors.As(err, &failure) {
			c.r.refused(failure.Partition.Partition, err)
		}
		// The consumer goes on by itself; do not ask it in a tight loop.
		c.world.Sleep(10 * time.Millisecond)
		return
	}
	for i := range c.positions {
		c.recordPoll(i, invoked, records, passed(consumer, c.at(i)))
	}
}

// passed returns the offset up to which a consumer has read a partition, whether
// or not there was a record just before it: what compaction left behind the last
// one is empty.
func passed(consumer *client.Consumer, tp kafka.TopicPartition) history.Offset {
	at, err := consumer.Position(tp)
	if err != nil {
		return history.NoOffset // it is being looked for
	}
	return history.Offset(at)
}

// startOver goes on at the start of a log, for a consumer that was told that its
// position is outside of it and that does not choose another by itself.
func (c *consumerClient) startOver(cl *client.Client, consumer *client.Consumer, tp kafka.TopicPartition) {
	found, err := cl.Offsets([]client.Place{{Partition: tp, From: client.Earliest()}}, c.world.Now().Add(c.r.requestTimeout))
	if err != nil {
		c.r.refused(tp.Partition, err)
		return
	}
	if consumer.Seek(tp, client.At(found[0].Offset)) == nil {
		c.generation[tp.Partition]++
		c.positions[tp.Partition] = history.Offset(found[0].Offset)
	}
}

func (c *consumerClient) recordPoll(partition int, invoked history.Instant, records []client.Record, passed history.Offset) {
	reads, after := readsOf(records, int32(partition))
	if after = max(after, passed); after <= c.positions[partition] {
		return
	}
	c.r.served(int32(partition))
	c.r.observer.read(partition, after)
	c.r.history.Polled(history.Poll{
		Client: c.id, Incarnation: c.incarnation, Generation: c.generation[partition],
		Partition: c.r.history.Partition(topicName, int32(partition)),
		Invoked:   invoked, Before: c.positions[partition], After: after, End: history.NoOffset,
	}, reads)
	c.positions[partition] = after
}

// readsOf turns the records of one partition into what the history keeps of
// them, and returns the position after the last.
func readsOf(records []client.Record, partition int32) (reads []history.Read, after history.Offset) {
	for _, rec := range records {
		if rec.Partition != partition {
			continue
		}
		reads = append(reads, history.Read{
			Offset: history.Offset(rec.Offset), Record: identityOf(rec), Digest: digestOf(rec), Epoch: int32(rec.Epoch),
		})
		after = history.Offset(rec.Offset) + 1
	}
	return reads, after
}

// noteResets begins a new generation where the consumer lost its position.
func (c *consumerClient) noteResets(consumer *client.Consumer) {
	for _, reset := range consumer.Resets() {
		i := reset.Partition.Partition
		c.generation[i]++
		c.positions[i] = history.Offset(reset.To)
	}
}

// seekBack goes on from an earlier offset of a partition.
func (c *consumerClient) seekBack(consumer *client.Consumer) {
	i := c.draws.IntN(len(c.positions))
	to := history.Offset(c.draws.Int64N(int64(c.positions[i]) + 1))
	if consumer.Seek(c.at(i), client.At(kafka.Offset(to))) == nil {
		c.generation[i]++
		c.positions[i] = to
	}
}
