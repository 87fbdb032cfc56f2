package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConsumerGroupDescribe (key 69): groups of the consumer protocol, their state and
// members (KIP-848). 0 to 1.
//
// v1 tells of each member which protocol it speaks.

func consumerGroupDescribe(s *Server, _ *Call, q *kmsg.ConsumerGroupDescribeRequest) kmsg.Response {
	r := kmsg.NewPtrConsumerGroupDescribeResponse()
	for _, id := range q.Groups {
		a := askGroup[group.ConsumerDescribeResponse](s, id, group.ConsumerDescribeRequest{Group: id}, (*group.Shard).ConsumerDescribe)
		g := kmsg.NewConsumerGroupDescribeResponseGroup()
		g.Group, g.ErrorCode, g.ErrorMessage = id, int16(a.Error), nullable(a.Message)
		g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName = a.State, a.Epoch, a.AssignmentEpoch, a.Assignor
		if q.IncludeAuthorizedOperations && a.Error == kafka.None {
			g.AuthorizedOperations = allowedOnGroup
		}
		for _, m := range a.Members {
			g.Members = append(g.Members, s.describedConsumer(m))
		}
		r.Groups = append(r.Groups, g)
	}
	return r
}

func (s *Server) describedConsumer(m group.ConsumerMember) kmsg.ConsumerGroupDescribeResponseGroupMember {
	r := kmsg.NewConsumerGroupDescribeResponseGroupMember()
	r.MemberID, r.InstanceID, r.RackID, r.MemberEpoch = m.ID, nullable(m.Instance), nullable(m.Rack), m.Epoch
	r.ClientID, r.ClientHost = m.Client.ID, m.Client.Host
	r.SubscribedTopics, r.SubscribedTopicRegex = m.Topics, nullable(m.Regex)
	r.Assignment, r.TargetAssignment, r.MemberType = s.assignment(m.Assigned), s.assignment(m.Target), int8(m.Type)
	return r
}

// assignment names topics beside their ids; one that is gone has no name.
func (s *Server) assignment(of []group.TopicPartitions) kmsg.Assignment {
	a := kmsg.NewAssignment()
	for _, t := range of {
		tp := kmsg.NewAssignmentTopicPartition()
		tp.TopicID, tp.Partitions = t.Topic, t.Partitions
		if topic, ok := s.image().TopicByID(t.Topic); ok {
			tp.Topic = topic.Name
		}
		a.TopicPartitions = append(a.TopicPartitions, tp)
	}
	return a
}
