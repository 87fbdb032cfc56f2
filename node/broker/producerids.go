package broker

import (
	"errors"
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// producerIDs gives out the ids of the node's current block. What is left of a
// block when the node stops is never given out.
type producerIDs struct {
	turn  *env.Turn
	block meta.Block
}

// NewProducerID returns an id that no producer has had. It fails with
// COORDINATOR_LOAD_IN_PROGRESS, as in Kafka, while the controllers do not know this life of
// the broker: another broker has ids, and so has this one when it has registered. Blocks.
func (b *Broker) NewProducerID() (kafka.ProducerID, error) {
	p := &b.producer
	if err := p.turn.Take(kafka.Never); err != nil {
		return kafka.NoProducerID, err
	}
	defer p.turn.Leave()
	if p.block.First == p.block.End {
		if err := b.nextBlock(); err != nil {
			return kafka.NoProducerID, err
		}
	}
	id := p.block.First
	p.block.First++
	b.stats.ProducerIDs++
	return id, nil
}

// blockTimeout is how long a block of producer ids is waited for.
const blockTimeout = 10 * time.Second

func (b *Broker) nextBlock() error {
	block, err := b.controllers.AllocateProducerIDs(meta.Member{ID: b.id, Epoch: b.epoch}, b.w.Now().Add(blockTimeout))
	if errors.Is(err, kafka.ErrStaleBrokerEpoch) {
		// To a client this would say that it is fenced itself.
		return fmt.Errorf("no block of producer ids: %v: %w", err, kafka.ErrCoordinatorLoadInProgress)
	}
	if err != nil {
		return err
	}
	b.producer.block = block
	b.stats.Blocks++
	return nil
}
