package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// SyncGroup (key 14): the leader says who gets what, and every member is told its
// own part. 0 to 5.
//
// It is answered when the leader's assignment is committed. v3 adds static members,
// v5 has the protocol in both directions, so that who has fallen behind notices
// (KIP-559).

func syncGroup(s *Server, call *Call, q *kmsg.SyncGroupRequest) kmsg.Response {
	in := group.SyncRequest{
		Group: q.Group, Generation: group.Generation(q.Generation), Member: q.MemberID, Instance: text(q.InstanceID),
		ProtocolType: text(q.ProtocolType), Protocol: text(q.Protocol),
	}
	for _, a := range q.GroupAssignment {
		in.Assignments = append(in.Assignments, group.Assignment{Member: a.MemberID, Bytes: a.MemberAssignment})
	}
	a := askGroup[group.SyncResponse](s, q.Group, in, (*group.Shard).Sync)
	r := kmsg.NewPtrSyncGroupResponse()
	r.ErrorCode, r.MemberAssignment = int16(a.Error), a.Assignment
	r.ProtocolType, r.Protocol = nullable(a.ProtocolType), nullable(a.Protocol)
	if r.MemberAssignment == nil {
		r.MemberAssignment = []byte{} // not null on the wire
	}
	return r
}
