package api

import (
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A Controller decides what clients ask for, if it is the active one; otherwise
// everything fails with NOT_CONTROLLER. What its methods fail with carries a
// kafka.Error. They block until what was decided is applied.
type Controller interface {
	Active() bool

	// CreateTopic draws the topic's id.
	CreateTopic(n meta.NewTopic, deadline kafka.Instant) (kafka.TopicID, error)
	CheckTopic(n meta.NewTopic) error
	DeleteTopic(id kafka.TopicID, deadline kafka.Instant) error
	CreatePartitions(g meta.Growth, deadline kafka.Instant) error
	CheckPartitions(g meta.Growth) error

	AlterTopic(name string, edit config.Edit) error
	CheckAlterTopic(name string, edit config.Edit) error
	AlterBroker(id kafka.NodeID, edit config.Edit) error
	CheckAlterBroker(id kafka.NodeID, edit config.Edit) error
}

// A refusing controller refuses everything: so every request has an answer in its
// own form when no controller was found.
type refusing struct{ why error }

func (r refusing) Active() bool { return false }

func (r refusing) CreateTopic(meta.NewTopic, kafka.Instant) (kafka.TopicID, error) {
	return kafka.TopicID{}, r.why
}
func (r refusing) CheckTopic(meta.NewTopic) error                    { return r.why }
func (r refusing) DeleteTopic(kafka.TopicID, kafka.Instant) error    { return r.why }
func (r refusing) CreatePartitions(meta.Growth, kafka.Instant) error { return r.why }
func (r refusing) CheckPartitions(meta.Growth) error                 { return r.why }
func (r refusing) AlterTopic(string, config.Edit) error              { return r.why }
func (r refusing) CheckAlterTopic(string, config.Edit) error         { return r.why }
func (r refusing) AlterBroker(kafka.NodeID, config.Edit) error       { return r.why }
func (r refusing) CheckAlterBroker(kafka.NodeID, config.Edit) error  { return r.why }

// A Lone is the controller of a node on its own: its broker.
type Lone struct{ *broker.Broker }

// Active returns true: there is no other.
func (l Lone) Active() bool { return true }

func (l Lone) AlterTopic(name string, edit config.Edit) error {
	return l.Decide(l.EditTopic(name, edit))
}
func (l Lone) CheckAlterTopic(name string, edit config.Edit) error {
	return l.Consider(l.EditTopic(name, edit))
}
func (l Lone) AlterBroker(id kafka.NodeID, edit config.Edit) error {
	return l.Decide(l.EditBroker(id, edit))
}
func (l Lone) CheckAlterBroker(id kafka.NodeID, edit config.Edit) error {
	return l.Consider(l.EditBroker(id, edit))
}
