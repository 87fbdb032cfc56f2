package broker

import (
	"errors"
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/kafka"
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

// CreateSoon creates a topic with all defaults in the background, for a client
// that asked for its metadata, and calls done. An error is not for anyone to
// hear: the client asks again, and sees.
func (b *Broker) CreateSoon(name string, done func()) {
	b.tasks.Go("broker/create "+name, func() {
		defer done()
		err := b.controllers.CreateTopic(name, b.w.Now().Add(createTimeout))
		if err != nil && !errors.Is(err, kafka.ErrTopicAlreadyExists) {
			b.w.Log.Warn("topic was not created", "topic", name, "err", err)
		}
	})
}
