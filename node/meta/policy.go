package meta

import (
	"github.com/klammlog/klamm/node/config"
)

// A policy is the settings by which partitions are decided.
type policy struct {
	minISR  int  // min.insync.replicas
	unclean bool // unclean.leader.election.enable
}

// policyOn returns what is in force for topics that set nothing themselves, where
// every sets something for all brokers, on a node with the given settings; nil
// stands for the defaults.
//
// min.insync.replicas counts only as far as all nodes know it. A leader whose own
// configuration asks for fewer replicas than ours would move the high watermark
// where we believe it stands, and eligible leader replicas would lack committed
// records; asking for more does no harm.
func policyOn(every []config.Pair, on *config.View) policy {
	p := policy{minISR: 1}
	if v, ok := parsed(every, config.MinInsyncReplicas.Setting); ok {
		p.minISR = int(v.Number)
	}
	if on != nil {
		p.unclean = config.UncleanLeaderElection.In(config.TopicInForce(on, nil))
	}
	return p
}

// of returns what is in force for a topic with the given settings. What cannot be
// read is not in force.
func (p policy) of(settings []config.Pair) policy {
	if len(settings) == 0 {
		return p
	}
	if v, ok := parsed(settings, config.MinInsyncReplicas.Setting); ok {
		p.minISR = int(v.Number)
	}
	if v, ok := parsed(settings, config.UncleanLeaderElection.Setting); ok {
		p.unclean = v.Number != 0
	}
	return p
}

func parsed(settings []config.Pair, s *config.Setting) (config.Value, bool) {
	text, ok := find(settings, s.Name)
	if !ok {
		return config.Value{}, false
	}
	v, err := s.Parse(text)
	return v, err == nil
}

// Prepare returns the records that the controllers' first leader writes besides
// Format: what its configuration says of min.insync.replicas becomes a setting of
// every broker, where eligible leader replicas are kept and nothing is set, for
// they depend on all leaders having the same. Nothing if that is done or if its
// configuration says nothing (as Kafka does when it enables the feature).
func (m *Image) Prepare(configured *config.View) []Record {
	s, _ := config.Lookup(config.Broker, config.MinInsyncReplicas.Name)
	value, source := configured.Get(s)
	if _, set := find(m.BrokerSettings(EveryBroker), s.Name); set || source == config.FromDefault || m.FeatureLevel(EligibleLeaderReplicas) == 0 {
		return nil
	}
	d := m.decide(nil)
	d.records = append(d.records, BrokerConfig{Broker: EveryBroker, Name: s.Name, Value: &value.Text})
	after := d.policy
	after.minISR = int(value.Number)
	d.regardAll(after)
	return d.done()
}

// regard has a topic's partitions follow a change of its policy. If more replicas
// have to be in sync, partition epochs grow: a leader that has not yet heard of it
// moves the high watermark by the old rule, and may not change the in-sync set
// until it has.
func (d *decision) regard(t *Topic, before, after policy) {
	if before == after {
		return
	}
	for i := range t.Partitions {
		c := d.change(t, int32(i))
		c.policy, c.bump = after, after.minISR > before.minISR
		d.settle(c)
	}
}

// regardAll does so for all topics.
func (d *decision) regardAll(after policy) {
	for _, t := range d.m.topics {
		d.regard(t, d.policy.of(t.Settings), after.of(t.Settings))
	}
}
