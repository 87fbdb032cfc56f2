package broker

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// AwaitSettled waits until this node's part of a topic is as the image says, or until
// the deadline: then the answer is REQUEST_TIMED_OUT. Blocks.
func (b *Broker) AwaitSettled(id kafka.TopicID, deadline kafka.Instant) error {
	err := b.waitUntil(deadline, func() bool { return b.settled(id) })
	if err != nil {
		return fmt.Errorf("topic id %s: %w: %w", id, err, kafka.ErrRequestTimedOut)
	}
	return nil
}

func (b *Broker) settled(id kafka.TopicID) bool {
	local := b.topics[id]
	t, exists := b.image.TopicByID(id)
	if !exists {
		return local == nil
	}
	return local != nil && local.settled >= len(t.Partitions)
}

// createTimeout is how long a topic that somebody asked for is tried to be created.
const createTimeout = 10 * time.Second

// CreateSoon creates a topic in the background, for a client that asked for its
// metadata, and calls done: with all defaults, or as its own settings say where
// the cluster keeps it for itself. An error is not for anyone to hear: the client
// asks again, and sees.
func (b *Broker) CreateSoon(name string, done func()) {
	b.tasks.Go("broker/create "+name, func() {
		defer done()
		err := b.controllers.CreateTopic(b.newTopic(name), b.w.Now().Add(createTimeout))
		if err != nil && !errors.Is(err, kafka.ErrTopicAlreadyExists) {
			b.w.Log.Warn("topic was not created", "topic", name, "err", err)
		}
	})
}

// OffsetsTopic is where coordinators of groups keep what they decide.
const OffsetsTopic = "__consumer_offsets"

// newTopic says what a topic shall be like that nobody has described.
func (b *Broker) newTopic(name string) meta.NewTopic {
	if name != OffsetsTopic {
		return meta.NewTopic{Name: name, Partitions: meta.Unset, Replicas: meta.Unset}
	}
	n := meta.NewTopic{
		Name: name, Partitions: int32(config.OffsetsTopicPartitions.In(b.config)),
		Replicas: b.replicasOf(name, config.OffsetsTopicReplicas.In(b.config)),
		Settings: []config.Pair{
			{Name: config.CleanupPolicy.Name, Value: "compact"},
			{Name: config.CompressionType.Name, Value: "producer"},
			{Name: config.SegmentBytes.Name, Value: strconv.FormatInt(config.OffsetsTopicSegmentBytes.In(b.config), 10)},
		},
	}
	if small := config.InternalOffsetsSegmentBytes.In(b.config); small > 0 {
		n.Settings = append(n.Settings, config.Pair{Name: config.InternalSegmentBytes.Name, Value: strconv.FormatInt(small, 10)})
	}
	return n
}

// replicasOf returns how many replicas a topic of the cluster's own gets: what is
// configured, or as many as there are brokers.
func (b *Broker) replicasOf(name string, configured int64) int16 {
	brokers := int64(len(b.image.Brokers()))
	if brokers >= configured {
		return int16(configured)
	}
	b.w.Probe("a topic of the cluster's own got fewer replicas than configured")
	b.w.Log.Warn("topic gets fewer replicas than configured: there are no more brokers", "topic", name, "replicas", brokers, "configured", configured)
	return int16(max(brokers, 1))
}
