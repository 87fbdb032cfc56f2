package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/quorum"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeQuorum (key 55): the controllers' leader, how far each of them has the
// metadata log, and who reads it besides (KIP-595). 0 to 2.
//
// The only partition is __cluster_metadata-0; others are
// UNKNOWN_TOPIC_OR_PARTITION. v1 tells when each was last heard of, v2 their
// directories and where they listen (KIP-853). The active controller answers.
//
// Deviation: when a member was last caught up is when it was last heard of.

const (
	metadataTopic      = "__cluster_metadata"
	controllerListener = "CONTROLLER"
)

func describeQuorum(x *control, q *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	r := kmsg.NewPtrDescribeQuorumResponse()
	err := x.refused
	if err == nil && (x.s.quorum == nil || !x.s.quorum.Active()) {
		err = fmt.Errorf("this node is not the active controller: %w", kafka.ErrNotLeaderOrFollower)
	}
	if err != nil {
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
		return r
	}
	d := x.s.quorum.Describe()
	for _, t := range q.Topics {
		topic := kmsg.NewDescribeQuorumResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, describedQuorum(t.Topic, p.Partition, d))
		}
		r.Topics = append(r.Topics, topic)
	}
	r.Nodes = describedControllers(d)
	return r
}

func describedQuorum(topic string, partition int32, d quorum.Description) kmsg.DescribeQuorumResponseTopicPartition {
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	p.Partition = partition
	if topic != metadataTopic || partition != 0 {
		err := fmt.Errorf("%.249s-%d is not the metadata: %w", topic, partition, kafka.ErrUnknownTopicOrPartition)
		p.ErrorCode, p.ErrorMessage = kafka.Code(err), message(err)
		return p
	}
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = int32(d.Leader), int32(d.Epoch), int64(d.Committed)
	p.CurrentVoters, p.Observers = quorumMembers(d.Voters), quorumMembers(d.Observers)
	return p
}

func quorumMembers(members []quorum.Described) []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	out := []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{}
	for _, m := range members {
		s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		s.ReplicaID, s.ReplicaDirectoryID, s.LogEndOffset = int32(m.ID), m.Directory, int64(m.End)
		s.LastFetchTimestamp, s.LastCaughtUpTimestamp = int64(m.LastSeen), int64(m.LastSeen)
		out = append(out, s)
	}
	return out
}

// describedControllers tells where the voters listen.
func describedControllers(d quorum.Description) []kmsg.DescribeQuorumResponseNode {
	var out []kmsg.DescribeQuorumResponseNode
	for _, v := range d.Voters {
		at, err := config.ParseListener(controllerListener + "://" + v.Address)
		if err != nil {
			continue // a node on its own listens for no others
		}
		l := kmsg.NewDescribeQuorumResponseNodeListener()
		l.Name, l.Host, l.Port = at.Name, at.Host, uint16(at.Port)
		n := kmsg.NewDescribeQuorumResponseNode()
		n.NodeID, n.Listeners = int32(v.ID), []kmsg.DescribeQuorumResponseNodeListener{l}
		out = append(out, n)
	}
	return out
}
