package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Heartbeat (key 12): a member of a classic group lives, and is told whether its
// group rebalances. 0 to 4.
//
// v3 adds static members.

func heartbeat(s *Server, _ *Call, q *kmsg.HeartbeatRequest) kmsg.Response {
	in := group.HeartbeatRequest{Group: q.Group, Generation: group.Generation(q.Generation), Member: q.MemberID, Instance: text(q.InstanceID)}
	r := kmsg.NewPtrHeartbeatResponse()
	v, err := s.groups.Do(q.Group, func(m *group.Shard, at machine.Moment, t machine.Ticket) { m.Heartbeat(at, t, in) })
	if err != nil {
		r.ErrorCode = int16(coordinatorCode(err))
		return r
	}
	r.ErrorCode = int16(v.(group.HeartbeatResponse).Error)
	return r
}
