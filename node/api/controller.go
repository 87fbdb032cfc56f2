package api

import (
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A Controller decides what clients ask for, if it is the active one; otherwise
// everything fails with NOT_CONTROLLER. What its methods fail with carries a
// kafka.Error. They block until what was decided is applied.
type Controller interface {
	operated
	Active() bool

	// Of brokers.
	Register(r meta.Registration, deadline kafka.Instant) (epoch int64, err error)
	Heartbeat(b meta.Beat, deadline kafka.Instant) (meta.BeatAnswer, error)
	AlterPartitions(self meta.Member, items []meta.Alter, deadline kafka.Instant) ([]meta.Altered, error)
	AllocateProducerIDs(self meta.Member, deadline kafka.Instant) (meta.Block, error)

	// CreateTopic draws the topic's id.
	CreateTopic(n meta.NewTopic, deadline kafka.Instant) (kafka.TopicID, error)
	CheckTopic(n meta.NewTopic) error

	// DeleteTopic returns which topic it was.
	DeleteTopic(t meta.TopicRef, deadline kafka.Instant) (meta.TopicRef, error)
	CreatePartitions(g meta.Growth, deadline kafka.Instant) error
	CheckPartitions(g meta.Growth) error

	AlterTopic(name string, edit config.Edit) error
	CheckAlterTopic(name string, edit config.Edit) error
	AlterBroker(id kafka.NodeID, edit config.Edit) error
	CheckAlterBroker(id kafka.NodeID, edit config.Edit) error
	AlterGroup(group string, edit config.Edit) error
	CheckAlterGroup(group string, edit config.Edit) error
}

// What operators ask for.
type operated interface {
	// ElectLeaders returns what became of each election, in the order of want; of
	// all that were needed if want is nil.
	ElectLeaders(kind meta.ElectionKind, want []meta.Replica) ([]meta.Elected, error)

	// Reassign returns nil or why not for each, in their order.
	Reassign(want []meta.Reassignment) ([]error, error)

	// Reassignments returns those under way; of all partitions if want is nil.
	Reassignments(want []meta.Replica) ([]meta.Reassigning, error)

	Unregister(id kafka.NodeID) error
	UpdateFeatures(updates []meta.FeatureUpdate, deadline kafka.Instant) error
}

// A refusing controller refuses everything: so every request has an answer in its
// own form when no controller was found.
type refusing struct{ why error }

func (r refusing) Active() bool { return false }

func (r refusing) Register(meta.Registration, kafka.Instant) (int64, error) {
	return meta.NoEpoch, r.why
}
func (r refusing) Heartbeat(meta.Beat, kafka.Instant) (meta.BeatAnswer, error) {
	return meta.BeatAnswer{}, r.why
}
func (r refusing) AlterPartitions(meta.Member, []meta.Alter, kafka.Instant) ([]meta.Altered, error) {
	return nil, r.why
}
func (r refusing) AllocateProducerIDs(meta.Member, kafka.Instant) (meta.Block, error) {
	return meta.Block{}, r.why
}
func (r refusing) ElectLeaders(meta.ElectionKind, []meta.Replica) ([]meta.Elected, error) {
	return nil, r.why
}
func (r refusing) Reassign([]meta.Reassignment) ([]error, error)            { return nil, r.why }
func (r refusing) Reassignments([]meta.Replica) ([]meta.Reassigning, error) { return nil, r.why }
func (r refusing) Unregister(kafka.NodeID) error                            { return r.why }
func (r refusing) UpdateFeatures([]meta.FeatureUpdate, kafka.Instant) error { return r.why }
func (r refusing) CreateTopic(meta.NewTopic, kafka.Instant) (kafka.TopicID, error) {
	return kafka.TopicID{}, r.why
}
func (r refusing) CheckTopic(meta.NewTopic) error { return r.why }
func (r refusing) DeleteTopic(t meta.TopicRef, _ kafka.Instant) (meta.TopicRef, error) {
	return t, r.why
}
func (r refusing) CreatePartitions(meta.Growth, kafka.Instant) error { return r.why }
func (r refusing) CheckPartitions(meta.Growth) error                 { return r.why }
func (r refusing) AlterTopic(string, config.Edit) error              { return r.why }
func (r refusing) CheckAlterTopic(string, config.Edit) error         { return r.why }
func (r refusing) AlterBroker(kafka.NodeID, config.Edit) error       { return r.why }
func (r refusing) CheckAlterBroker(kafka.NodeID, config.Edit) error  { return r.why }
func (r refusing) AlterGroup(string, config.Edit) error              { return r.why }
func (r refusing) CheckAlterGroup(string, config.Edit) error         { return r.why }
