// Package config knows the settings: Kafka's names, their defaults, who may set
// them, what values they take and what they mean.
//
// It holds only settings that act: a name that is unknown, or that klamm does
// not act on yet, is refused by name rather than accepted and ignored. Values
// are read where they are used, through a View that is replaced as a whole when
// something changes; nobody keeps a value across a wait.
//
// It is pure: bytes and pairs in, views and errors out.
package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A Scope says what a setting belongs to.
type Scope uint8

const (
	Topic Scope = iota
	Broker
	Group
	scopes
)

func (s Scope) String() string {
	switch s {
	case Topic:
		return "topic"
	case Group:
		return "group"
	}
	return "broker"
}

// A Type is the type of a setting's value, by Kafka's numbers (DescribeConfigs,
// from version 3 on).
type Type int8

const (
	TypeBool   Type = 1
	TypeString Type = 2
	TypeInt    Type = 3
	TypeLong   Type = 5
	TypeDouble Type = 6 // kept as an exact number of millionths
	TypeList   Type = 7
)

func (t Type) String() string {
	switch t {
	case TypeBool:
		return "boolean"
	case TypeString:
		return "string"
	case TypeInt:
		return "int"
	case TypeLong:
		return "long"
	case TypeDouble:
		return "double"
	case TypeList:
		return "list"
	}
	return "type " + strconv.Itoa(int(t))
}

// A Setting describes one setting.
type Setting struct {
	Name      string
	Scope     Scope
	Type      Type
	Default   string
	Optional  bool // has no value unless it is set; Default is ""
	Dynamic   bool // may change while the node runs
	Sensitive bool // never shown, never logged
	Internal  bool // not shown unless it is set
	Doc       string

	// Fallback names the broker settings that give a topic's or a group's setting its
	// value while the topic itself sets none, the first that is set winning.
	Fallback []Fallback

	check    func(Value) error
	index    int
	initial  Value      // the default, parsed
	fallback []*Setting // those that Fallback names
}

// A Fallback is a broker setting whose value, times Scale, stands in for a
// topic's.
type Fallback struct {
	Name  string
	Scale int64 // 1, or what turns hours and minutes into milliseconds
}

// A Pair is a name and a value as somebody wrote them.
type Pair struct{ Name, Value string }

// registry holds the settings of each scope in order of definition; the typed
// variables of broker.go, topic.go and their neighbours fill it.
var registry [scopes][]*Setting

// byName finds them.
var byName = [scopes]map[string]*Setting{{}, {}, {}}

func define(s *Setting) *Setting {
	s.index = len(registry[s.Scope])
	registry[s.Scope] = append(registry[s.Scope], s)
	byName[s.Scope][s.Name] = s
	if !s.Optional {
		v, err := s.Parse(s.Default)
		assert.NoError(err)
		s.initial = v
	}
	return s
}

func init() {
	for _, all := range registry {
		for _, s := range all {
			for _, f := range s.Fallback {
				b, ok := Lookup(Broker, f.Name)
				assert.That(ok, "config: %s falls back to %s, which is no setting of a broker", s.Name, f.Name)
				s.fallback = append(s.fallback, b)
			}
		}
	}
}

// Settings returns the settings of a scope in order of their names.
func Settings(scope Scope) []*Setting {
	sorted := slices.Clone(registry[scope])
	slices.SortFunc(sorted, func(a, b *Setting) int { return cmp.Compare(a.Name, b.Name) })
	return sorted
}

// Lookup finds a setting by its name.
func Lookup(scope Scope, name string) (*Setting, bool) {
	s, ok := byName[scope][name]
	return s, ok
}

// maxValue is the longest value of a setting, in bytes.
const maxValue = 10_000

// Parse checks one value and returns it. Errors wrap kafka.ErrInvalidConfig,
// name the setting, and show the value unless it is sensitive.
func (s *Setting) Parse(text string) (Value, error) {
	if len(text) > maxValue {
		return Value{}, fmt.Errorf("%s: a value of %d bytes: %w", s.Name, len(text), kafka.ErrInvalidConfig)
	}
	v, err := parseValue(s.Type, text)
	if err == nil && s.check != nil {
		err = s.check(v)
	}
	if err != nil && s.Sensitive {
		return Value{}, fmt.Errorf("%s: %v: %w", s.Name, err, kafka.ErrInvalidConfig)
	}
	if err != nil {
		return Value{}, fmt.Errorf("%s=%s: %v: %w", s.Name, shorten(text), err, kafka.ErrInvalidConfig)
	}
	return v, nil
}

// checkName tells in one line why a name cannot be set.
func checkName(scope Scope, name string) (*Setting, error) {
	if s, ok := Lookup(scope, name); ok {
		return s, nil
	}
	for other := range scopes {
		if _, ok := Lookup(other, name); ok {
			return nil, fmt.Errorf("%s: is a setting of a %s, not of a %s: %w", name, other, scope, kafka.ErrInvalidConfig)
		}
	}
	if why, ok := refused(name); ok {
		return nil, fmt.Errorf("%s: does not act here, for %s: %w", shorten(name), why, kafka.ErrInvalidConfig)
	}
	return nil, fmt.Errorf("%s: no setting of a %s that klamm knows and acts on: %w", shorten(name), scope, kafka.ErrInvalidConfig)
}

// shorten keeps what a stranger sent from filling logs and answers.
func shorten(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}
