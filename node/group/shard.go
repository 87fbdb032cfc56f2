// Package group decides: who is a member of which group, in which generation or
// epoch, who owns which partitions, and which offsets are committed. It is the
// machine (node/machine) of one partition of __consumer_offsets.
//
// A Shard takes requests with a ticket each, and time. Out come records to append
// and answers by ticket (Take). Nothing is answered, and no effect is shown, before
// the records of the decision are committed. A Shard neither waits nor reads clocks,
// and knows nothing of logs or networks.
//
// The one rule for callers: what Take returns is appended in that order, one batch
// per Append, and Committed or Refused is called in that order too.
package group

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A Generation numbers the memberships of a classic group. In a request that may
// come from members of either protocol it is the member epoch of KIP-848.
type Generation int32

// NoGeneration is what who commits without being a member sends.
const NoGeneration Generation = -1

// Settings is where a Shard learns what it does not decide. The functions are
// called when the answer is needed, and must not block.
type Settings struct {
	// Limits returns the configuration as it is now.
	Limits func() *Limits

	// Consumer returns the configuration of one group of KIP-848 as it is now.
	Consumer func(group string) ConsumerLimits

	// NewMemberID draws a member id that nobody had before: Kafka's begin with the
	// client id, or the instance id of a static member.
	NewMemberID func(prefix string) string

	// Topics is what the metadata says.
	Topics Topics

	// Migrated is told of groups with members that have become groups of the other
	// protocol. It may be nil.
	Migrated func(group string, direction Migration)
}

// Limits is the configuration of the classic protocol and of offsets.
type Limits struct {
	MinSession     time.Duration // group.min.session.timeout.ms
	MaxSession     time.Duration // group.max.session.timeout.ms
	InitialDelay   time.Duration // group.initial.rebalance.delay.ms
	MaxSize        int           // group.max.size
	Retention      time.Duration // offsets.retention.minutes
	RetentionCheck time.Duration // offsets.retention.check.interval.ms
	CommitTimeout  time.Duration // offsets.commit.timeout.ms
	MaxMetadata    int           // offset.metadata.max.bytes
	Assignors      []string      // group.consumer.assignors: the first is the default
	Migration      Migration     // group.consumer.migration.policy
}

// ConsumerLimits is the configuration of one group of KIP-848.
type ConsumerLimits struct {
	Session   time.Duration // consumer.session.timeout.ms
	Heartbeat time.Duration // consumer.heartbeat.interval.ms
	MaxSize   int           // group.consumer.max.size
}

// Topics answers from the cluster's metadata as this node has it.
type Topics interface {
	Topic(name string) (Topic, bool)
	TopicByID(id kafka.TopicID) (Topic, bool)

	// Names calls yield with the name of every topic that a pattern may match, in any
	// order that is the same for the same metadata, until it returns false.
	Names(yield func(name string) bool)
}

// A Topic is what an assignment has to know of one.
type Topic struct {
	Name       string
	ID         kafka.TopicID
	Partitions int32
}

// A Client is who sent a request.
type Client struct {
	ID   string
	Host string
}

// maxQueue bounds the requests that wait for one group's append. Who comes when
// so many wait already is told to come again.
const maxQueue = 10_000

// A Shard is the groups and offsets of one partition of __consumer_offsets.
//
// Invariants:
//
//  1. Every ticket gets exactly one answer.
//  2. Log order is decision order, and a decision on a group's members reads only
//     what is committed: while an append that changes them is in flight, such
//     decisions wait in the group's queue, in order of arrival.
//  3. Replaying the committed records gives what is committed.
//
// Check verifies what of them can be seen at a moment; the simulator calls it.
type Shard struct {
	partition int32
	settings  Settings
	at        machine.Moment // of the call under way

	groups   table[string, *group]
	timers   timers
	flights  flights
	expiry   timer
	out      machine.Effects
	taken    machine.Effects // lent to who called Take last
	loading  bool
	metadata uint64 // the state of the topics' metadata, counted from 1
	stats    Stats
	moves    uint64 // records of members that took effect
}

// Stats are counts since the shard was made.
type Stats struct {
	Skipped    uint64 // records of kinds or versions that are not known
	Rebalances uint64 // of classic groups, completed
	Expired    uint64 // offsets whose retention is over
	Sessions   uint64 // members lost because they were silent
}

// NewShard returns the empty machine of a partition. It replays until Loaded.
func NewShard(partition int32, s Settings) *Shard {
	return &Shard{partition: partition, settings: s, loading: true, metadata: 1}
}

// Stats returns the counts.
func (s *Shard) Stats() Stats { return s.stats }

// Groups returns how many groups there are.
func (s *Shard) Groups() int { return s.groups.len() }

func (s *Shard) String() string {
	return fmt.Sprintf("__consumer_offsets-%d: %d groups", s.partition, s.groups.len())
}
