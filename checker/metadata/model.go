package metadata

import (
	"maps"
	"slices"
	"strings"
)

// A State is what a resource is at one moment. States are values: equal ones are
// the same.
type State struct {
	There      bool
	ID         string // of a topic; "" if nobody was told
	Partitions int32
	set        string // name=value lines, sorted
}

// Existing returns the state of a topic that exists, with its settings.
func Existing(id string, partitions int32, settings []Setting) State {
	return State{There: true, ID: id, Partitions: partitions, set: edited("", settings)}
}

// initial returns the state of a resource of which nothing was said.
func initial(resource string) State {
	return State{There: !strings.HasPrefix(resource, "topic ")}
}

// edited returns settings with some set and some removed.
func edited(set string, by []Setting) string {
	if len(by) == 0 {
		return set
	}
	values := map[string]string{}
	for line := range strings.Lines(set) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		values[name] = value
	}
	for _, s := range by {
		if delete(values, s.Name); s.Value != nil {
			values[s.Name] = *s.Value
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		b.WriteString(name + "=" + values[name] + "\n")
	}
	return b.String()
}

// A call is an operation in the search, with the ids that somebody was told his
// creation got: no other creation can have one of them.
type call struct {
	*Operation
	told map[string]bool
}

// step returns the state after an operation, if it can have happened in this one
// and been answered so.
func (c call) step(s State) (State, bool) {
	switch c.Answer {
	case Unknown:
		if next, happens := c.effect(s); happens {
			return next, true
		}
		return s, true // it found nothing to do, or never comes
	case Missing:
		return s, !s.There && c.Act != Create
	case Exists:
		return s, s.There && c.Act == Create
	case TooFew:
		return s, s.There && c.Act == Grow && c.Partitions <= s.Partitions
	}
	if !c.Act.writes() {
		return c.observe(s)
	}
	return c.effect(s)
}

// effect carries the operation out, unless the state does not permit it.
func (c call) effect(s State) (State, bool) {
	switch c.Act {
	case Create:
		if s.There {
			return s, false
		}
		return Existing(c.ID, c.Partitions, c.Settings), true
	case Delete:
		if s, ok := c.sameID(s); ok && s.There {
			return State{}, true
		}
		return s, false
	case Grow:
		if !s.There || c.Partitions <= s.Partitions {
			return s, false
		}
		s.Partitions = c.Partitions
		return s, true
	}
	if !s.There {
		return s, false
	}
	s.set = edited(s.set, c.Settings)
	return s, true
}

// observe compares what was shown with what is.
func (c call) observe(s State) (State, bool) {
	if !s.There {
		return s, false
	}
	if c.Act == Read {
		return s, s.set == edited("", c.Settings)
	}
	s, ok := c.sameID(s)
	return s, ok && s.Partitions == c.Partitions
}

// sameID compares the topic's id with the one that the operation was told. A topic
// of unknown id has the one that is told first, unless it is another's.
func (c call) sameID(s State) (State, bool) {
	switch {
	case c.ID == "" || c.ID == s.ID:
		return s, true
	case s.ID != "" || !s.There || c.told[c.ID]:
		return s, false
	}
	s.ID = c.ID
	return s, true
}
