package meta

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// EveryBroker stands for all brokers where settings are concerned.
const EveryBroker kafka.NodeID = -1

// A ConfigRecord sets one setting of a topic, or removes it.
type ConfigRecord struct {
	Topic kafka.TopicID
	Name  string
	Value *string // nil removes it
}

// A BrokerConfig sets one setting of a broker that may change while it runs, or
// of EveryBroker, or removes it. The broker need not be registered.
type BrokerConfig struct {
	Broker kafka.NodeID
	Name   string
	Value  *string // nil removes it
}

func (r ConfigRecord) put(e *encoder) {
	e.raw(r.Topic[:])
	e.text(r.Name)
	e.optional(r.Value)
}

func (r BrokerConfig) put(e *encoder) {
	e.int32(int32(r.Broker))
	e.text(r.Name)
	e.optional(r.Value)
}

// brokerSettings are what is set on one broker, or on all.
type brokerSettings struct {
	id    kafka.NodeID
	pairs []config.Pair
}

// BrokerSettings returns what is set on a broker, or on EveryBroker, by name. The
// slice is the image's own and is never changed.
func (m *Image) BrokerSettings(id kafka.NodeID) []config.Pair {
	if i, ok := m.searchSettings(id); ok {
		return m.brokerSettings[i].pairs
	}
	return nil
}

// Overlay returns what is set on a broker while it runs.
func (m *Image) Overlay(id kafka.NodeID) config.Overlay {
	return config.Overlay{Every: m.BrokerSettings(EveryBroker), Own: m.BrokerSettings(id)}
}

func (m *Image) searchSettings(id kafka.NodeID) (int, bool) {
	return slices.BinarySearchFunc(m.brokerSettings, id, func(s brokerSettings, id kafka.NodeID) int { return int(s.id) - int(id) })
}

// applyConfig replaces the slice of settings, which others may be reading.
func (m *Image) applyConfig(r ConfigRecord) error {
	t, ok := m.byID[r.Topic]
	if !ok {
		return fmt.Errorf("setting %s of unknown topic %s: %w", r.Name, r.Topic, ErrMalformed)
	}
	t.Settings = with(t.Settings, r.Name, r.Value)
	return nil
}

func (m *Image) applyBrokerConfig(r BrokerConfig) {
	i, found := m.searchSettings(r.Broker)
	if !found {
		m.brokerSettings = slices.Insert(m.brokerSettings, i, brokerSettings{id: r.Broker})
	}
	s := &m.brokerSettings[i]
	if s.pairs = with(s.pairs, r.Name, r.Value); len(s.pairs) == 0 {
		m.brokerSettings = slices.Delete(m.brokerSettings, i, i+1)
	}
}

// with returns a copy of sorted settings in which one is set, or removed.
func with(pairs []config.Pair, name string, value *string) []config.Pair {
	pairs = slices.Clone(pairs)
	i, found := slices.BinarySearchFunc(pairs, config.Pair{Name: name}, comparePairs)
	switch {
	case value == nil && found:
		return slices.Delete(pairs, i, i+1)
	case value != nil && found:
		pairs[i].Value = *value
	case value != nil:
		return slices.Insert(pairs, i, config.Pair{Name: name, Value: *value})
	}
	return pairs
}

func (m *Image) checkBrokerSettings() error {
	for i, s := range m.brokerSettings {
		if i > 0 && m.brokerSettings[i-1].id >= s.id {
			return fmt.Errorf("image: settings of broker %d after those of broker %d", s.id, m.brokerSettings[i-1].id)
		}
		if len(s.pairs) == 0 || !slices.IsSortedFunc(s.pairs, comparePairs) {
			return fmt.Errorf("image: broker %d: settings are not sorted, or there are none: %v", s.id, s.pairs)
		}
	}
	return nil
}

// settingsOf turns settings into the records that set them.
func settingsOf(topic kafka.TopicID, pairs []config.Pair) []Record {
	var out []Record
	for _, p := range pairs {
		out = append(out, ConfigRecord{Topic: topic, Name: p.Name, Value: &p.Value})
	}
	return out
}

// AlterTopic returns the records that edit what is set on a topic, on a broker
// with the given settings, or why not: INVALID_TOPIC_EXCEPTION,
// UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG or INVALID_REQUEST.
func (m *Image) AlterTopic(name string, edit config.Edit, broker *config.View) ([]Record, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	t, ok := m.Topic(name)
	if !ok {
		return nil, fmt.Errorf("topic %s: %w", name, kafka.ErrUnknownTopicOrPartition)
	}
	next, err := edit(t.Settings, config.TopicInForce(broker, nil))
	if err == nil {
		err = config.CheckTopic(broker, checkable(t.Settings, next, config.Topic))
	}
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", name, err)
	}
	d := m.decide(broker)
	for _, c := range differences(t.Settings, next) {
		d.records = append(d.records, ConfigRecord{Topic: t.ID, Name: c.Name, Value: c.Value})
	}
	d.regard(t, d.policy.of(t.Settings), d.policy.of(next))
	return d.done(), nil
}

// checkable returns the pairs without those that were set before and that this
// version does not know: a later one may have set them, and they may stay.
func checkable(before, next []config.Pair, scope config.Scope) []config.Pair {
	var out []config.Pair
	for _, p := range next {
		if _, known := config.Lookup(scope, p.Name); known || !slices.Contains(before, p) {
			out = append(out, p)
		}
	}
	return out
}

// AlterBroker returns the records that edit what is set on a broker, or on
// EveryBroker, while it runs, or why not: BROKER_ID_NOT_REGISTERED,
// INVALID_CONFIG or INVALID_REQUEST. configured is the configuration of the node
// that decides. What is in another broker's own file is not known here, so its
// settings are checked against the defaults. The settings of all topics have to
// go with the new ones.
func (m *Image) AlterBroker(id kafka.NodeID, edit config.Edit, configured *config.View) ([]Record, error) {
	self := kafka.NodeID(config.NodeID.In(configured))
	if _, ok := m.Broker(id); !ok && id != EveryBroker && id != self {
		return nil, fmt.Errorf("broker %d: %w", id, kafka.ErrBrokerIDNotRegistered)
	}
	now := m.Overlay(self)
	what, before := "every broker", now.Every
	if id != EveryBroker {
		now.Own = m.BrokerSettings(id)
		what, before = fmt.Sprintf("broker %d", id), now.Own
	}
	own := configured
	if id != EveryBroker && id != self {
		own, _ = config.NewBroker(nil) // nothing is set, so nothing can be wrong
	}
	inherited := own
	if id != EveryBroker {
		inherited = own.InForce(config.Overlay{Every: now.Every})
	}
	next, err := edit(before, inherited)
	if err == nil {
		err = m.checkOverlay(id, now, next, own)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	d := m.decide(configured.InForce(m.Overlay(self)))
	for _, c := range differences(before, next) {
		d.records = append(d.records, BrokerConfig{Broker: id, Name: c.Name, Value: c.Value})
	}
	if id == EveryBroker {
		d.regardAll(policyOn(next, configured.InForce(config.Overlay{Every: next, Own: now.Own})))
	}
	return d.done(), nil
}

// checkOverlay tells whether next can be set on the broker, or on EveryBroker.
func (m *Image) checkOverlay(id kafka.NodeID, now config.Overlay, next []config.Pair, configured *config.View) error {
	if _, set := find(next, config.MinInsyncReplicas.Name); set && id != EveryBroker && m.FeatureLevel(EligibleLeaderReplicas) > 0 {
		return fmt.Errorf("%s: with %s it is set for all brokers or for a topic: %w",
			config.MinInsyncReplicas.Name, EligibleLeaderReplicas, kafka.ErrInvalidConfig)
	}
	after := config.Overlay{Every: checkable(now.Every, now.Every, config.Broker), Own: checkable(now.Own, now.Own, config.Broker)}
	if id == EveryBroker {
		after.Every = checkable(now.Every, next, config.Broker)
	} else {
		after.Own = checkable(now.Own, next, config.Broker)
	}
	view, err := configured.Overlaid(after)
	if err != nil {
		return err
	}
	return m.checkTopicsOn(view, configured.InForce(now))
}

// checkTopicsOn tells whether a topic contradicts settings of its broker that
// would change. One that contradicts them already does not count.
func (m *Image) checkTopicsOn(next, now *config.View) error {
	for _, t := range m.topics {
		if len(t.Settings) == 0 {
			continue
		}
		err := config.TopicInForce(next, t.Settings).Contradicts()
		if err != nil && config.TopicInForce(now, t.Settings).Contradicts() == nil {
			return fmt.Errorf("topic %s: %w", t.Name, err)
		}
	}
	return nil
}

// A difference is a setting that is set, or removed if Value is nil.
type difference struct {
	Name  string
	Value *string
}

// differences returns what turns one sorted list of settings into another.
func differences(before, after []config.Pair) []difference {
	var out []difference
	for _, p := range before {
		if _, stays := find(after, p.Name); !stays {
			out = append(out, difference{Name: p.Name})
		}
	}
	for _, p := range after {
		if old, was := find(before, p.Name); !was || old != p.Value {
			out = append(out, difference{p.Name, &p.Value})
		}
	}
	return out
}

func find(pairs []config.Pair, name string) (string, bool) {
	i, ok := slices.BinarySearchFunc(pairs, config.Pair{Name: name}, comparePairs)
	if !ok {
		return "", false
	}
	return pairs[i].Value, true
}
