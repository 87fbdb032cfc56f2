package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeGroups (key 15): classic groups, their state and members. 0 to 6.
//
// v3 may tell what may be done with a group, v4 adds static members, v6 tells a group
// that is not there by GROUP_ID_NOT_FOUND; before, it is "Dead" without an error.

func describeGroups(s *Server, call *Call, q *kmsg.DescribeGroupsRequest) kmsg.Response {
	r := kmsg.NewPtrDescribeGroupsResponse()
	for _, id := range q.Groups {
		a := askGroup[group.DescribeGroupResponse](s, id, group.DescribeGroupRequest{Group: id}, (*group.Shard).DescribeGroup)
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group, g.ErrorCode, g.State, g.ProtocolType, g.Protocol = id, int16(a.Error), a.State, a.ProtocolType, a.Protocol
		if a.Error == kafka.ErrGroupIDNotFound {
			if call.Version < 6 {
				g.ErrorCode = 0
			} else {
				g.ErrorMessage = message(fmt.Errorf("group %.249s: %w", id, a.Error))
			}
		}
		if q.IncludeAuthorizedOperations && a.Error == kafka.None {
			g.AuthorizedOperations = allowedOnGroup
		}
		for _, m := range a.Members {
			g.Members = append(g.Members, kmsg.DescribeGroupsResponseGroupMember{
				MemberID: m.ID, InstanceID: nullable(m.Instance), ClientID: m.Client.ID, ClientHost: m.Client.Host,
				ProtocolMetadata: m.Metadata, MemberAssignment: m.Assignment,
			})
		}
		r.Groups = append(r.Groups, g)
	}
	return r
}
