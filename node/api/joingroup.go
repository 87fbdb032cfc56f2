package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// JoinGroup (key 11): a member joins its group, or a rebalance. 0 to 9.
//
// It is answered when the rebalance is over. v0 has no time-out of its own for
// rebalances: it is the session's. From v4 on who has no member id yet is given one
// with MEMBER_ID_REQUIRED, and joins with it (KIP-394); before, it joins at once. v5
// adds static members (KIP-345), v7 tells the protocol's type, v8 takes a reason for
// the log (KIP-800), v9 tells a leader that it need not assign (KIP-814).

func joinGroup(s *Server, call *Call, q *kmsg.JoinGroupRequest) kmsg.Response {
	in := group.JoinRequest{
		Group: q.Group, Member: q.MemberID, Instance: text(q.InstanceID), ProtocolType: q.ProtocolType,
		Session: millis(q.SessionTimeoutMillis), RebalanceTimeout: millis(q.RebalanceTimeoutMillis),
		Version: call.Version, Client: call.client(),
	}
	if call.Version == 0 {
		in.RebalanceTimeout = in.Session
	}
	for _, p := range q.Protocols {
		in.Protocols = append(in.Protocols, group.Protocol{Name: p.Name, Metadata: p.Metadata})
	}
	a := askGroup[group.JoinResponse](s, q.Group, in, (*group.Shard).Join)
	r := kmsg.NewPtrJoinGroupResponse()
	r.ErrorCode, r.Generation = int16(a.Error), int32(a.Generation)
	r.LeaderID, r.MemberID, r.SkipAssignment = a.Leader, a.Member, a.SkipAssignment
	r.ProtocolType, r.Protocol = nullable(a.ProtocolType), nullable(a.Protocol)
	if r.Protocol == nil && call.Version < 7 {
		r.Protocol = &a.Protocol
	}
	for _, m := range a.Members {
		r.Members = append(r.Members, kmsg.JoinGroupResponseMember{MemberID: m.ID, InstanceID: nullable(m.Instance), ProtocolMetadata: m.Metadata})
	}
	return r
}
