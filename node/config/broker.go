package config

// The settings of a node that are not defaults of topics.
var (
	NodeID = Int{define(&Setting{
		Name: "node.id", Scope: Broker, Type: TypeInt, Default: "1",
		check: atLeast(0),
		Doc:   "The number of this node in its cluster.",
	})}

	Listeners = List{define(&Setting{
		Name: "listeners", Scope: Broker, Type: TypeList, Default: "PLAINTEXT://:9092",
		check: checkListeners,
		Doc:   "Where the node takes connections: PLAINTEXT://host:port. An empty host means every address; port 0 picks a free one.",
	})}

	AdvertisedListeners = List{define(&Setting{
		Name: "advertised.listeners", Scope: Broker, Type: TypeList, Optional: true,
		check: checkListeners,
		Doc:   "Where clients are told to connect; listeners if not set.",
	})}

	LogDirs = List{define(&Setting{
		Name: "log.dirs", Scope: Broker, Type: TypeList, Default: "klamm-data",
		check: notEmpty,
		Doc:   "The directories that hold the logs, one per disk. The first also holds the node's own files.",
	})}

	LogFlush = Text{define(&Setting{
		Name: "log.flush", Scope: Broker, Type: TypeString, Default: "ack",
		check: oneOf("ack", "os"),
		Doc:   "What holding a record means on this machine: ack, it is synced to the disk before it is acknowledged; os, it is in the page cache.",
	})}

	NumPartitions = Int{define(&Setting{
		Name: "num.partitions", Scope: Broker, Type: TypeInt, Default: "1",
		check: atLeast(1),
		Doc:   "How many partitions a topic gets if nobody says.",
	})}

	DefaultReplicationFactor = Int{define(&Setting{
		Name: "default.replication.factor", Scope: Broker, Type: TypeInt, Default: "1",
		check: between(1, 1<<15-1),
		Doc:   "How many replicas a partition gets if nobody says.",
	})}

	AutoCreateTopics = Bool{define(&Setting{
		Name: "auto.create.topics.enable", Scope: Broker, Type: TypeBool, Default: "true",
		Doc: "Whether asking for the metadata of an unknown topic creates it.",
	})}

	DeleteTopics = Bool{define(&Setting{
		Name: "delete.topic.enable", Scope: Broker, Type: TypeBool, Default: "true",
		Doc: "Whether topics can be deleted.",
	})}

	SocketRequestMaxBytes = Int{define(&Setting{
		Name: "socket.request.max.bytes", Scope: Broker, Type: TypeInt, Default: "104857600",
		check: atLeast(1),
		Doc:   "The size of the largest request.",
	})}

	QueuedMaxRequestBytes = Int{define(&Setting{
		Name: "queued.max.request.bytes", Scope: Broker, Type: TypeLong, Default: "268435456",
		check: atLeast(1),
		Doc:   "How many bytes of requests the node holds at once; while it holds as many nothing is read. The last that is let in may exceed it, by less than one request.",
	})}

	MaxRequestsInFlight = Int{define(&Setting{
		Name: "max.requests.in.flight.per.connection", Scope: Broker, Type: TypeInt, Default: "16",
		check: between(1, 1000),
		Doc:   "How many requests of one connection may wait for their answers at once. Beyond it the connection is not read.",
	})}

	ConnectionsMaxIdle = Millis{define(&Setting{
		Name: "connections.max.idle.ms", Scope: Broker, Type: TypeLong, Default: "600000",
		Doc: "How long a connection may be silent before it is closed; negative means for ever.",
	})}

	MaxConnections = Int{define(&Setting{
		Name: "max.connections", Scope: Broker, Type: TypeInt, Default: "2147483647", Dynamic: true,
		check: atLeast(0),
		Doc:   "How many connections of clients the node keeps at once; nodes among each other have as many places of their own.",
	})}

	MaxConnectionsPerIP = Int{define(&Setting{
		Name: "max.connections.per.ip", Scope: Broker, Type: TypeInt, Default: "2147483647", Dynamic: true,
		check: atLeast(1),
		Doc:   "How many connections of clients the node keeps at once from one address.",
	})}

	FetchSessionSlots = Int{define(&Setting{
		Name: "max.incremental.fetch.session.cache.slots", Scope: Broker, Type: TypeInt, Default: "1000",
		check: atLeast(0),
		Doc:   "How many fetch sessions the node keeps at once; who has none names all its partitions in every fetch.",
	})}

	FetchMaxBytes = Int{define(&Setting{
		Name: "fetch.max.bytes", Scope: Broker, Type: TypeInt, Default: "57671680",
		check: atLeast(1024),
		Doc:   "The most that one fetch returns, unless a single batch is larger.",
	})}

	RetentionCheckInterval = Millis{define(&Setting{
		Name: "log.retention.check.interval.ms", Scope: Broker, Type: TypeLong, Default: "300000",
		check: atLeast(1),
		Doc:   "How often the node looks for segments to delete.",
	})}

	LogCleanerEnable = Bool{define(&Setting{
		Name: "log.cleaner.enable", Scope: Broker, Type: TypeBool, Default: "true",
		Doc: "Whether logs with cleanup.policy=compact are compacted.",
	})}

	LogCleanerBackoff = Millis{define(&Setting{
		Name: "log.cleaner.backoff.ms", Scope: Broker, Type: TypeLong, Default: "15000", Dynamic: true,
		check: atLeast(0),
		Doc:   "How long compaction rests when there was nothing to compact.",
	})}

	LogCleanerIOMax = Rate{define(&Setting{
		Name: "log.cleaner.io.max.bytes.per.second", Scope: Broker, Type: TypeDouble, Default: "1.7976931348623157E308", Dynamic: true,
		check: atLeast(millionths),
		Doc:   "How many bytes a second compaction reads and writes at most, all logs together.",
	})}

	LogScrubInterval = Millis{define(&Setting{
		Name: "log.scrub.interval.ms", Scope: Broker, Type: TypeLong, Default: "604800000", Dynamic: true,
		check: atLeast(1),
		Doc:   "How long the node rests before it reads all its logs again, to find what has rotted on its disks while other replicas have it.",
	})}

	LogScrubIOMax = Rate{define(&Setting{
		Name: "log.scrub.io.max.bytes.per.second", Scope: Broker, Type: TypeDouble, Default: "10485760", Dynamic: true,
		check: atLeast(millionths),
		Doc:   "How many bytes a second are read again at most, all logs together.",
	})}

	ProducerIDExpiration = Millis{define(&Setting{
		Name: "producer.id.expiration.ms", Scope: Broker, Type: TypeInt, Default: "86400000", Dynamic: true,
		check: atLeast(1),
		Doc:   "How long the node remembers an idempotent producer that is silent.",
	})}
)
