package osclient

import (
	"context"

	inner "github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// A ConsumerConfig says how records are read.
type ConsumerConfig = inner.ConsumerConfig

// DefaultConsumer returns Kafka's defaults.
func DefaultConsumer() ConsumerConfig { return inner.DefaultConsumer() }

// Where to go on when a position is not in the log: ConsumerConfig.Reset.
const (
	ResetLatest     = inner.ResetLatest
	ResetEarliest   = inner.ResetEarliest
	ResetNone       = inner.ResetNone
	ResetByDuration = inner.ResetByDuration
)

// A Consumer reads records of the partitions assigned to it, and fetches ahead
// meanwhile. Its positions move only with what Poll returns.
type Consumer struct {
	c     *Client
	inner *inner.Consumer
}

// NewConsumer returns a consumer without partitions.
func (c *Client) NewConsumer(config ConsumerConfig) (*Consumer, error) {
	return ask(context.Background(), c, func() (*Consumer, error) {
		if err := config.Check(); err != nil {
			return nil, err
		}
		cons := &Consumer{c: c, inner: c.inner.NewConsumer(config)}
		c.users = append(c.users, cons)
		return cons, nil
	})
}

// Assign makes places the partitions to read, and begins there. It replaces what
// was assigned.
func (c *Consumer) Assign(places ...Place) error {
	return c.c.enter(func() error {
		c.inner.Assign(places...)
		return nil
	})
}

// AssignTopic assigns every partition that a topic has now, all from the same
// place.
func (c *Consumer) AssignTopic(ctx context.Context, topic string, from Start) error {
	return c.c.run(ctx, func() error {
		topics, err := c.c.inner.DescribeTopics([]string{topic}, kafka.Never)
		if err != nil {
			return err
		}
		if err := topics[0].Err.AsError(); err != nil {
			return err
		}
		var places []Place
		for _, p := range topics[0].Partitions {
			places = append(places, Place{Partition: TopicPartition{Topic: topic, Partition: p.ID}, From: from})
		}
		c.inner.Assign(places...)
		return nil
	})
}

// Poll returns up to limit records, in order for each partition; 0 is
// max.poll.records. It waits until there is one, for an error about a partition (a
// *PartitionError; the others go on), or until ctx is done. Keys and values share
// memory with other records that were fetched together.
func (c *Consumer) Poll(ctx context.Context, limit int) ([]Record, error) {
	return ask(ctx, c.c, func() ([]Record, error) { return c.inner.Poll(kafka.Never, limit) })
}

// Seek goes on elsewhere in an assigned partition.
func (c *Consumer) Seek(tp TopicPartition, to Start) error {
	return c.c.enter(func() error { return c.inner.Seek(tp, to) })
}

// Pause keeps Poll from returning records of the partitions until Resume. What was
// fetched of them is kept.
func (c *Consumer) Pause(tps ...TopicPartition) error {
	return c.c.enter(func() error { return c.inner.Pause(tps...) })
}

// Resume ends Pause.
func (c *Consumer) Resume(tps ...TopicPartition) error {
	return c.c.enter(func() error { return c.inner.Resume(tps...) })
}

// Position returns the offset of the record that Poll returns next, or of a later
// one if that offset holds none. It fails until Earliest, Latest or a time is
// resolved.
func (c *Consumer) Position(tp TopicPartition) (Offset, error) {
	return ask(context.Background(), c.c, func() (Offset, error) { return c.inner.Position(tp) })
}

// HighWatermark returns the partition's high watermark as the last fetch told it;
// -1 before.
func (c *Consumer) HighWatermark(tp TopicPartition) (Offset, error) {
	return ask(context.Background(), c.c, func() (Offset, error) { return c.inner.HighWatermark(tp) })
}

// Resets returns the resets since it was last called, the latest thousand: where
// records were skipped, or are read twice.
func (c *Consumer) Resets() ([]Reset, error) {
	return ask(context.Background(), c.c, func() ([]Reset, error) { return c.inner.Resets(), nil })
}

// Close ends the consumer.
func (c *Consumer) Close() error {
	return c.c.enter(func() error {
		c.c.forget(c)
		return c.end()
	})
}

func (c *Consumer) end() error { return c.inner.Close(kafka.Never) }
