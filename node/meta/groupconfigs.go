package meta

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// maxGroup bounds the name of a group that has settings.
const maxGroup = 16_000

// A GroupConfig sets one setting of a group, or removes it. There need not be such a
// group.
type GroupConfig struct {
	Group string
	Name  string
	Value *string // nil removes it
}

func (r GroupConfig) put(e *encoder) {
	e.text(r.Group)
	e.text(r.Name)
	e.optional(r.Value)
}

// GroupSettings are what is set on one group, by name. There is at least one.
type GroupSettings struct {
	Group string
	Pairs []config.Pair
}

// Groups returns the groups that have settings, by name. The slice is the image's own.
func (m *Image) Groups() []GroupSettings { return m.groups }

// GroupSettings returns what is set on a group, by name. The slice is the image's own
// and is never changed.
func (m *Image) GroupSettings(group string) []config.Pair {
	if i, ok := m.searchGroup(group); ok {
		return m.groups[i].Pairs
	}
	return nil
}

func (m *Image) searchGroup(group string) (int, bool) {
	return slices.BinarySearchFunc(m.groups, group, func(s GroupSettings, group string) int { return cmp.Compare(s.Group, group) })
}

func (m *Image) applyGroupConfig(r GroupConfig) {
	i, found := m.searchGroup(r.Group)
	if !found {
		m.groups = slices.Insert(m.groups, i, GroupSettings{Group: r.Group})
	}
	s := &m.groups[i]
	if s.Pairs = with(s.Pairs, r.Name, r.Value); len(s.Pairs) == 0 {
		m.groups = slices.Delete(m.groups, i, i+1)
	}
}

func (m *Image) dumpGroups() (out []Record) {
	for _, g := range m.groups {
		for _, p := range g.Pairs {
			out = append(out, GroupConfig{Group: g.Group, Name: p.Name, Value: &p.Value})
		}
	}
	return out
}

func (m *Image) checkGroups() error {
	for i, g := range m.groups {
		if i > 0 && m.groups[i-1].Group >= g.Group {
			return fmt.Errorf("image: settings of group %s after those of group %s", g.Group, m.groups[i-1].Group)
		}
		if len(g.Pairs) == 0 || !slices.IsSortedFunc(g.Pairs, comparePairs) {
			return fmt.Errorf("image: group %s: settings are not sorted, or there are none: %v", g.Group, g.Pairs)
		}
	}
	return nil
}

// AlterGroup returns the records that edit what is set on a group, on a broker with
// the given settings, or why not: INVALID_REQUEST or INVALID_CONFIG.
func (m *Image) AlterGroup(group string, edit config.Edit, broker *config.View) ([]Record, error) {
	if group == "" || len(group) > maxGroup {
		return nil, fmt.Errorf("a group's name of %d bytes: %w", len(group), kafka.ErrInvalidRequest)
	}
	before := m.GroupSettings(group)
	next, err := edit(before, config.GroupInForce(broker, nil))
	if err == nil {
		err = config.CheckGroup(broker, checkable(before, next, config.Group))
	}
	if err != nil {
		return nil, fmt.Errorf("group %.249s: %w", group, err)
	}
	d := m.decide(broker)
	for _, c := range differences(before, next) {
		d.records = append(d.records, GroupConfig{Group: group, Name: c.Name, Value: c.Value})
	}
	return d.done(), nil
}
