package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/commitlog"
)

// A number is what a metric without labels tells.
type number interface {
	~int | ~int64 | ~uint64
}

// count is a metric that only grows.
func count[N number](name, help string, of func(*snapshot) N) metric {
	return metric{name: name, kind: "counter", help: help, tell: func(s *snapshot, out sink) { out.value(float64(of(s))) }}
}

// gauge is a metric that goes up and down.
func gauge[N number](name, help string, of func(*snapshot) N) metric {
	return metric{name: name, kind: "gauge", help: help, tell: func(s *snapshot, out sink) { out.value(float64(of(s))) }}
}

// ofPartitions is a gauge for each partition that is open.
func ofPartitions[N number](name, help string, of func(broker.PartitionMetrics) N) metric {
	return metric{name: name, kind: "gauge", help: help, labels: []string{"topic", "partition"}, tell: func(s *snapshot, out sink) {
		for _, p := range s.Broker.PartitionLogs {
			if p.Broken == nil {
				out.value(float64(of(p)), p.Partition.Topic, strconv.Itoa(int(p.Partition.Partition)))
			}
		}
	}}
}

// ofDirs is a metric for each log directory.
func ofDirs[N number](name, kind, help string, of func(broker.DirMetrics) N) metric {
	return metric{name: name, kind: kind, help: help, labels: []string{"dir"}, tell: func(s *snapshot, out sink) {
		for _, d := range s.Broker.Dirs {
			out.value(float64(of(d)), d.Name)
		}
	}}
}

// metrics are all there are. Their names stay as they are.
var metrics = []metric{
	{"requests_total", "counter", []string{"api"}, "Requests taken up, by API.", func(s *snapshot, out sink) {
		for _, r := range s.API.Requests {
			out.value(float64(r.Count), r.API)
		}
	}},
	{"errors_total", "counter", []string{"code"}, "Error codes told to clients, by Kafka's name: one for each topic, partition or other item of an answer.", func(s *snapshot, out sink) {
		for _, e := range s.API.Errors {
			out.value(float64(e.Count), e.Code.Name())
		}
	}},
	count("received_bytes_total", "Bytes of requests.", func(s *snapshot) uint64 { return s.API.Stats.ReceivedBytes }),
	count("sent_bytes_total", "Bytes of answers.", func(s *snapshot) uint64 { return s.API.Stats.SentBytes }),
	gauge("connections", "Open connections.", func(s *snapshot) uint64 { return s.API.Stats.Connections }),
	count("connections_accepted_total", "Connections accepted.", func(s *snapshot) uint64 { return s.API.Stats.Accepted }),
	count("connections_refused_total", "Connections closed at once because there were too many, in all or from one address.", func(s *snapshot) uint64 { return s.API.Stats.Refused }),
	count("connections_dropped_total", "Connections closed because they held memory that others waited for and neither sent nor read.", func(s *snapshot) uint64 { return s.API.Stats.Dropped }),
	count("bad_requests_total", "Connections closed because of what they sent.", func(s *snapshot) uint64 { return s.API.Stats.BadRequests }),
	gauge("request_budget_bytes", "Memory set aside for requests.", func(s *snapshot) int64 { return s.API.Stats.QueuedBytes }),
	gauge("request_budget_limit_bytes", "The most that is set aside for requests (queued.max.request.bytes), but for what decoding turns up.", func(s *snapshot) int64 { return s.API.Usage.MaxRequests }),
	gauge("request_budget_waiting", "Requests that wait to be read because the budget is used up.", func(s *snapshot) int64 { return s.API.Usage.Waiting }),
	gauge("answer_budget_bytes", "Memory set aside for answers.", func(s *snapshot) int64 { return s.API.Stats.AnswerBytes }),
	gauge("answer_budget_limit_bytes", "The most that is set aside for answers, but for what building turns up.", func(s *snapshot) int64 { return s.API.Usage.MaxAnswers }),
	gauge("pooled_bytes", "Memory kept for requests and answers to come.", func(s *snapshot) int64 { return s.API.Stats.PooledBytes }),

	count("produced_batches_total", "Batches given to logs.", func(s *snapshot) uint64 { return s.Broker.Appends }),
	count("produced_records_total", "Records in them.", func(s *snapshot) uint64 { return s.Broker.AppendedRecords }),
	count("produced_bytes_total", "Bytes of them.", func(s *snapshot) uint64 { return s.Broker.AppendedBytes }),
	count("refused_batches_total", "Batches that were not appended.", func(s *snapshot) uint64 { return s.Broker.RefusedBatches }),
	count("fetches_total", "Fetches begun.", func(s *snapshot) uint64 { return s.Broker.Fetches }),
	count("fetched_bytes_total", "Bytes of batches that fetches found.", func(s *snapshot) uint64 { return s.Broker.FetchedBytes }),
	{"delayed_requests", "gauge", []string{"api"}, "Requests that wait for what they were promised: records, or acknowledgements.", func(s *snapshot, out sink) {
		out.value(float64(s.Broker.ProduceWaiting), "Produce")
		out.value(float64(s.Broker.FetchWaiting), "Fetch")
	}},
	{"delayed_requests_total", "counter", []string{"api"}, "Times that a request had to wait.", func(s *snapshot, out sink) {
		out.value(float64(s.Broker.AppendWaits), "Produce")
		out.value(float64(s.Broker.FetchWaits), "Fetch")
	}},
	count("producer_ids_total", "Producer ids given out.", func(s *snapshot) uint64 { return s.Broker.ProducerIDs }),
	count("retention_runs_total", "Rounds through all logs, looking for segments to delete.", func(s *snapshot) uint64 { return s.Broker.RetainRuns }),
	count("compaction_runs_total", "Compactions of a log begun.", func(s *snapshot) uint64 { return s.Broker.CompactRuns }),

	count("replicated_bytes_total", "Bytes that this node's followers appended.", func(s *snapshot) uint64 { return s.Broker.ReplicatedBytes }),
	count("leader_throttled_bytes_total", "Bytes sent of replicas that leader.replication.throttled.replicas names.", func(s *snapshot) uint64 { return s.Broker.Sending.Bytes }),
	count("leader_throttled_total", "Times that such a replica was sent nothing because the quota was used up.", func(s *snapshot) uint64 { return s.Broker.Sending.HeldBack }),
	gauge("leader_throttled_rate_bytes", "leader.replication.throttled.rate in force, bytes a second.", func(s *snapshot) int64 { return s.Broker.Sending.Rate }),
	count("follower_throttled_bytes_total", "Bytes fetched of replicas that follower.replication.throttled.replicas names.", func(s *snapshot) uint64 { return s.Broker.Copying.Bytes }),
	count("follower_throttled_total", "Times that such a replica was not asked for because the quota was used up.", func(s *snapshot) uint64 { return s.Broker.Copying.HeldBack }),
	gauge("follower_throttled_rate_bytes", "follower.replication.throttled.rate in force, bytes a second.", func(s *snapshot) int64 { return s.Broker.Copying.Rate }),

	gauge("topics", "Topics.", func(s *snapshot) int { return s.Broker.Topics }),
	gauge("partitions", "Partitions on this node.", func(s *snapshot) int { return s.Broker.Partitions }),
	gauge("partitions_offline", "Partitions on this node that cannot be used.", func(s *snapshot) int { return s.Broker.Offline }),
	ofPartitions("partition_size_bytes", "Bytes of a partition's segments.", func(p broker.PartitionMetrics) int64 { return p.Size }),
	ofPartitions("partition_segments", "Segments of a partition.", func(p broker.PartitionMetrics) int { return p.Segments }),
	ofPartitions("partition_log_start_offset", "The first offset that can be read.", func(p broker.PartitionMetrics) int64 { return int64(p.LogStart) }),
	ofPartitions("partition_high_watermark", "The end of what is committed.", func(p broker.PartitionMetrics) int64 { return int64(p.HighWatermark) }),
	ofPartitions("partition_log_end_offset", "The offset that the next record will have.", func(p broker.PartitionMetrics) int64 { return int64(p.LogEnd) }),

	ofDirs("log_directory_online", "gauge", "1 if a log directory is in service, 0 if not.", func(d broker.DirMetrics) int {
		if d.Failed != nil {
			return 0
		}
		return 1
	}),
	ofDirs("log_directory_size_bytes", "gauge", "Bytes of all segments in a log directory.", func(d broker.DirMetrics) int64 { return d.Size }),
	ofDirs("log_directory_partitions", "gauge", "Partitions in a log directory.", func(d broker.DirMetrics) int { return d.Partitions }),
	ofDirs("log_directory_open_files", "gauge", "Files of a log directory that are open.", func(d broker.DirMetrics) int { return d.OpenFiles }),
	{"flush_seconds", "histogram", []string{"dir"}, "Syncs of segments, and how long they took.", func(s *snapshot, out sink) {
		for _, d := range s.Broker.Dirs {
			if d.Failed == nil || d.Flushes.Count > 0 {
				out.ch <- prometheus.MustNewConstHistogram(out.m.desc(), d.Flushes.Count, d.Flushes.Total.Seconds(), flushBuckets(d.Flushes), d.Name)
			}
		}
	}},
	{"baton_hold_seconds", "summary", nil, "How long the baton was held, which lets one task of the node run at a time. The quantiles are of all the time since the start.", func(s *snapshot, out sink) {
		quantiles := map[float64]float64{
			0.5:   s.holds.Quantile(500).Seconds(),
			0.99:  s.holds.Quantile(990).Seconds(),
			0.999: s.holds.Quantile(999).Seconds(),
			1:     s.holds.Longest.Seconds(),
		}
		out.ch <- prometheus.MustNewConstSummary(out.m.desc(), s.holds.Count, s.holds.Total.Seconds(), quantiles)
	}},
}

// flushBuckets adds buckets up, as Prometheus has them: of each bound, all that
// took no longer.
func flushBuckets(f commitlog.Flushes) map[float64]uint64 {
	buckets := map[float64]uint64{}
	sum := uint64(0)
	for i, bound := range commitlog.FlushBounds {
		sum += f.Buckets[i]
		buckets[bound.Seconds()] = sum
	}
	return buckets
}
