package controller

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// Register registers a broker and begins its session. Blocks.
func (c *Controller) Register(r meta.Registration, _ kafka.Instant) (epoch int64, err error) {
	c.stats.Registrations++
	err = c.quorum.Change(func(m *meta.Image) (records []meta.Record, err error) {
		if !c.refresh() {
			return nil, c.errNotActive()
		}
		records, epoch, err = m.Register(r, c.live, c.config)
		return records, err
	})
	if err != nil {
		return meta.NoEpoch, err
	}
	if c.refresh() {
		c.heard(r.ID, epoch, c.quorum.Applied())
	}
	c.w.Log.Info("broker is registered", "broker", int(r.ID), "epoch", epoch)
	return epoch, nil
}

// Heartbeat prolongs a broker's session, and fences it or lets it serve as it
// asks. It is answered, though nothing changes, once it is sure that no other
// controller had decided anything when it came: a broker relies on the session for
// what it leads. Blocks.
func (c *Controller) Heartbeat(b meta.Beat, _ kafka.Instant) (answer meta.BeatAnswer, err error) {
	c.stats.Heartbeats++
	if !c.refresh() {
		return meta.BeatAnswer{}, c.errNotActive()
	}
	if known, ok := c.quorum.Image().Broker(b.ID); ok && known.Epoch == b.Epoch {
		c.heard(b.ID, b.Epoch, c.quorum.Applied())
	}
	err = c.quorum.Change(func(m *meta.Image) (records []meta.Record, err error) {
		if !c.refresh() {
			return nil, c.errNotActive()
		}
		records, answer, err = m.Heartbeat(b, c.neededBy(b), c.config)
		return records, err
	})
	if err != nil {
		return meta.BeatAnswer{}, err
	}
	answer.Decided = c.quorum.Applied()
	return answer, nil
}

// neededBy returns the end of the metadata log when a broker had registered, or
// one that is not below it.
func (c *Controller) neededBy(b meta.Beat) kafka.Offset {
	if s := c.sessions.of[b.ID]; s != nil && s.epoch == b.Epoch {
		return s.needed
	}
	return c.quorum.Applied()
}

// Unregister removes a broker that is gone for good. Blocks.
func (c *Controller) Unregister(id kafka.NodeID) error {
	return c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) { return m.Unregister(id) })
}

// AlterPartitions changes in-sync sets as their leaders wish. Blocks.
func (c *Controller) AlterPartitions(self meta.Member, items []meta.Alter, _ kafka.Instant) (answers []meta.Altered, err error) {
	c.stats.Altered += uint64(len(items))
	err = c.quorum.Change(func(m *meta.Image) (records []meta.Record, err error) {
		records, answers, err = m.AlterPartitions(self, items, c.config)
		return records, err
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// producerBlock is how many producer ids a broker gets at once, as in Kafka.
const producerBlock = 1000

// AllocateProducerIDs gives a broker a block of producer ids. Blocks.
func (c *Controller) AllocateProducerIDs(self meta.Member, _ kafka.Instant) (block meta.Block, err error) {
	size := int32(producerBlock)
	if c.w.Buggify("a block of one producer id") {
		size = 1
	}
	err = c.quorum.Change(func(m *meta.Image) (records []meta.Record, err error) {
		records, block, err = m.AllocateProducerIDs(self, size)
		return records, err
	})
	if err != nil {
		return meta.Block{}, err
	}
	return block, nil
}
