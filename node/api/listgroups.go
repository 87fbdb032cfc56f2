package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListGroups (key 16): the groups that this broker coordinates. 0 to 5.
//
// v4 takes states and tells them (KIP-518), v5 types (KIP-848). While the log of some
// of the groups is being read the answer is COORDINATOR_LOAD_IN_PROGRESS.

func listGroups(s *Server, _ *Call, q *kmsg.ListGroupsRequest) kmsg.Response {
	in := group.ListGroupsRequest{States: q.StatesFilter, Types: q.TypesFilter}
	answers, err := s.groups.Each(func(m *group.Shard, at machine.Moment, t machine.Ticket) { m.ListGroups(at, t, in) })
	r := kmsg.NewPtrListGroupsResponse()
	if err != nil {
		r.ErrorCode = int16(coordinatorCode(err))
		return r
	}
	for _, answer := range answers {
		a := answer.(group.ListGroupsResponse)
		if a.Error != kafka.None {
			r.ErrorCode = int16(a.Error)
		}
		for _, g := range a.Groups {
			r.Groups = append(r.Groups, kmsg.ListGroupsResponseGroup{Group: g.ID, ProtocolType: g.ProtocolType, GroupState: g.State, GroupType: g.Type})
		}
	}
	return r
}
