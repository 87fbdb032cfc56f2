package group

import (
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// The member epochs with a meaning of their own (KIP-848).
const (
	JoinEpoch        = 0  // wants to join
	LeaveEpoch       = -1 // leaves
	LeaveStaticEpoch = -2 // a static member goes away for a while
)

// TopicPartitions are partitions of one topic.
type TopicPartitions struct {
	Topic      kafka.TopicID
	Partitions []int32 // rising
}

// A ConsumerHeartbeatRequest is ConsumerGroupHeartbeat (KIP-848). What is nil has
// not changed since the member's last heartbeat.
type ConsumerHeartbeatRequest struct {
	Group            string
	Member, Instance string
	Epoch            int32
	Rack             *string
	RebalanceTimeout time.Duration // negative: as before
	Topics           []string      // subscribed by name
	Regex            *string       // subscribed by pattern; "" means by none
	Assignor         *string
	Owned            []TopicPartitions // empty but not nil: none
	Version          int16
	Client           Client
}

// A ConsumerHeartbeatResponse answers ConsumerGroupHeartbeat. It is shared: nobody
// changes it. Assigned is nil if it is as it was said before.
type ConsumerHeartbeatResponse struct {
	Error    kafka.Error
	Message  string
	Member   string
	Epoch    int32
	Interval time.Duration // until the next heartbeat
	Assigned []TopicPartitions
}

// A ConsumerDescribeRequest is one group's part of ConsumerGroupDescribe.
type ConsumerDescribeRequest struct{ Group string }

// A ConsumerDescribeResponse answers ConsumerGroupDescribe. A group that is not
// there, or not of KIP-848, has GROUP_ID_NOT_FOUND.
type ConsumerDescribeResponse struct {
	Error           kafka.Error
	Message         string
	Group           string
	State           string // "Empty", "Assigning", "Reconciling", "Stable" or "Dead"
	Epoch           int32
	AssignmentEpoch int32
	Assignor        string
	Members         []ConsumerMember
}

// A ConsumerMember is a described member of a group of KIP-848.
type ConsumerMember struct {
	ID, Instance, Rack string
	Epoch              int32
	Client             Client
	Topics             []string
	Regex              string
	Assigned, Target   []TopicPartitions
	Type               MemberType
}

// A MemberType is how a member speaks, as ConsumerGroupDescribe says it.
type MemberType int8

// The types.
const (
	TypeClassic  MemberType = 0
	TypeConsumer MemberType = 1
)
