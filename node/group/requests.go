package group

import (
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A Protocol is a way to assign that a member offers, with what it wants to tell
// the leader.
type Protocol struct {
	Name     string
	Metadata []byte
}

// A JoinRequest is JoinGroup. Its bytes, as those of all requests, are the caller's again
// when the call returns; those of answers are never changed. Instance is the group.instance.id of a static member;
// none is "". RebalanceTimeout is the session's before version 1.
type JoinRequest struct {
	Group            string
	Member, Instance string
	ProtocolType     string
	Protocols        []Protocol
	Session          time.Duration
	RebalanceTimeout time.Duration
	Version          int16
	Client           Client
}

// A JoinResponse answers JoinGroup. Members are there for the leader only. Protocol
// and ProtocolType are "" where there are none: null on the wire, from version 7.
type JoinResponse struct {
	Error                  kafka.Error
	Generation             Generation
	ProtocolType, Protocol string
	Leader, Member         string
	SkipAssignment         bool // the leader need not assign: nothing changed (version 9)
	Members                []JoinedMember
}

// A JoinedMember is what the leader is told of a member.
type JoinedMember struct {
	ID, Instance string
	Metadata     []byte
}

// A SyncRequest is SyncGroup. ProtocolType and Protocol are "" before version 5.
type SyncRequest struct {
	Group                  string
	Generation             Generation
	Member, Instance       string
	ProtocolType, Protocol string
	Assignments            []Assignment
}

// An Assignment is what the leader gives a member.
type Assignment struct {
	Member string
	Bytes  []byte
}

// A SyncResponse answers SyncGroup.
type SyncResponse struct {
	Error                  kafka.Error
	ProtocolType, Protocol string
	Assignment             []byte
}

// A HeartbeatRequest is Heartbeat.
type HeartbeatRequest struct {
	Group            string
	Generation       Generation
	Member, Instance string
}

// A HeartbeatResponse answers Heartbeat.
type HeartbeatResponse struct{ Error kafka.Error }

// A LeaveRequest is LeaveGroup. Before version 3 it names one member.
type LeaveRequest struct {
	Group   string
	Members []Leaver
	Version int16
}

// A Leaver is a member that leaves, by itself or by an administrator's hand: then
// a static one is named by its instance alone.
type Leaver struct{ Member, Instance string }

// A LeaveResponse answers LeaveGroup. Before version 3 Error is the one member's.
type LeaveResponse struct {
	Error   kafka.Error
	Members []Left
}

// A Left is what became of a Leaver.
type Left struct {
	Leaver
	Error kafka.Error
}

// A CommitRequest is OffsetCommit. Generation is the member epoch of a member of
// KIP-848; from outside the group it is NoGeneration and Member is "".
type CommitRequest struct {
	Group            string
	Generation       Generation
	Member, Instance string
	Retention        time.Duration // versions 2 to 4; negative: the broker's
	Version          int16
	Topics           []CommitTopic
}

// A CommitTopic names a topic. ID may be zero: then it is not known.
type CommitTopic struct {
	Name       string
	ID         kafka.TopicID
	Partitions []CommitPartition
}

// A CommitPartition is an offset to be committed.
type CommitPartition struct {
	Partition   int32
	Offset      kafka.Offset
	LeaderEpoch kafka.LeaderEpoch
	Metadata    string
}

// A CommitResponse answers OffsetCommit and OffsetDelete, with the topics and
// partitions of the request in their order. Error is OffsetDelete's; OffsetCommit
// has none of its own.
type CommitResponse struct {
	Error  kafka.Error
	Topics []CommittedTopic
}

// A CommittedTopic is what became of a topic.
type CommittedTopic struct {
	Name       string
	ID         kafka.TopicID
	Partitions []PartitionError
}

// A PartitionError is what became of a partition.
type PartitionError struct {
	Partition int32
	Error     kafka.Error
}

// A FetchOffsetsRequest is one group's part of OffsetFetch. Member "" and
// Generation NoGeneration: not a member. No Topics (nil): all there are.
type FetchOffsetsRequest struct {
	Group      string
	Member     string
	Generation Generation
	Topics     []FetchTopic
}

// A FetchTopic names what is asked for. ID may be zero: then it is not known.
type FetchTopic struct {
	Name       string
	ID         kafka.TopicID
	Partitions []int32
}

// A FetchOffsetsResponse answers OffsetFetch. Of what has no offset the offset is
// NoOffset, without an error.
type FetchOffsetsResponse struct {
	Error  kafka.Error
	Topics []FetchedTopic
}

// A FetchedTopic has the offsets of a topic.
type FetchedTopic struct {
	Name       string
	ID         kafka.TopicID
	Partitions []FetchedPartition
}

// A FetchedPartition has a committed offset.
type FetchedPartition struct {
	Partition   int32
	Offset      kafka.Offset
	LeaderEpoch kafka.LeaderEpoch
	Metadata    string
}

// A DeleteOffsetsRequest is OffsetDelete. Its answer is a CommitResponse.
type DeleteOffsetsRequest struct {
	Group  string
	Topics []FetchTopic
}

// A DeleteGroupRequest is one group's part of DeleteGroups.
type DeleteGroupRequest struct{ Group string }

// A DeleteGroupResponse answers DeleteGroups.
type DeleteGroupResponse struct{ Error kafka.Error }

// A ListGroupsRequest is ListGroups, for this shard's groups. States and types are
// compared as Kafka does, without regard to case; none means all.
type ListGroupsRequest struct{ States, Types []string }

// A ListGroupsResponse answers ListGroups, in the order of the groups' ids.
type ListGroupsResponse struct {
	Error  kafka.Error
	Groups []ListedGroup
}

// A ListedGroup is a group in a list.
type ListedGroup struct {
	ID           string
	ProtocolType string // "consumer", or what members said; "" if only offsets were committed
	State        string // as Kafka spells it: "Stable", "PreparingRebalance", ...
	Type         string // "classic" or "consumer"
}

// A DescribeGroupRequest is one group's part of DescribeGroups.
type DescribeGroupRequest struct{ Group string }

// A DescribeGroupResponse answers DescribeGroups. A group that is not there, or not
// a classic one, is "Dead" with GROUP_ID_NOT_FOUND: before version 6 the error
// stays untold.
type DescribeGroupResponse struct {
	Error        kafka.Error
	Group        string
	State        string
	ProtocolType string
	Protocol     string
	Members      []DescribedMember
}

// A DescribedMember is a member of a classic group. Metadata and Assignment are
// there only while the group is stable.
type DescribedMember struct {
	ID, Instance         string
	Client               Client
	Metadata, Assignment []byte
}
