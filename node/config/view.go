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
	FromBroker       Source = 2 // set on the broker while it runs
	FromEveryBroker  Source = 3 // set on all brokers while they run
	FromStaticBroker Source = 4 // set in the node's configuration
	FromDefault      Source = 5
	FromGroup        Source = 8 // set on the group
)

func (s Source) String() string {
	switch s {
	case FromTopic:
		return "topic"
	case FromBroker:
		return "broker"
	case FromEveryBroker:
		return "every broker"
	case FromStaticBroker:
		return "configuration"
	case FromDefault:
		return "default"
	case FromGroup:
		return "group"
	}
	return "source " + strconv.Itoa(int(s))
}

// A View is the values in force for one topic or group, or for a node. It does not
// change once it is made.
type View struct {
	scope   Scope
	values  []Value
	sources []Source
	layers  []layer // what was set, the later winning
	broker  *View   // of a topic or group: the node's, which it falls back to
}

// A layer is what one source sets.
type layer struct {
	source Source
	pairs  []Pair
}

func (v *View) value(s *Setting) Value {
	if v.scope != s.Scope {
		assert.That(false, "config: %s is a setting of a %s, read from a view of a %s", s.Name, s.Scope, v.scope)
	}
	return v.values[s.index]
}

// Get returns a value and where it comes from, for those who show it. The text
// of a sensitive one is not to be shown.
func (v *View) Get(s *Setting) (Value, Source) { return v.value(s), v.sources[s.index] }

func newView(scope Scope) *View {
	all := registry[scope]
	return &View{scope: scope, values: make([]Value, len(all)), sources: make([]Source, len(all))}
}

func (v *View) put(s *Setting, value Value, source Source) {
	v.values[s.index] = value
	v.sources[s.index] = source
}

// An Overlay is what is set on a node while it runs.
type Overlay struct {
	Every []Pair // on all brokers
	Own   []Pair // on this one; wins
}

// NewBroker returns the settings of a node that sets the pairs, the later of two
// with one name winning. The error names the first that cannot be set.
func NewBroker(pairs []Pair) (*View, error) {
	v := newBroker()
	return v, first(v.set(FromStaticBroker, pairs), v.checkTogether())
}

func newBroker() *View {
	v := newView(Broker)
	for _, s := range registry[Broker] {
		v.put(s, s.initial, FromDefault)
	}
	return v
}

// Overlaid returns the settings of a node with what is set on it while it runs.
// The error names the first that cannot be set, or not then.
func (v *View) Overlaid(o Overlay) (*View, error) {
	out, errs := v.overlaid(o)
	return out, first(errs, out.checkTogether())
}

// InForce is Overlaid, and leaves out what cannot be set: a later version may
// have set it, or the node's own configuration has changed since.
func (v *View) InForce(o Overlay) *View {
	out, _ := v.overlaid(o)
	return out
}

func (v *View) overlaid(o Overlay) (*View, []error) {
	out := newBroker()
	var errs []error
	for _, l := range v.layers {
		if l.source == FromStaticBroker {
			errs = append(errs, out.set(l.source, l.pairs)...)
		}
	}
	every, errEvery := changeable(o.Every)
	own, errOwn := changeable(o.Own)
	errs = append(append(errs, errEvery...), errOwn...)
	errs = append(errs, out.set(FromEveryBroker, every)...)
	return out, append(errs, out.set(FromBroker, own)...)
}

// changeable returns the pairs that may be set while a node runs.
func changeable(pairs []Pair) (can []Pair, errs []error) {
	for _, p := range pairs {
		if s, ok := Lookup(Broker, p.Name); ok && !s.Dynamic {
			errs = append(errs, fmt.Errorf("%s: cannot change while the node runs: %w", p.Name, kafka.ErrInvalidConfig))
			continue
		}
		can = append(can, p)
	}
	return can, errs
}

// NewTopic returns the settings of a topic that sets the pairs, on a node with
// the given settings. The error names the first that cannot be set.
func NewTopic(broker *View, pairs []Pair) (*View, error) {
	v, errs := newInheriting(Topic, FromTopic, broker, pairs)
	return v, first(errs, v.checkTogether())
}

// TopicInForce is NewTopic, and leaves out what cannot be set: a later version
// may have set it, or the node's settings have changed since.
func TopicInForce(broker *View, pairs []Pair) *View {
	v, _ := newInheriting(Topic, FromTopic, broker, pairs)
	return v
}

// newInheriting returns the settings of what sets some and has others from its node.
func newInheriting(scope Scope, set Source, broker *View, pairs []Pair) (*View, []error) {
	v := newView(scope)
	v.broker = broker
	for _, s := range registry[scope] {
		value, source := broker.fallback(s)
		v.put(s, value, source)
	}
	return v, v.set(set, pairs)
}

// CheckTopic tells whether a topic could set the pairs, on a node with the given
// settings; nil stands for the defaults. None may stand there twice.
func CheckTopic(broker *View, pairs []Pair) error {
	if err := checkPairs(pairs, kafka.ErrInvalidConfig); err != nil {
		return err
	}
	if broker == nil {
		broker = newBroker()
	}
	_, err := NewTopic(broker, pairs)
	return err
}

// maxPairs bounds what is looked at one by one. There are far fewer settings.
const maxPairs = 1000

// checkPairs refuses pairs with one name, and more than there can be.
func checkPairs(pairs []Pair, kind kafka.Error) error {
	if len(pairs) > maxPairs {
		return fmt.Errorf("%d settings: %w", len(pairs), kind)
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		if seen[p.Name] {
			return fmt.Errorf("%s: set twice: %w", shorten(p.Name), kind)
		}
		seen[p.Name] = true
	}
	return nil
}

// set puts a layer on top and returns what is wrong with the pairs that it had
// to leave out.
func (v *View) set(source Source, pairs []Pair) (errs []error) {
	l := layer{source: source}
	for _, p := range pairs {
		s, err := checkName(v.scope, p.Name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		value, err := s.Parse(p.Value)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		v.put(s, value, source)
		l.pairs = append(l.pairs, p)
	}
	if l.pairs != nil {
		v.layers = append(v.layers, l)
	}
	return errs
}

// first returns the first error, or the last one given.
func first(errs []error, last error) error {
	if len(errs) > 0 {
		return errs[0]
	}
	return last
}

// fallback returns what a topic's setting is on this node while the topic sets
// nothing.
func (v *View) fallback(s *Setting) (Value, Source) {
	for i, b := range s.fallback {
		value, source := v.Get(b)
		if source == FromDefault {
			continue
		}
		return scaled(value, s.Fallback[i].Scale), source
	}
	return s.initial, FromDefault
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

// checkTogether refuses settings that only contradict each other.
func (v *View) checkTogether() error {
	var low, high *Setting
	if v.scope == Group {
		return v.checkGroup()
	}
	if v.scope == Topic {
		low, high = MinCompactionLag.Setting, MaxCompactionLag.Setting
	} else {
		low, high = logCleanerMinCompactionLag, logCleanerMaxCompactionLag
	}
	if v.value(low).Number <= v.value(high).Number {
		if v.scope == Broker {
			return v.checkCluster()
		}
		return nil
	}
	return fmt.Errorf("%s=%d: more than %s=%d: %w", low.Name, v.value(low).Number, high.Name, v.value(high).Number, kafka.ErrInvalidConfig)
}

// Contradicts reports whether settings in force contradict each other, as they
// can when those of a topic and of its node were set one after the other.
func (v *View) Contradicts() error { return v.checkTogether() }

// A Synonym is a place that a value is taken from.
type Synonym struct {
	Name   string // of the setting there
	Text   string
	Source Source
}

// Synonyms returns what is set for a setting, the value in force first: on the
// topic, then on the node under each name that stands in for it. Defaults come
// last. Texts are as they were written, in the units of their own settings.
func (v *View) Synonyms(s *Setting) []Synonym {
	out := v.own(s)
	if v.scope == Broker {
		return out
	}
	var defaults []Synonym
	for _, b := range s.fallback {
		for _, y := range v.broker.own(b) {
			if y.Source == FromDefault {
				defaults = append(defaults, y)
			} else {
				out = append(out, y)
			}
		}
	}
	return append(out, defaults...)
}

// own returns what is set under a setting's own name.
func (v *View) own(s *Setting) (out []Synonym) {
	for i := len(v.layers) - 1; i >= 0; i-- {
		l := v.layers[i]
		for j := len(l.pairs) - 1; j >= 0; j-- {
			if l.pairs[j].Name == s.Name {
				out = append(out, Synonym{s.Name, l.pairs[j].Value, l.source})
				break
			}
		}
	}
	if v.scope == Broker && !s.Optional {
		out = append(out, Synonym{s.Name, s.Default, FromDefault})
	}
	return out
}
