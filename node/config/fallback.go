package config

// The settings of a node that its topics take their values from.
var (
	_ = define(&Setting{
		Name: "log.cleanup.policy", Scope: Broker, Type: TypeList, Default: "delete", Dynamic: true,
		check: anyOf("delete", "compact"), Doc: "The cleanup.policy of topics that set none.",
	})
	_ = define(&Setting{
		Name: "compression.type", Scope: Broker, Type: TypeString, Default: "producer", Dynamic: true,
		check: oneOf(compressions...), Doc: "The compression.type of topics that set none.",
	})
	_ = define(&Setting{
		Name: "compression.gzip.level", Scope: Broker, Type: TypeInt, Default: "-1", Dynamic: true,
		check: gzipLevel, Doc: "The compression.gzip.level of topics that set none.",
	})
	_ = define(&Setting{
		Name: "compression.lz4.level", Scope: Broker, Type: TypeInt, Default: "9", Dynamic: true,
		check: between(1, 17), Doc: "The compression.lz4.level of topics that set none.",
	})
	_ = define(&Setting{
		Name: "compression.zstd.level", Scope: Broker, Type: TypeInt, Default: "3", Dynamic: true,
		check: between(-131072, 22), Doc: "The compression.zstd.level of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.cleaner.delete.retention.ms", Scope: Broker, Type: TypeLong, Default: "86400000", Dynamic: true,
		check: atLeast(0), Doc: "The delete.retention.ms of topics that set none.",
	})
	logCleanerMaxCompactionLag = define(&Setting{
		Name: "log.cleaner.max.compaction.lag.ms", Scope: Broker, Type: TypeLong, Default: "9223372036854775807", Dynamic: true,
		check: atLeast(1), Doc: "The max.compaction.lag.ms of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.cleaner.min.cleanable.ratio", Scope: Broker, Type: TypeDouble, Default: "0.5", Dynamic: true,
		check: share, Doc: "The min.cleanable.dirty.ratio of topics that set none.",
	})
	logCleanerMinCompactionLag = define(&Setting{
		Name: "log.cleaner.min.compaction.lag.ms", Scope: Broker, Type: TypeLong, Default: "0", Dynamic: true,
		check: atLeast(0), Doc: "The min.compaction.lag.ms of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.flush.interval.messages", Scope: Broker, Type: TypeLong, Default: "9223372036854775807", Dynamic: true,
		check: atLeast(1), Doc: "The flush.messages of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.flush.interval.ms", Scope: Broker, Type: TypeLong, Optional: true, Dynamic: true,
		check: atLeast(0), Doc: "The flush.ms of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.index.interval.bytes", Scope: Broker, Type: TypeInt, Default: "4096", Dynamic: true,
		check: atLeast(0), Doc: "The index.interval.bytes of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.index.size.max.bytes", Scope: Broker, Type: TypeInt, Default: "10485760", Dynamic: true,
		check: atLeast(4), Doc: "The segment.index.bytes of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.message.timestamp.after.max.ms", Scope: Broker, Type: TypeLong, Default: "3600000", Dynamic: true,
		check: atLeast(0), Doc: "The message.timestamp.after.max.ms of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.message.timestamp.before.max.ms", Scope: Broker, Type: TypeLong, Default: "9223372036854775807", Dynamic: true,
		check: atLeast(0), Doc: "The message.timestamp.before.max.ms of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.message.timestamp.type", Scope: Broker, Type: TypeString, Default: "CreateTime", Dynamic: true,
		check: oneOf("CreateTime", "LogAppendTime"), Doc: "The message.timestamp.type of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.retention.bytes", Scope: Broker, Type: TypeLong, Default: "-1", Dynamic: true,
		Doc: "The retention.bytes of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.retention.hours", Scope: Broker, Type: TypeInt, Default: "168",
		check: notZero, Doc: "The retention.ms, in hours, of topics that set none, unless log.retention.minutes or log.retention.ms is set.",
	})
	_ = define(&Setting{
		Name: "log.retention.minutes", Scope: Broker, Type: TypeInt, Optional: true,
		check: notZero, Doc: "The retention.ms, in minutes, of topics that set none, unless log.retention.ms is set.",
	})
	_ = define(&Setting{
		Name: "log.retention.ms", Scope: Broker, Type: TypeLong, Optional: true, Dynamic: true,
		check: notZero, Doc: "The retention.ms of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.roll.hours", Scope: Broker, Type: TypeInt, Default: "168",
		check: atLeast(1), Doc: "The segment.ms, in hours, of topics that set none, unless log.roll.ms is set.",
	})
	_ = define(&Setting{
		Name: "log.roll.ms", Scope: Broker, Type: TypeLong, Optional: true, Dynamic: true,
		check: atLeast(1), Doc: "The segment.ms of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.roll.jitter.hours", Scope: Broker, Type: TypeInt, Default: "0",
		check: atLeast(0), Doc: "The segment.jitter.ms, in hours, of topics that set none, unless log.roll.jitter.ms is set.",
	})
	_ = define(&Setting{
		Name: "log.roll.jitter.ms", Scope: Broker, Type: TypeLong, Optional: true, Dynamic: true,
		check: atLeast(0), Doc: "The segment.jitter.ms of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.segment.bytes", Scope: Broker, Type: TypeInt, Default: "1073741824", Dynamic: true,
		check: atLeast(1 << 20), Doc: "The segment.bytes of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.segment.delete.delay.ms", Scope: Broker, Type: TypeLong, Default: "60000", Dynamic: true,
		check: atLeast(0), Doc: "The file.delete.delay.ms of topics that set none.",
	})
	_ = define(&Setting{
		Name: "log.preallocate", Scope: Broker, Type: TypeBool, Default: "false", Dynamic: true,
		check: onlyFalse, Doc: "The preallocate of topics that set none.",
	})
	_ = define(&Setting{
		Name: "message.max.bytes", Scope: Broker, Type: TypeInt, Default: "1048588", Dynamic: true,
		check: atLeast(0), Doc: "The max.message.bytes of topics that set none.",
	})
	_ = define(&Setting{
		Name: "min.insync.replicas", Scope: Broker, Type: TypeInt, Default: "1", Dynamic: true,
		check: atLeast(1), Doc: "The min.insync.replicas of topics that set none.",
	})
	_ = define(&Setting{
		Name: "unclean.leader.election.enable", Scope: Broker, Type: TypeBool, Default: "false", Dynamic: true,
		Doc: "The unclean.leader.election.enable of topics that set none.",
	})
)
