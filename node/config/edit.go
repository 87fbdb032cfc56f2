package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/kafka"
)

// An Edit turns what is set into what shall be set, sorted by name. Where
// nothing is set for a name, inherited tells the value in force; it may be nil.
// It checks what it changes, not what is then in force.
type Edit func(pairs []Pair, inherited *View) ([]Pair, error)

// An Operation is what a Change does, by Kafka's numbers.
type Operation int8

const (
	Set      Operation = 0
	Delete   Operation = 1 // what is not set may be deleted
	Append   Operation = 2 // to a list the items that it does not have
	Subtract Operation = 3 // from a list
)

// A Change changes one setting.
type Change struct {
	Name      string
	Operation Operation
	Value     *string // not nil but with Delete
}

// Replacing sets the pairs and nothing else. It fails with INVALID_REQUEST if
// one name stands there twice.
func Replacing(pairs []Pair) Edit {
	return func([]Pair, *View) ([]Pair, error) {
		if err := checkPairs(pairs, kafka.ErrInvalidRequest); err != nil {
			return nil, err
		}
		return sorted(slices.Clone(pairs)), nil
	}
}

// Changing makes changes and leaves all else. It fails with INVALID_REQUEST if
// one name stands there twice, or a value is missing, or an operation is none;
// with INVALID_CONFIG if there is no such setting, or it is no list.
func Changing(scope Scope, changes []Change) Edit {
	return func(pairs []Pair, inherited *View) ([]Pair, error) {
		pairs = slices.Clone(pairs)
		for i, c := range changes {
			if slices.ContainsFunc(changes[:i], func(other Change) bool { return other.Name == c.Name }) {
				return nil, fmt.Errorf("%s: changed twice: %w", shorten(c.Name), kafka.ErrInvalidRequest)
			}
			var err error
			if pairs, err = c.apply(scope, pairs, inherited); err != nil {
				return nil, err
			}
		}
		return sorted(pairs), nil
	}
}

func sorted(pairs []Pair) []Pair {
	slices.SortFunc(pairs, func(a, b Pair) int { return strings.Compare(a.Name, b.Name) })
	return pairs
}

func (c Change) apply(scope Scope, pairs []Pair, inherited *View) ([]Pair, error) {
	if c.Operation < Set || c.Operation > Subtract {
		return nil, fmt.Errorf("%s: unknown operation %d: %w", shorten(c.Name), c.Operation, kafka.ErrInvalidRequest)
	}
	if c.Value == nil && c.Operation != Delete {
		return nil, fmt.Errorf("%s: no value: %w", shorten(c.Name), kafka.ErrInvalidRequest)
	}
	at := slices.IndexFunc(pairs, func(p Pair) bool { return p.Name == c.Name })
	if c.Operation == Delete && at >= 0 { // whether or not this version knows it
		return slices.Delete(pairs, at, at+1), nil
	}
	s, err := checkName(scope, c.Name)
	if err != nil || c.Operation == Delete {
		return pairs, err
	}
	value := *c.Value
	if c.Operation != Set {
		before := ""
		switch {
		case at >= 0:
			before = pairs[at].Value
		case inherited != nil:
			before = inherited.value(s).Text
		}
		if value, err = c.edited(s, before); err != nil {
			return nil, err
		}
	}
	if at >= 0 {
		pairs[at].Value = value
		return pairs, nil
	}
	return append(pairs, Pair{c.Name, value}), nil
}

// edited returns a list with items appended or taken out.
func (c Change) edited(s *Setting, before string) (string, error) {
	if s.Type != TypeList {
		return "", fmt.Errorf("%s: not a list, nothing can be appended or subtracted: %w", s.Name, kafka.ErrInvalidConfig)
	}
	if len(before)+len(*c.Value) > maxValue { // bounds the comparisons below
		return "", fmt.Errorf("%s: a value of %d bytes: %w", s.Name, len(before)+len(*c.Value), kafka.ErrInvalidConfig)
	}
	items := parseList(before)
	for _, item := range parseList(*c.Value) {
		at := slices.Index(items, item)
		switch {
		case c.Operation == Append && at < 0:
			items = append(items, item)
		case c.Operation == Subtract && at >= 0:
			items = slices.Delete(items, at, at+1)
		}
	}
	return strings.Join(items, ","), nil
}
