package config

import (
	"errors"
	"strings"
)

// The settings of the topic that offsets are kept in.
var (
	OffsetsTopicPartitions = Int{define(&Setting{
		Name: "offsets.topic.num.partitions", Scope: Broker, Type: TypeInt, Default: "50",
		check: between(1, 10_000),
		Doc:   "How many partitions __consumer_offsets gets when it is created. Groups are spread over them, so that the number must not change afterwards.",
	})}

	OffsetsTopicReplicas = Int{define(&Setting{
		Name: "offsets.topic.replication.factor", Scope: Broker, Type: TypeInt, Default: "3",
		check: between(1, 1<<15-1),
		Doc:   "How many replicas __consumer_offsets gets when it is created. In a cluster with fewer brokers it gets as many as there are.",
	})}

	OffsetsTopicSegmentBytes = Int{define(&Setting{
		Name: "offsets.topic.segment.bytes", Scope: Broker, Type: TypeInt, Default: "104857600",
		check: atLeast(1 << 20),
		Doc:   "The segment.bytes of __consumer_offsets when it is created: small ones are compacted, and loaded, sooner.",
	})}

	InternalOffsetsSegmentBytes = Int{define(&Setting{
		Name: "internal.offsets.topic.segment.bytes", Scope: Broker, Type: TypeInt, Optional: true, Internal: true,
		check: atLeast(256),
		Doc:   "offsets.topic.segment.bytes without its lower limit, for tests.",
	})}

	OffsetsLoadBuffer = Int{define(&Setting{
		Name: "offsets.load.buffer.size", Scope: Broker, Type: TypeInt, Default: "5242880",
		check: between(1<<10, 1<<30),
		Doc:   "How much of __consumer_offsets is read at a time, but for a larger batch, when a broker becomes the coordinator of its groups.",
	})}

	OffsetsRetention = Int{define(&Setting{
		Name: "offsets.retention.minutes", Scope: Broker, Type: TypeInt, Default: "10080",
		check: atLeast(1),
		Doc:   "How long offsets are kept once their group is empty, or once nobody in it subscribes to their topic (KIP-211).",
	})}

	OffsetsRetentionCheck = Millis{define(&Setting{
		Name: "offsets.retention.check.interval.ms", Scope: Broker, Type: TypeLong, Default: "600000",
		check: atLeast(1),
		Doc:   "How often offsets are looked for that need not be kept.",
	})}

	OffsetsCommitTimeout = Millis{define(&Setting{
		Name: "offsets.commit.timeout.ms", Scope: Broker, Type: TypeInt, Default: "5000",
		check: atLeast(1),
		Doc:   "How long a commit waits for the in-sync replicas. Afterwards it is answered REQUEST_TIMED_OUT: it may yet be committed.",
	})}

	OffsetMetadataMaxBytes = Int{define(&Setting{
		Name: "offset.metadata.max.bytes", Scope: Broker, Type: TypeInt, Default: "4096",
		check: atLeast(0),
		Doc:   "The size of the largest metadata that is kept with an offset.",
	})}
)

// The settings of groups.
var (
	GroupMinSession = Millis{define(&Setting{
		Name: "group.min.session.timeout.ms", Scope: Broker, Type: TypeInt, Default: "6000",
		check: atLeast(1),
		Doc:   "The shortest session that a member of a classic group may ask for.",
	})}

	GroupMaxSession = Millis{define(&Setting{
		Name: "group.max.session.timeout.ms", Scope: Broker, Type: TypeInt, Default: "1800000",
		check: atLeast(1),
		Doc:   "The longest session that a member of a classic group may ask for.",
	})}

	GroupInitialDelay = Millis{define(&Setting{
		Name: "group.initial.rebalance.delay.ms", Scope: Broker, Type: TypeInt, Default: "3000",
		check: atLeast(0),
		Doc:   "How long an empty classic group waits for more members after the first (KIP-134). Each that comes prolongs it, up to the rebalance timeout.",
	})}

	GroupMaxSize = Int{define(&Setting{
		Name: "group.max.size", Scope: Broker, Type: TypeInt, Default: "2147483647",
		check: atLeast(1),
		Doc:   "How many members a classic group may have.",
	})}

	GroupConsumerSession = Millis{define(&Setting{
		Name: "group.consumer.session.timeout.ms", Scope: Broker, Type: TypeInt, Default: "45000",
		check: atLeast(1),
		Doc:   "How long a member of a group of the consumer protocol may be silent.",
	})}

	GroupConsumerHeartbeat = Millis{define(&Setting{
		Name: "group.consumer.heartbeat.interval.ms", Scope: Broker, Type: TypeInt, Default: "5000",
		check: atLeast(1),
		Doc:   "How often members of groups of the consumer protocol are told to send heartbeats.",
	})}

	GroupConsumerMinSession = Millis{define(&Setting{
		Name: "group.consumer.min.session.timeout.ms", Scope: Broker, Type: TypeInt, Default: "45000",
		check: atLeast(1),
		Doc:   "The shortest consumer.session.timeout.ms that a group may be given.",
	})}

	GroupConsumerMaxSession = Millis{define(&Setting{
		Name: "group.consumer.max.session.timeout.ms", Scope: Broker, Type: TypeInt, Default: "60000",
		check: atLeast(1),
		Doc:   "The longest consumer.session.timeout.ms that a group may be given.",
	})}

	GroupConsumerMinHeartbeat = Millis{define(&Setting{
		Name: "group.consumer.min.heartbeat.interval.ms", Scope: Broker, Type: TypeInt, Default: "5000",
		check: atLeast(1),
		Doc:   "The shortest consumer.heartbeat.interval.ms that a group may be given.",
	})}

	GroupConsumerMaxHeartbeat = Millis{define(&Setting{
		Name: "group.consumer.max.heartbeat.interval.ms", Scope: Broker, Type: TypeInt, Default: "15000",
		check: atLeast(1),
		Doc:   "The longest consumer.heartbeat.interval.ms that a group may be given.",
	})}

	GroupConsumerMaxSize = Int{define(&Setting{
		Name: "group.consumer.max.size", Scope: Broker, Type: TypeInt, Default: "2147483647",
		check: atLeast(1),
		Doc:   "How many members a group of the consumer protocol may have.",
	})}

	GroupConsumerAssignors = List{define(&Setting{
		Name: "group.consumer.assignors", Scope: Broker, Type: TypeList, Default: "uniform,range",
		check: consumerAssignors,
		Doc:   "The assignors that members of groups of the consumer protocol may name; the first is for those that name none.",
	})}

	GroupConsumerMigration = Text{define(&Setting{
		Name: "group.consumer.migration.policy", Scope: Broker, Type: TypeString, Default: "bidirectional",
		check: migrationPolicy,
		Doc:   "Which groups with members change their protocol: disabled, upgrade (a classic one, when a member of the consumer protocol joins), downgrade (one of the consumer protocol, when only classic members are left), or bidirectional. Groups without members always do.",
	})}
)

func migrationPolicy(v Value) error {
	for _, one := range []string{"disabled", "upgrade", "downgrade", "bidirectional"} {
		if strings.EqualFold(v.Text, one) {
			return nil
		}
	}
	return errors.New("none of disabled, upgrade, downgrade, bidirectional")
}

func consumerAssignors(v Value) error {
	if err := notEmpty(v); err != nil {
		return err
	}
	return anyOf("uniform", "range")(v)
}
