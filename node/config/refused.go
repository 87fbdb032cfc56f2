package config

import "strings"

// reasons tell why Kafka's settings that do not act here are refused, by name or
// by what the name begins with.
var reasons = []struct {
	why   string
	names []string // "name" or "prefix.*"
}{
	{"each connection and each log has tasks of its own, not threads", []string{
		"num.network.threads", "num.io.threads", "background.threads", "log.cleaner.threads",
		"num.recovery.threads.per.data.dir", "num.replica.alter.log.dirs.threads",
	}},
	{"requests are bounded by their bytes: see queued.max.request.bytes", []string{"queued.max.requests", "queued.max.bytes"}},
	{"followers keep up by their own settings, not by these", []string{"replica.*"}},
	{"a throttle of replication lets a second's worth go at once", []string{"replication.quota.*"}},
	{"a node that stops hands over until that is done or its time is up", []string{"controlled.shutdown.*"}},
	{"in-sync sets and eligible replicas are always kept as Kafka's eligible.leader.replicas.version=1 does", []string{"eligible.leader.replicas.*"}},
	{"controllers notice a dead leader by controller.quorum.election.timeout.ms", []string{"controller.quorum.fetch.timeout.ms"}},
	{"controllers are controller.quorum.voters, and those that are added by request", []string{"controller.quorum.bootstrap.servers"}},
	{"controllers talk when there is something to say", []string{"controller.*"}},
	{"the metadata log is cut by its snapshots", []string{"metadata.*"}},
	{"controllers have taken ZooKeeper's place", []string{"zookeeper.*"}},
	{"a broker tries to register until it is stopped", []string{
		"initial.broker.registration.timeout.ms", "server.max.startup.time.ms", "early.start.listeners",
	}},
	{"the node's number is node.id", []string{"broker.id", "broker.id.generation.enable", "reserved.broker.max.id"}},
	{"the directories are log.dirs", []string{"log.dir"}},
	{"the only security protocol is PLAINTEXT", []string{
		"listener.*", "security.*", "ssl.*", "sasl.*", "principal.builder.class", "connections.max.reauth.ms",
		"delegation.token.*", "password.encoder.*",
	}},
	{"everybody may do everything", []string{"authorizer.class.name", "super.users", "allow.everyone.if.no.acl.found"}},
	{"coordinators are tasks, and append what they decide at once, uncompressed", []string{
		"group.coordinator.threads", "group.coordinator.append.linger.ms", "group.coordinator.cached.buffer.max.bytes",
		"offsets.topic.compression.codec",
	}},
	{"it is gone since Kafka 4.0", []string{"offsets.commit.required.acks"}},
	{"both protocols of groups are always served", []string{"group.coordinator.rebalance.protocols", "group.version"}},
	{"patterns are compared with the topics whenever these change", []string{"group.consumer.regex.refresh.interval.ms"}},
	{"there are no share groups yet", []string{"group.share.*"}},
	{"there are no groups of streams yet", []string{"group.streams.*"}},
	{"there are no transactions yet", []string{"transaction.*", "transactional.*"}},
	{"there are no share groups yet", []string{"share.*"}},
	{"there are no groups of streams yet", []string{"streams.*"}},
	{"there is no tiered storage", []string{"remote.*", "local.*", "log.local.*", "follower.fetch.*"}},
	{"there are no quotas yet", []string{"quota.*", "client.quota.*", "alter.log.dirs.*"}},
	{"klamm loads no classes", []string{
		"create.topic.policy.class.name", "alter.config.policy.class.name", "metric.reporters", "auto.include.jmx.reporter",
		"kafka.metrics.*", "config.providers", "config.providers.*", "telemetry.*",
	}},
	{"metrics are plain counts without windows", []string{"metrics.*"}},
	{"the operating system sizes sockets", []string{
		"socket.send.buffer.bytes", "socket.receive.buffer.bytes", "socket.listen.backlog.size",
	}},
	{"a sync or checkpoint is made when it is due, not by a schedule", []string{
		"log.flush.scheduler.interval.ms", "log.flush.offset.checkpoint.interval.ms",
		"log.flush.start.offset.checkpoint.interval.ms", "log.initial.task.delay.ms", "log.dir.failure.timeout.ms",
	}},
	{"compaction takes the memory it needs for a bounded piece of the log", []string{
		"log.cleaner.dedupe.buffer.size", "log.cleaner.io.buffer.size", "log.cleaner.io.buffer.load.factor",
	}},
	{"only max.connections and max.connections.per.ip bound connections", []string{
		"max.connections.per.ip.overrides", "max.connection.creation.rate",
	}},
	{"it is gone since Kafka 4.0", []string{
		"log.message.format.version", "message.format.version", "inter.broker.protocol.version",
		"message.downconversion.enable", "log.message.downconversion.enable",
		"log.message.timestamp.difference.max.ms", "message.timestamp.difference.max.ms",
	}},
}

// refused tells why a setting of Kafka's does not act here, if it is one.
func refused(name string) (why string, ok bool) {
	for _, r := range reasons {
		for _, pattern := range r.names {
			prefix, many := strings.CutSuffix(pattern, "*")
			if name == pattern || many && strings.HasPrefix(name, prefix) {
				return r.why, true
			}
		}
	}
	return "", false
}
