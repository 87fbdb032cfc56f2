package controller

import (
	"fmt"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// CreateTopic creates a topic and returns its id, which is drawn here. Blocks.
func (c *Controller) CreateTopic(n meta.NewTopic, _ kafka.Instant) (kafka.TopicID, error) {
	n.ID = c.newTopicID()
	n.First = c.firstPlace()
	err := c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) { return m.CreateTopic(n, c.topicDefaults()) })
	if err != nil {
		return kafka.TopicID{}, err
	}
	return n.ID, nil
}

// CheckTopic tells what CreateTopic would, and creates nothing. Blocks.
func (c *Controller) CheckTopic(n meta.NewTopic) error {
	return c.check(func(m *meta.Image) ([]meta.Record, error) { return m.CreateTopic(n, c.topicDefaults()) })
}

// DeleteTopic deletes a topic, and returns which it was. Blocks.
func (c *Controller) DeleteTopic(which meta.TopicRef, _ kafka.Instant) (meta.TopicRef, error) {
	if !config.DeleteTopics.In(c.config) {
		return which, fmt.Errorf("delete.topic.enable=false: %w", kafka.ErrTopicDeletionDisabled)
	}
	found := which
	err := c.quorum.Change(func(m *meta.Image) (records []meta.Record, err error) {
		if found, err = m.Resolve(which); err != nil {
			return nil, err
		}
		return m.DeleteTopic(found.ID)
	})
	return found, err
}

// CreatePartitions adds partitions to a topic. Blocks.
func (c *Controller) CreatePartitions(g meta.Growth, _ kafka.Instant) error {
	g.First = c.firstPlace()
	return c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) { return m.CreatePartitions(g) })
}

// CheckPartitions tells what CreatePartitions would, and adds nothing. Blocks.
func (c *Controller) CheckPartitions(g meta.Growth) error {
	return c.check(func(m *meta.Image) ([]meta.Record, error) { return m.CreatePartitions(g) })
}

// AlterTopic edits what is set on a topic. Blocks.
func (c *Controller) AlterTopic(name string, edit config.Edit) error {
	return c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) { return m.AlterTopic(name, edit, c.config) })
}

// CheckAlterTopic tells what AlterTopic would, and changes nothing. Blocks.
func (c *Controller) CheckAlterTopic(name string, edit config.Edit) error {
	return c.check(func(m *meta.Image) ([]meta.Record, error) { return m.AlterTopic(name, edit, c.config) })
}

// AlterBroker edits what is set on a node, or on meta.EveryBroker, while it runs.
// What the node's own configuration is, is taken to be as here. Blocks.
func (c *Controller) AlterBroker(id kafka.NodeID, edit config.Edit) error {
	return c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) { return m.AlterBroker(id, edit, c.configured) })
}

// CheckAlterBroker tells what AlterBroker would, and changes nothing. Blocks.
func (c *Controller) CheckAlterBroker(id kafka.NodeID, edit config.Edit) error {
	return c.check(func(m *meta.Image) ([]meta.Record, error) { return m.AlterBroker(id, edit, c.configured) })
}

// AlterGroup edits what is set on a group. Blocks.
func (c *Controller) AlterGroup(group string, edit config.Edit) error {
	return c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) { return m.AlterGroup(group, edit, c.config) })
}

// CheckAlterGroup tells what AlterGroup would, and changes nothing. Blocks.
func (c *Controller) CheckAlterGroup(group string, edit config.Edit) error {
	return c.check(func(m *meta.Image) ([]meta.Record, error) { return m.AlterGroup(group, edit, c.config) })
}

// topicDefaults returns what a topic gets if nobody says.
func (c *Controller) topicDefaults() meta.Defaults {
	return meta.Defaults{
		Partitions: int32(config.NumPartitions.In(c.config)),
		Replicas:   int16(config.DefaultReplicationFactor.In(c.config)),
		Broker:     c.config,
	}
}

// newTopicID draws the id of a topic that is going to be created.
func (c *Controller) newTopicID() kafka.TopicID {
	var id kafka.TopicID
	stream := c.w.Rand("controller/topic-id")
	for id == (kafka.TopicID{}) || id == (kafka.TopicID{15: 1}) {
		for i := range id {
			id[i] = byte(stream.Uint32())
		}
	}
	return id
}

// firstPlace draws where placement begins, so that not every topic begins with
// the same broker.
func (c *Controller) firstPlace() int { return int(c.w.Rand("controller/placement").Uint32() >> 8) }
