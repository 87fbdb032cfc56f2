package config

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
)

// The settings of one group of the consumer protocol (KIP-848). A group need not be
// there to have some.
var (
	ConsumerSession = Millis{define(&Setting{
		Name: "consumer.session.timeout.ms", Scope: Group, Type: TypeInt, Default: "45000", Dynamic: true,
		check: atLeast(1), Fallback: []Fallback{{"group.consumer.session.timeout.ms", 1}},
		Doc: "How long a member of the group may be silent, if it speaks the consumer protocol: between group.consumer.min.session.timeout.ms and group.consumer.max.session.timeout.ms.",
	})}

	ConsumerHeartbeat = Millis{define(&Setting{
		Name: "consumer.heartbeat.interval.ms", Scope: Group, Type: TypeInt, Default: "5000", Dynamic: true,
		check: atLeast(1), Fallback: []Fallback{{"group.consumer.heartbeat.interval.ms", 1}},
		Doc: "How often members of the group that speak the consumer protocol are told to send heartbeats: between group.consumer.min.heartbeat.interval.ms and group.consumer.max.heartbeat.interval.ms, and less than the session.",
	})}
)

// GroupInForce returns the settings of a group that sets the pairs, on a node with the
// given settings. What cannot be set is left out: a later version may have set it.
func GroupInForce(broker *View, pairs []Pair) *View {
	v, _ := newInheriting(Group, FromGroup, broker, pairs)
	return v
}

// CheckGroup tells whether a group could set the pairs, on a node with the given
// settings; nil stands for the defaults. None may stand there twice.
func CheckGroup(broker *View, pairs []Pair) error {
	if err := checkPairs(pairs, kafka.ErrInvalidConfig); err != nil {
		return err
	}
	if broker == nil {
		broker = newBroker()
	}
	v, errs := newInheriting(Group, FromGroup, broker, pairs)
	return first(errs, v.checkTogether())
}

// checkGroup refuses what a group sets beyond its node's bounds. What it does not set
// is the node's, and as it may be.
func (v *View) checkGroup() error {
	for _, c := range []struct {
		of        Millis
		low, high int64
	}{
		{ConsumerSession, GroupConsumerMinSession.In(v.broker), GroupConsumerMaxSession.In(v.broker)},
		{ConsumerHeartbeat, GroupConsumerMinHeartbeat.In(v.broker), GroupConsumerMaxHeartbeat.In(v.broker)},
	} {
		value, source := v.Get(c.of.Setting)
		if source == FromGroup && (value.Number < c.low || value.Number > c.high) {
			return fmt.Errorf("%s=%d: not from %d to %d: %w", c.of.Name, value.Number, c.low, c.high, kafka.ErrInvalidConfig)
		}
	}
	session, beat := ConsumerSession.In(v), ConsumerHeartbeat.In(v)
	if beat >= session {
		return fmt.Errorf("%s=%d: not less than %s=%d: %w", ConsumerHeartbeat.Name, beat, ConsumerSession.Name, session, kafka.ErrInvalidConfig)
	}
	return nil
}
