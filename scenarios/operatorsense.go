package scenarios

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Each of these says what makes no sense in an answer, whatever was done before it,
// or "".

// senseOfSettings looks at the settings of a resource.
func senseOfSettings(resource string, configs []kmsg.DescribeConfigsResponseResourceConfig) string {
	seen := map[string]bool{}
	for _, c := range configs {
		switch {
		case seen[c.Name]:
			return fmt.Sprintf("%s has the setting %s twice", resource, c.Name)
		case c.IsSensitive && c.Value != nil:
			return fmt.Sprintf("%s of %s is sensitive, and told", c.Name, resource)
		case c.Value != nil && len(c.ConfigSynonyms) > 0 && c.ConfigSynonyms[0].Source != c.Source:
			return fmt.Sprintf("%s of %s is %q from source %d, and its first synonym is of source %d",
				c.Name, resource, *c.Value, c.Source, c.ConfigSynonyms[0].Source)
		}
		seen[c.Name] = true
	}
	return ""
}

// senseOfCluster looks at a cluster that was called id. Of several brokers each
// names those that serve, as it knows, and somebody who passes on what is the
// controller's.
func senseOfCluster(q *kmsg.DescribeClusterResponse, id string, c Cluster) string {
	alone := q.ControllerID == 1 && len(q.Brokers) == 1 && q.Brokers[0].NodeID == 1
	if q.ErrorCode == 0 && q.ClusterID == id && (alone || c.clustered() && ofCluster(q, c)) {
		return ""
	}
	return fmt.Sprintf("cluster %s of %d brokers is described as %+v", id, c.Brokers, *q)
}

// ofCluster reports whether all that are named are of the cluster, once each.
func ofCluster(q *kmsg.DescribeClusterResponse, c Cluster) bool {
	seats := map[int32]string{}
	for _, s := range c.seats() {
		if s.isBroker() {
			seats[int32(s.id)] = s.name
		}
	}
	if _, ok := seats[q.ControllerID]; !ok && q.ControllerID != -1 {
		return false
	}
	for _, b := range q.Brokers {
		if name, ok := seats[b.NodeID]; !ok || name != b.Host || b.Port != clientPort {
			return false
		}
		delete(seats, b.NodeID)
	}
	return true
}

// senseOfDirs looks at log directories.
func senseOfDirs(q *kmsg.DescribeLogDirsResponse) string {
	if len(q.Dirs) == 0 {
		return "there is no log directory"
	}
	placed := map[kafka.TopicPartition]bool{}
	for _, d := range q.Dirs {
		if d.TotalBytes >= 0 && d.UsableBytes > d.TotalBytes {
			return fmt.Sprintf("log directory %s has %d usable bytes of %d", d.Dir, d.UsableBytes, d.TotalBytes)
		}
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				tp := kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				if placed[tp] || p.Size < 0 || p.IsFuture {
					return fmt.Sprintf("%s stands in log directory %s with %d bytes, or twice", tp, d.Dir, p.Size)
				}
				placed[tp] = true
			}
		}
	}
	return ""
}

// noSequence is what a broker tells of a producer of which it remembers no batch: its
// last ones were taken back.
const noSequence = -1

// senseOfProducers looks at the producers of the first partitions of the workload's
// topic.
func senseOfProducers(q *kmsg.DescribeProducersResponse, partitions int) string {
	if len(q.Topics) != 1 || len(q.Topics[0].Partitions) != partitions {
		return fmt.Sprintf("the producers of %d partitions are told as %+v", partitions, q.Topics)
	}
	for i, p := range q.Topics[0].Partitions {
		ids := map[int64]bool{}
		for _, a := range p.ActiveProducers {
			if ids[a.ProducerID] || a.ProducerID < 0 || a.ProducerEpoch < 0 || a.LastSequence < noSequence || p.Partition != int32(i) {
				return fmt.Sprintf("%s-%d has the producer %+v, or twice", topicName, p.Partition, a)
			}
			ids[a.ProducerID] = true
		}
	}
	return ""
}

// senseOfResources looks at what has settings: the workload's topic and the broker
// among others.
func senseOfResources(q *kmsg.ListConfigResourcesResponse) string {
	type resource struct {
		name string
		kind int8
	}
	listed := map[resource]bool{}
	for _, one := range q.ConfigResources {
		r := resource{one.Name, one.Type}
		if listed[r] {
			return fmt.Sprintf("the resource %q of type %d is listed twice", r.name, r.kind)
		}
		listed[r] = true
	}
	for _, want := range []resource{{topicName, int8(kmsg.ConfigResourceTypeTopic)}, {"1", int8(kmsg.ConfigResourceTypeBroker)}} {
		if !listed[want] {
			return fmt.Sprintf("the resource %q of type %d is not listed", want.name, want.kind)
		}
	}
	return ""
}
