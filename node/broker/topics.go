package broker

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// NewTopicID draws the id of a topic that is going to be created.
func (b *Broker) NewTopicID() kafka.TopicID {
	var id kafka.TopicID
	stream := b.w.Rand("broker/topic-id")
	for id == (kafka.TopicID{}) || id == (kafka.TopicID{15: 1}) {
		for i := range id {
			id[i] = byte(stream.Uint32())
		}
	}
	return id
}

// CreateTopic creates a topic and waits until this node has opened its part of
// it, or until the deadline: then the topic exists, and the answer is
// REQUEST_TIMED_OUT. n.ID is drawn here. Blocks.
func (b *Broker) CreateTopic(n meta.NewTopic, deadline kafka.Instant) (kafka.TopicID, error) {
	n.ID = b.NewTopicID()
	n.First = int(b.w.Rand("broker/placement").Uint32() >> 8)
	err := b.change(func(image *meta.Image) ([]meta.Record, error) {
		return image.CreateTopic(n, b.TopicDefaults())
	})
	if err != nil {
		return kafka.TopicID{}, err
	}
	return n.ID, b.AwaitSettled(n.ID, deadline)
}

// CreatePartitions adds partitions to a topic and waits until this node has opened
// those that are its own, or until the deadline: then they exist, and the answer is
// REQUEST_TIMED_OUT. Blocks.
func (b *Broker) CreatePartitions(g meta.Growth, deadline kafka.Instant) error {
	g.First = int(b.w.Rand("broker/placement").Uint32() >> 8)
	var id kafka.TopicID
	err := b.change(func(image *meta.Image) ([]meta.Record, error) {
		if t, ok := image.Topic(g.Topic); ok {
			id = t.ID
		}
		return image.CreatePartitions(g)
	})
	if err != nil {
		return err
	}
	return b.AwaitSettled(id, deadline)
}

// CheckPartitions tells what CreatePartitions would, and adds nothing.
func (b *Broker) CheckPartitions(g meta.Growth) error {
	_, err := b.image.CreatePartitions(g)
	return err
}

// CheckTopic tells what CreateTopic would, and creates nothing.
func (b *Broker) CheckTopic(n meta.NewTopic) error {
	_, err := b.image.CreateTopic(n, b.TopicDefaults())
	return err
}

// TopicDefaults returns what a topic gets if nobody says.
func (b *Broker) TopicDefaults() meta.Defaults {
	return meta.Defaults{
		Partitions: int32(config.NumPartitions.In(b.config)),
		Replicas:   int16(config.DefaultReplicationFactor.In(b.config)),
		Broker:     b.config,
	}
}

// DeleteTopic deletes a topic and waits until nothing of it is served here any
// more, or until the deadline: then it is deleted all the same, and the answer is
// REQUEST_TIMED_OUT. Blocks.
func (b *Broker) DeleteTopic(id kafka.TopicID, deadline kafka.Instant) error {
	if !config.DeleteTopics.In(b.config) {
		return fmt.Errorf("delete.topic.enable=false: %w", kafka.ErrTopicDeletionDisabled)
	}
	err := b.change(func(image *meta.Image) ([]meta.Record, error) { return image.DeleteTopic(id) })
	if err != nil {
		return err
	}
	return b.AwaitSettled(id, deadline)
}

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

// change has a node on its own decide about its metadata. Blocks.
func (b *Broker) change(d Decision) error {
	if s, ok := b.source.(changer); ok {
		return s.Change(d)
	}
	return fmt.Errorf("broker %d decides nothing: %w", b.id, kafka.ErrNotController)
}

// CreateSoon creates a topic with all defaults in the background, for a client
// that asked for its metadata, and calls done. An error is not for anyone to
// hear: the client asks again, and sees.
func (b *Broker) CreateSoon(name string, done func()) {
	b.tasks.Go("broker/create "+name, func() {
		defer done()
		n := meta.NewTopic{Name: name, Partitions: meta.Unset, Replicas: meta.Unset}
		_, err := b.CreateTopic(n, kafka.Never)
		if err != nil && !errors.Is(err, kafka.ErrTopicAlreadyExists) {
			b.w.Log.Warn("topic was not created", "topic", name, "err", err)
		}
	})
}
