package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConsumerGroupHeartbeat (key 68): a member of a group of the consumer protocol joins,
// lives, tells what it has let go of, and leaves; the coordinator tells what it shall
// have (KIP-848). 0 to 1.
//
// v1 has the client draw its member id and adds patterns of topics.

func consumerGroupHeartbeat(s *Server, call *Call, q *kmsg.ConsumerGroupHeartbeatRequest) kmsg.Response {
	in := group.ConsumerHeartbeatRequest{
		Group: q.Group, Member: q.MemberID, Instance: text(q.InstanceID), Epoch: q.MemberEpoch, Rack: q.RackID,
		RebalanceTimeout: millis(q.RebalanceTimeoutMillis), Topics: q.SubscribedTopicNames, Regex: q.SubscribedTopicRegex,
		Assignor: q.ServerAssignor, Version: call.Version, Client: call.client(),
	}
	if q.Topics != nil {
		in.Owned = []group.TopicPartitions{}
	}
	for _, t := range q.Topics {
		in.Owned = append(in.Owned, group.TopicPartitions{Topic: t.TopicID, Partitions: t.Partitions})
	}
	a := askGroup[*group.ConsumerHeartbeatResponse](s, q.Group, in, (*group.Shard).ConsumerHeartbeat)
	r := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	r.ErrorCode, r.ErrorMessage = int16(a.Error), nullable(a.Message)
	r.MemberID, r.MemberEpoch, r.HeartbeatIntervalMillis = nullable(a.Member), a.Epoch, int32(a.Interval.Milliseconds())
	if a.Assigned != nil {
		r.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{}
		for _, t := range a.Assigned {
			r.Assignment.Topics = append(r.Assignment.Topics, kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{TopicID: t.Topic, Partitions: t.Partitions})
		}
	}
	return r
}
