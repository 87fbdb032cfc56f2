package api

import "github.com/twmb/franz-go/pkg/kmsg"

// eachGroupCode is eachCode for the answers of coordinators.
func eachGroupCode(response kmsg.Response, f func(int16)) {
	switch r := response.(type) {
	case *kmsg.JoinGroupResponse:
		f(r.ErrorCode)
	case *kmsg.SyncGroupResponse:
		f(r.ErrorCode)
	case *kmsg.HeartbeatResponse:
		f(r.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		f(r.ErrorCode)
		each(r.Members, func(m *kmsg.LeaveGroupResponseMember) { f(m.ErrorCode) })
	case *kmsg.OffsetCommitResponse:
		each(r.Topics, func(t *kmsg.OffsetCommitResponseTopic) {
			each(t.Partitions, func(p *kmsg.OffsetCommitResponseTopicPartition) { f(p.ErrorCode) })
		})
	case *kmsg.OffsetFetchResponse:
		f(r.ErrorCode)
		each(r.Topics, func(t *kmsg.OffsetFetchResponseTopic) {
			each(t.Partitions, func(p *kmsg.OffsetFetchResponseTopicPartition) { f(p.ErrorCode) })
		})
		each(r.Groups, func(g *kmsg.OffsetFetchResponseGroup) { f(g.ErrorCode) })
	case *kmsg.OffsetDeleteResponse:
		f(r.ErrorCode)
		each(r.Topics, func(t *kmsg.OffsetDeleteResponseTopic) {
			each(t.Partitions, func(p *kmsg.OffsetDeleteResponseTopicPartition) { f(p.ErrorCode) })
		})
	case *kmsg.DescribeGroupsResponse:
		each(r.Groups, func(g *kmsg.DescribeGroupsResponseGroup) { f(g.ErrorCode) })
	case *kmsg.ListGroupsResponse:
		f(r.ErrorCode)
	case *kmsg.ConsumerGroupHeartbeatResponse:
		f(r.ErrorCode)
	case *kmsg.ConsumerGroupDescribeResponse:
		each(r.Groups, func(g *kmsg.ConsumerGroupDescribeResponseGroup) { f(g.ErrorCode) })
	case *kmsg.DeleteGroupsResponse:
		each(r.Groups, func(g *kmsg.DeleteGroupsResponseGroup) { f(g.ErrorCode) })
	}
}
