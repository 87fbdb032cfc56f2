package config

// The settings of a topic.
var (
	CleanupPolicy = List{define(&Setting{
		Name: "cleanup.policy", Scope: Topic, Type: TypeList, Default: "delete", Dynamic: true,
		check:    anyOf("delete", "compact"),
		Fallback: []Fallback{{"log.cleanup.policy", 1}},
		Doc:      "What happens to old records: delete removes old segments, compact keeps the latest record of each key, both do both; without any all records stay.",
	})}

	CompressionType = Text{define(&Setting{
		Name: "compression.type", Scope: Topic, Type: TypeString, Default: "producer", Dynamic: true,
		check:    oneOf(compressions...),
		Fallback: []Fallback{{"compression.type", 1}},
		Doc:      "How records are compressed in the log: as the producer sent them (producer), not at all (uncompressed), or with gzip, snappy, lz4 or zstd.",
	})}

	CompressionGzipLevel = Int{define(&Setting{
		Name: "compression.gzip.level", Scope: Topic, Type: TypeInt, Default: "-1", Dynamic: true,
		check:    gzipLevel,
		Fallback: []Fallback{{"compression.gzip.level", 1}},
		Doc:      "With compression.type=gzip: how hard to compress, 1 to 9, or -1 for the codec's default. Batches that come in gzip stay as they are.",
	})}

	CompressionLz4Level = Int{define(&Setting{
		Name: "compression.lz4.level", Scope: Topic, Type: TypeInt, Default: "9", Dynamic: true,
		check:    between(1, 17),
		Fallback: []Fallback{{"compression.lz4.level", 1}},
		Doc:      "With compression.type=lz4: how hard to compress, 1 to 17. Batches that come in lz4 stay as they are.",
	})}

	CompressionZstdLevel = Int{define(&Setting{
		Name: "compression.zstd.level", Scope: Topic, Type: TypeInt, Default: "3", Dynamic: true,
		check:    between(-131072, 22),
		Fallback: []Fallback{{"compression.zstd.level", 1}},
		Doc:      "With compression.type=zstd: how hard to compress, -131072 to 22. Batches that come in zstd stay as they are.",
	})}

	DeleteRetention = Millis{define(&Setting{
		Name: "delete.retention.ms", Scope: Topic, Type: TypeLong, Default: "86400000", Dynamic: true,
		check:    atLeast(0),
		Fallback: []Fallback{{"log.cleaner.delete.retention.ms", 1}},
		Doc:      "How long a compacted topic keeps the markers of deleted keys.",
	})}

	FileDeleteDelay = Millis{define(&Setting{
		Name: "file.delete.delay.ms", Scope: Topic, Type: TypeLong, Default: "60000", Dynamic: true,
		check:    atLeast(0),
		Fallback: []Fallback{{"log.segment.delete.delay.ms", 1}},
		Doc:      "How long the file of a deleted segment stays on the disk.",
	})}

	FlushMessages = Int{define(&Setting{
		Name: "flush.messages", Scope: Topic, Type: TypeLong, Default: "9223372036854775807", Dynamic: true,
		check:    atLeast(1),
		Fallback: []Fallback{{"log.flush.interval.messages", 1}},
		Doc:      "With log.flush=os: sync the log after this many records.",
	})}

	FlushTime = Millis{define(&Setting{
		Name: "flush.ms", Scope: Topic, Type: TypeLong, Default: "9223372036854775807", Dynamic: true,
		check:    atLeast(0),
		Fallback: []Fallback{{"log.flush.interval.ms", 1}},
		Doc:      "With log.flush=os: sync a log whose oldest record without a sync is this old.",
	})}

	IndexInterval = Int{define(&Setting{
		Name: "index.interval.bytes", Scope: Topic, Type: TypeInt, Default: "4096", Dynamic: true,
		check:    atLeast(0),
		Fallback: []Fallback{{"log.index.interval.bytes", 1}},
		Doc:      "How many bytes of the log lie between two entries of its index.",
	})}

	InternalSegmentBytes = Int{define(&Setting{
		Name: "internal.segment.bytes", Scope: Topic, Type: TypeInt, Optional: true, Dynamic: true, Internal: true,
		check: atLeast(256),
		Doc:   "segment.bytes without its lower limit, for tests.",
	})}

	MaxCompactionLag = Millis{define(&Setting{
		Name: "max.compaction.lag.ms", Scope: Topic, Type: TypeLong, Default: "9223372036854775807", Dynamic: true,
		check:    atLeast(1),
		Fallback: []Fallback{{"log.cleaner.max.compaction.lag.ms", 1}},
		Doc:      "The longest time that a record stays out of reach of compaction.",
	})}

	MaxMessageBytes = Int{define(&Setting{
		Name: "max.message.bytes", Scope: Topic, Type: TypeInt, Default: "1048588", Dynamic: true,
		check:    atLeast(0),
		Fallback: []Fallback{{"message.max.bytes", 1}},
		Doc:      "The size of the largest batch of records, compressed.",
	})}

	MessageTimestampAfterMax = Millis{define(&Setting{
		Name: "message.timestamp.after.max.ms", Scope: Topic, Type: TypeLong, Default: "3600000", Dynamic: true,
		check:    atLeast(0),
		Fallback: []Fallback{{"log.message.timestamp.after.max.ms", 1}},
		Doc:      "How far a producer's timestamp may lie ahead of the broker's clock.",
	})}

	MessageTimestampBeforeMax = Millis{define(&Setting{
		Name: "message.timestamp.before.max.ms", Scope: Topic, Type: TypeLong, Default: "9223372036854775807", Dynamic: true,
		check:    atLeast(0),
		Fallback: []Fallback{{"log.message.timestamp.before.max.ms", 1}},
		Doc:      "How far a producer's timestamp may lie behind the broker's clock.",
	})}

	MessageTimestampType = Text{define(&Setting{
		Name: "message.timestamp.type", Scope: Topic, Type: TypeString, Default: "CreateTime", Dynamic: true,
		check:    oneOf("CreateTime", "LogAppendTime"),
		Fallback: []Fallback{{"log.message.timestamp.type", 1}},
		Doc:      "Whether a record's timestamp is the producer's or the time of its append.",
	})}

	MinCleanableRatio = Ratio{define(&Setting{
		Name: "min.cleanable.dirty.ratio", Scope: Topic, Type: TypeDouble, Default: "0.5", Dynamic: true,
		check:    share,
		Fallback: []Fallback{{"log.cleaner.min.cleanable.ratio", 1}},
		Doc:      "The share of a log that must be uncompacted before it is compacted.",
	})}

	MinCompactionLag = Millis{define(&Setting{
		Name: "min.compaction.lag.ms", Scope: Topic, Type: TypeLong, Default: "0", Dynamic: true,
		check:    atLeast(0),
		Fallback: []Fallback{{"log.cleaner.min.compaction.lag.ms", 1}},
		Doc:      "The shortest time that a record stays uncompacted.",
	})}

	MinInsyncReplicas = Int{define(&Setting{
		Name: "min.insync.replicas", Scope: Topic, Type: TypeInt, Default: "1", Dynamic: true,
		check:    atLeast(1),
		Fallback: []Fallback{{"min.insync.replicas", 1}},
		Doc:      "With acks=all, how many replicas must be in sync for an append to be accepted.",
	})}

	Preallocate = Bool{define(&Setting{
		Name: "preallocate", Scope: Topic, Type: TypeBool, Default: "false", Dynamic: true,
		check:    onlyFalse,
		Fallback: []Fallback{{"log.preallocate", 1}},
		Doc:      "Whether the disk space of a whole segment is reserved when it begins: klamm never does.",
	})}

	RetentionBytes = Int{define(&Setting{
		Name: "retention.bytes", Scope: Topic, Type: TypeLong, Default: "-1", Dynamic: true,
		Fallback: []Fallback{{"log.retention.bytes", 1}},
		Doc:      "The size of a partition above which its oldest segments are deleted; negative means no limit.",
	})}

	RetentionTime = Millis{define(&Setting{
		Name: "retention.ms", Scope: Topic, Type: TypeLong, Default: "604800000", Dynamic: true,
		check: atLeast(-1),
		Fallback: []Fallback{
			{"log.retention.ms", 1}, {"log.retention.minutes", 60_000}, {"log.retention.hours", 3_600_000},
		},
		Doc: "The age above which segments are deleted; -1 means no limit.",
	})}

	SegmentBytes = Int{define(&Setting{
		Name: "segment.bytes", Scope: Topic, Type: TypeInt, Default: "1073741824", Dynamic: true,
		check:    atLeast(1 << 20),
		Fallback: []Fallback{{"log.segment.bytes", 1}},
		Doc:      "The size of a segment file.",
	})}

	SegmentIndexBytes = Int{define(&Setting{
		Name: "segment.index.bytes", Scope: Topic, Type: TypeInt, Default: "10485760", Dynamic: true,
		check:    atLeast(4),
		Fallback: []Fallback{{"log.index.size.max.bytes", 1}},
		Doc:      "The size of a segment's index at which a new segment begins.",
	})}

	SegmentJitter = Millis{define(&Setting{
		Name: "segment.jitter.ms", Scope: Topic, Type: TypeLong, Default: "0", Dynamic: true,
		check:    atLeast(0),
		Fallback: []Fallback{{"log.roll.jitter.ms", 1}, {"log.roll.jitter.hours", 3_600_000}},
		Doc:      "The most that is drawn and taken off segment.ms, so that segments do not all roll at once.",
	})}

	SegmentTime = Millis{define(&Setting{
		Name: "segment.ms", Scope: Topic, Type: TypeLong, Default: "604800000", Dynamic: true,
		check:    atLeast(1),
		Fallback: []Fallback{{"log.roll.ms", 1}, {"log.roll.hours", 3_600_000}},
		Doc:      "The age at which a new segment begins even if the old one is not full.",
	})}

	UncleanLeaderElection = Bool{define(&Setting{
		Name: "unclean.leader.election.enable", Scope: Topic, Type: TypeBool, Default: "false", Dynamic: true,
		Fallback: []Fallback{{"unclean.leader.election.enable", 1}},
		Doc:      "Whether a replica that may lack committed records leads when no other can; what it lacks is lost.",
	})}
)

// SegmentLimit returns the size of a topic's segments: what tests ask for, or
// segment.bytes.
func SegmentLimit(v *View) int64 {
	if n := InternalSegmentBytes.In(v); n > 0 {
		return n
	}
	return SegmentBytes.In(v)
}
