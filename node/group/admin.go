package group

import (
	"cmp"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

// DeleteGroup forgets a group that has no members, with its offsets. Answered with a
// DeleteGroupResponse.
func (s *Shard) DeleteGroup(at machine.Moment, t machine.Ticket, r DeleteGroupRequest) {
	s.at = at
	s.enter(t, r)
}

func (s *Shard) deleteGroup(t machine.Ticket, r DeleteGroupRequest) {
	g := s.groups.get(r.Group)
	switch {
	case g == nil:
		s.answer(t, r.failed(kafka.ErrGroupIDNotFound))
		return
	case !g.vacant():
		s.answer(t, r.failed(kafka.ErrNonEmptyGroup))
		return
	}
	var records []machine.Record
	for topic, of := range g.offsets.all() {
		for p := range of.all() {
			records = append(records, tombstone(offsetKey(g.id, topic, p)))
		}
	}
	records = append(records, g.tombstones()...)
	if len(records) == 0 {
		s.answer(t, DeleteGroupResponse{})
		return
	}
	s.change(g, records, nil).answers(t, r, DeleteGroupResponse{})
}

// ListGroups tells which groups there are. Answered at once, with a
// ListGroupsResponse.
func (s *Shard) ListGroups(at machine.Moment, t machine.Ticket, r ListGroupsRequest) {
	s.at = at
	if s.loading {
		s.answer(t, ListGroupsResponse{Error: kafka.ErrCoordinatorLoadInProgress})
		return
	}
	out := ListGroupsResponse{Groups: []ListedGroup{}}
	for _, g := range s.groups.all() {
		l := g.listed()
		if wants(r.States, l.State) && wants(r.Types, l.Type) {
			out.Groups = append(out.Groups, l)
		}
	}
	slices.SortFunc(out.Groups, func(a, b ListedGroup) int { return compare(a.ID, b.ID) })
	s.answer(t, out)
}

// wants reports whether a name is among those that are asked for.
func wants(asked []string, name string) bool {
	return len(asked) == 0 || slices.ContainsFunc(asked, func(a string) bool { return strings.EqualFold(a, name) })
}

func (g *group) listed() ListedGroup {
	if g.consumer != nil {
		return ListedGroup{ID: g.id, ProtocolType: consumerType, State: g.consumer.state(), Type: "consumer"}
	}
	return ListedGroup{ID: g.id, ProtocolType: g.classic.protocolType, State: g.classic.state.String(), Type: "classic"}
}

// DescribeGroup tells who is in a classic group. Answered at once, with a
// DescribeGroupResponse.
func (s *Shard) DescribeGroup(at machine.Moment, t machine.Ticket, r DescribeGroupRequest) {
	s.at = at
	s.enter(t, r)
}

func (s *Shard) describe(t machine.Ticket, r DescribeGroupRequest) {
	g := s.groups.get(r.Group)
	if g == nil || g.consumer != nil {
		s.answer(t, DescribeGroupResponse{Error: kafka.ErrGroupIDNotFound, Group: r.Group, State: "Dead"})
		return
	}
	c := &g.classic
	out := DescribeGroupResponse{Group: g.id, State: c.state.String(), ProtocolType: c.protocolType, Members: []DescribedMember{}}
	if c.state == stable {
		out.Protocol = c.protocol
	}
	for _, m := range c.members.all() {
		d := DescribedMember{ID: m.id, Instance: m.instance, Client: m.client}
		if c.state == stable {
			d.Metadata, d.Assignment = m.metadata(c.protocol), m.assignment
		}
		out.Members = append(out.Members, d)
	}
	s.answer(t, out)
}
