package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteGroups (key 42): groups without members are forgotten, offsets and all
// (KIP-229). 0 to 2.

func deleteGroups(s *Server, _ *Call, q *kmsg.DeleteGroupsRequest) kmsg.Response {
	r := kmsg.NewPtrDeleteGroupsResponse()
	for _, id := range q.Groups {
		a := askGroup[group.DeleteGroupResponse](s, id, group.DeleteGroupRequest{Group: id}, (*group.Shard).DeleteGroup)
		g := kmsg.NewDeleteGroupsResponseGroup()
		g.Group, g.ErrorCode = id, int16(a.Error)
		r.Groups = append(r.Groups, g)
	}
	return r
}
