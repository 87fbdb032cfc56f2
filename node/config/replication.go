package config

// rackAware is the name by which Kafka calls the choice of a replica by rack.
const rackAware = "org.apache.kafka.common.replica.RackAwareReplicaSelector"

// The settings of replication.
var (
	ReplicaLagTimeMax = Millis{define(&Setting{
		Name: "replica.lag.time.max.ms", Scope: Broker, Type: TypeLong, Default: "30000",
		check: atLeast(1),
		Doc:   "How long a follower may be without everything that its leader has before it is no longer in sync.",
	})}

	ReplicaLagMaxMessages = Int{define(&Setting{
		Name: "replica.lag.max.messages", Scope: Broker, Type: TypeLong, Default: "0",
		check: atLeast(0),
		Doc: "How many records a follower may be behind before it is no longer in sync; 0 is no limit. " +
			"Kafka gave this up in 0.9 (KIP-16): with a small limit one large append puts healthy followers out, " +
			"with a large one a follower that stands still stays in. It is here to show that (klamm run lag-max-messages).",
	})}

	NumReplicaFetchers = Int{define(&Setting{
		Name: "num.replica.fetchers", Scope: Broker, Type: TypeInt, Default: "1", Dynamic: true,
		check: between(1, 64),
		Doc:   "How many fetches a follower has under way with each leader.",
	})}

	ReplicaFetchMinBytes = Int{define(&Setting{
		Name: "replica.fetch.min.bytes", Scope: Broker, Type: TypeInt, Default: "1",
		check: atLeast(0),
		Doc:   "With how much a leader answers a follower before replica.fetch.wait.max.ms has passed.",
	})}

	ReplicaFetchWaitMax = Millis{define(&Setting{
		Name: "replica.fetch.wait.max.ms", Scope: Broker, Type: TypeInt, Default: "500",
		check: atLeast(1),
		Doc:   "How long a leader waits at most before it answers a follower. It is well below replica.lag.time.max.ms.",
	})}

	ReplicaFetchMaxBytes = Int{define(&Setting{
		Name: "replica.fetch.max.bytes", Scope: Broker, Type: TypeInt, Default: "1048576",
		check: atLeast(0),
		Doc:   "How much a follower fetches of one partition at once, unless a single batch is larger.",
	})}

	ReplicaFetchResponseMax = Int{define(&Setting{
		Name: "replica.fetch.response.max.bytes", Scope: Broker, Type: TypeInt, Default: "10485760",
		check: atLeast(0),
		Doc:   "How much a follower fetches at once, unless a single batch is larger.",
	})}

	ReplicaFetchBackoff = Millis{define(&Setting{
		Name: "replica.fetch.backoff.ms", Scope: Broker, Type: TypeInt, Default: "1000",
		check: atLeast(0),
		Doc:   "How long a follower waits at most after a fetch that failed; it begins with a fiftieth of a second.",
	})}

	ReplicaSocketTimeout = Millis{define(&Setting{
		Name: "replica.socket.timeout.ms", Scope: Broker, Type: TypeInt, Default: "30000",
		check: atLeast(1),
		Doc:   "How long a follower waits for an answer beyond the time that it gave its leader.",
	})}

	ReplicaSelector = Text{define(&Setting{
		Name: "replica.selector.class", Scope: Broker, Type: TypeString, Optional: true,
		check: oneOf(rackAware),
		Doc:   "How a leader chooses the replica that a consumer reads from: if not set itself, with " + rackAware + " one in the consumer's rack (KIP-392).",
	})}

	ControlledShutdown = Bool{define(&Setting{
		Name: "controlled.shutdown.enable", Scope: Broker, Type: TypeBool, Default: "true",
		Doc: "Whether a node that is stopped hands over what it leads first.",
	})}
)
