package client_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

func TestTopicsGrow(t *testing.T) {
	run(t, func(x *fixture) {
		grow := func(mode client.Mode, growths ...client.Growth) []client.TopicResult {
			return ok(x, call(x.client.CreatePartitions(growths, mode, x.deadline)))
		}
		checked := grow(client.OnlyValidate, client.Growth{Name: "orders", Partitions: 5})
		x.check("only checked", checked[0].Err)
		grown := grow(client.CarryOut, client.Growth{Name: "nothing", Partitions: 2}, client.Growth{Name: "orders", Partitions: 4})
		x.want("nothing grows", grown[0].Err, kafka.ErrUnknownTopicOrPartition)
		x.check("grow", grown[1].Err)
		again := grow(client.CarryOut, client.Growth{Name: "orders", Partitions: 2})
		x.want("shrink", again[0].Err, kafka.ErrInvalidPartitions)
		described := ok(x, call(x.client.DescribeTopics([]string{"orders"}, x.deadline)))
		if n := len(described[0].Partitions); n != 4 {
			t.Errorf("%d partitions, want 4", n)
		}
	})
}

func TestRecordsAreDeletedOnTheirLeaders(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DeleteRecords}, Err: kerr.NotLeaderForPartition, Count: 2})
		at := func(partition int32, before kafka.Offset) client.Deletion {
			return client.Deletion{Partition: kafka.TopicPartition{Topic: "orders", Partition: partition}, Before: before}
		}
		gone := ok(x, call(x.client.DeleteRecords([]client.Deletion{at(0, 4), at(1, -1), at(2, 0)}, x.deadline)))
		for i, want := range []kafka.Offset{4, 0, 0} {
			if gone[i].LogStart != want {
				t.Errorf("partition %d: log start %d, want %d", i, gone[i].LogStart, want)
			}
		}
		found := ok(x, call(x.client.Offsets([]client.Place{{Partition: at(0, 0).Partition, From: client.Earliest()}}, x.deadline)))
		if found[0].Offset != 4 {
			t.Errorf("the log starts at %d, want 4", found[0].Offset)
		}
		some, err := x.client.DeleteRecords([]client.Deletion{at(0, 99), at(9, 1), at(1, 0)}, x.deadline)
		x.want("one of them", err, kafka.ErrOffsetOutOfRange)
		x.want("no such partition", some[1].Err, client.ErrNoPartition)
		x.check("and another", some[2].Err)
	})
}

func TestTheClusterAndItsDirectoriesAreDescribed(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		a := ok(x, call(x.client.DescribeCluster(x.deadline)))
		if len(a.Brokers) != 3 || a.ClusterID == "" || a.Brokers[0].Address == "" {
			t.Errorf("%+v", a)
		}
		partitions := 0
		for _, b := range a.Brokers {
			for _, d := range ok(x, call(x.client.DescribeLogDirs(b.ID, x.deadline))) {
				x.check("directory "+d.Path, d.Err)
				partitions += len(d.Partitions)
			}
		}
		if partitions == 0 {
			t.Error("no partition lies in any directory")
		}
		_, err := x.client.DescribeLogDirs(99, x.w.Now().Add(1e8))
		x.want("no such broker", err, kafka.ErrBrokerNotAvailable)
	})
}
