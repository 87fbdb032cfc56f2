package config

import (
	"fmt"
	"strconv"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A Source says where a value comes from, by Kafka's numbers.
type Source int8

const (
	FromTopic        Source = 1 // set on the topic
	FromStaticBroker Source = 4 // set in the node's configuration
	FromDefault      Source = 5
)

// A View is the values in force for one topic, or for the node. It does not
// change once it is made.
type View struct {
	scope   Scope
	values  []Value
	sources []Source
}

func (v *View) value(s *Setting) Value {
	if v.scope != s.Scope {
		assert.That(false, "config: %s is a setting of a %s, read from a view of a %s", s.Name, s.Scope, v.scope)
	}
	return v.values[s.index]
}

// Get returns a value and where it comes from, for those who show it.
func (v *View) Get(s *Setting) (Value, Source) { return v.value(s), v.sources[s.index] }

func newView(scope Scope) *View {
	all := registry[scope]
	return &View{scope: scope, values: make([]Value, len(all)), sources: make([]Source, len(all))}
}

func (v *View) put(s *Setting, value Value, source Source) {
	v.values[s.index] = value
	v.sources[s.index] = source
}

// NewBroker returns the settings of a node that sets the pairs, the later of two
// with one name winning. The error names the first that cannot be set.
func NewBroker(pairs []Pair) (*View, error) {
	v := newView(Broker)
	for _, s := range registry[Broker] {
		v.put(s, defaultOf(s), FromDefault)
	}
	return v, v.set(pairs, FromStaticBroker)
}

// NewTopic returns the settings of a topic that sets the pairs, on a node with
// the given settings. The error names the first that cannot be set.
func NewTopic(broker *View, pairs []Pair) (*View, error) {
	v := newView(Topic)
	for _, s := range registry[Topic] {
		value, source := broker.fallback(s)
		v.put(s, value, source)
	}
	if err := v.set(pairs, FromTopic); err != nil {
		return nil, err
	}
	return v, v.checkTogether()
}

// CheckTopic tells whether a topic could set the pairs. None may stand there
// twice.
func CheckTopic(pairs []Pair) error {
	seen := map[string]bool{}
	for _, p := range pairs {
		if seen[p.Name] {
			return fmt.Errorf("%s: set twice: %w", shorten(p.Name), kafka.ErrInvalidConfig)
		}
		seen[p.Name] = true
	}
	broker, err := NewBroker(nil)
	assert.NoError(err)
	_, err = NewTopic(broker, pairs)
	return err
}

func (v *View) set(pairs []Pair, source Source) error {
	for _, p := range pairs {
		s, err := checkName(v.scope, p.Name)
		if err != nil {
			return err
		}
		value, err := s.Parse(p.Value)
		if err != nil {
			return err
		}
		v.put(s, value, source)
	}
	return nil
}

// fallback returns what a topic's setting is on this node while the topic sets
// nothing.
func (v *View) fallback(s *Setting) (Value, Source) {
	for _, f := range s.Fallback {
		b, ok := Lookup(Broker, f.Name)
		assert.That(ok, "config: %s falls back to %s, which is no setting of a broker", s.Name, f.Name)
		value, source := v.Get(b)
		if source == FromDefault {
			continue
		}
		return scaled(value, f.Scale), source
	}
	return defaultOf(s), FromDefault
}

// scaled turns hours into milliseconds. A negative number means "no limit" in
// any unit.
func scaled(v Value, scale int64) Value {
	if scale == 1 || v.Number < 0 {
		return v
	}
	n := v.Number * scale
	return Value{Text: strconv.FormatInt(n, 10), Number: n}
}

func defaultOf(s *Setting) Value {
	if s.Optional {
		return Value{}
	}
	v, err := s.Parse(s.Default)
	assert.NoError(err)
	return v
}
