package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// LeaveGroup (key 13): members leave their group. 0 to 5.
//
// v3 names several members, static ones by their instance id alone (KIP-345); v5
// takes a reason for the log (KIP-800).

func leaveGroup(s *Server, call *Call, q *kmsg.LeaveGroupRequest) kmsg.Response {
	in := group.LeaveRequest{Group: q.Group, Version: call.Version}
	if call.Version < 3 {
		in.Members = []group.Leaver{{Member: q.MemberID}}
	}
	for _, m := range q.Members {
		in.Members = append(in.Members, group.Leaver{Member: m.MemberID, Instance: text(m.InstanceID)})
	}
	a := askGroup[group.LeaveResponse](s, q.Group, in, (*group.Shard).Leave)
	r := kmsg.NewPtrLeaveGroupResponse()
	r.ErrorCode = int16(a.Error)
	for _, m := range a.Members {
		r.Members = append(r.Members, kmsg.LeaveGroupResponseMember{MemberID: m.Member, InstanceID: nullable(m.Instance), ErrorCode: int16(m.Error)})
	}
	return r
}
