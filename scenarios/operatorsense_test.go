package scenarios

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Each kind of answer is told well once, and then with one thing that makes no
// sense.
func TestAnswersThatMakeNoSenseAreNoticed(t *testing.T) {
	value, topic := "7", int8(kmsg.ConfigResourceTypeTopic)
	setting := kmsg.DescribeConfigsResponseResourceConfig{Name: "segment.ms", Value: &value, Source: 1,
		ConfigSynonyms: []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{{Name: "segment.ms", Value: &value, Source: 1}}}
	secret, default5 := setting, setting
	secret.IsSensitive = true
	default5.Source = 5
	settings := func(s ...kmsg.DescribeConfigsResponseResourceConfig) string { return senseOfSettings("topic t", s) }

	cluster := func(id string, controller int32, brokers ...int32) string {
		q := kmsg.NewPtrDescribeClusterResponse()
		q.ClusterID, q.ControllerID = id, controller
		for _, b := range brokers {
			q.Brokers = append(q.Brokers, kmsg.DescribeClusterResponseBroker{NodeID: b})
		}
		return senseOfCluster(q, "c", alone())
	}
	dirs := func(usable int64, sizes ...int64) string {
		d := kmsg.DescribeLogDirsResponseDir{Dir: "d", TotalBytes: 100, UsableBytes: usable}
		for _, size := range sizes {
			d.Topics = append(d.Topics, kmsg.DescribeLogDirsResponseDirTopic{Topic: "t",
				Partitions: []kmsg.DescribeLogDirsResponseDirTopicPartition{{Partition: 0, Size: size}}})
		}
		return senseOfDirs(&kmsg.DescribeLogDirsResponse{Dirs: []kmsg.DescribeLogDirsResponseDir{d}})
	}
	producers := func(partitions int, ids ...int64) string {
		p := kmsg.DescribeProducersResponseTopicPartition{}
		for _, id := range ids {
			p.ActiveProducers = append(p.ActiveProducers, kmsg.DescribeProducersResponseTopicPartitionActiveProducer{ProducerID: id})
		}
		return senseOfProducers(&kmsg.DescribeProducersResponse{Topics: []kmsg.DescribeProducersResponseTopic{{
			Topic: topicName, Partitions: []kmsg.DescribeProducersResponseTopicPartition{p}}}}, partitions)
	}
	resources := func(list ...kmsg.ListConfigResourcesResponseConfigResource) string {
		return senseOfResources(&kmsg.ListConfigResourcesResponse{ConfigResources: list})
	}
	orders := kmsg.ListConfigResourcesResponseConfigResource{Name: topicName, Type: topic}
	broker := kmsg.ListConfigResourcesResponseConfigResource{Name: "1", Type: int8(kmsg.ConfigResourceTypeBroker)}

	for _, wrong := range []string{settings(setting), cluster("c", 1, 1), dirs(50, 7), producers(1, 3, 4), resources(orders, broker)} {
		if wrong != "" {
			t.Errorf("complains of an answer that makes sense: %s", wrong)
		}
	}
	for claim, wrong := range map[string]string{
		"a setting stands there twice":           settings(setting, setting),
		"a secret is told":                       settings(secret),
		"a value is not that of its source":      settings(default5),
		"the cluster has another name":           cluster("d", 1, 1),
		"the cluster has another controller":     cluster("c", 2, 1),
		"the cluster has two brokers":            cluster("c", 1, 1, 2),
		"there is no directory":                  senseOfDirs(&kmsg.DescribeLogDirsResponse{}),
		"more is usable than there is":           dirs(101),
		"a partition has a negative size":        dirs(50, -1),
		"a partition is in a directory twice":    dirs(50, 1, 2),
		"a producer stands there twice":          producers(1, 3, 3),
		"a producer has no id":                   producers(1, -1),
		"a partition is not answered for":        producers(2, 3),
		"a resource is listed twice":             resources(orders, broker, orders),
		"the topic of the workload is not there": resources(broker),
		"the broker is not there":                resources(orders),
	} {
		if wrong == "" {
			t.Errorf("%s: nobody complains", claim)
		}
	}
}
