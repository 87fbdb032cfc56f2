package cluster_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

func id(n byte) kafka.TopicID { return kafka.TopicID{n} }

func topic(name string, topicID kafka.TopicID, parts ...cluster.Partition) cluster.Topic {
	return cluster.Topic{Name: name, ID: topicID, Partitions: parts}
}

func led(part int32, leader kafka.NodeID, epoch kafka.LeaderEpoch) cluster.Partition {
	return cluster.Partition{ID: part, Leader: leader, Epoch: epoch}
}

var brokers = []cluster.Broker{{ID: 2, Address: "two:9092"}, {ID: 1, Address: "one:9092"}, {ID: 3, Address: "three:9092"}}

// leader describes who leads a partition.
func leader(v *cluster.View, name string, part int32) string {
	b, epoch, ok := v.Leader(kafka.TopicPartition{Topic: name, Partition: part})
	if !ok {
		return "none"
	}
	return fmt.Sprintf("%s in epoch %d", b.Address, epoch)
}

func TestApply(t *testing.T) {
	unknown := cluster.Topic{Name: "t", Err: kafka.ErrUnknownTopicOrPartition}
	refused := cluster.Topic{Name: "t", Err: kafka.ErrTopicAuthorizationFailed}
	base := topic("t", id(1), led(0, 1, 5), led(1, 2, 7))
	for _, c := range []struct {
		name         string
		then         cluster.Topic
		first, other string // the leaders of partitions 0 and 1 afterwards
	}{
		{"a later epoch is believed", topic("t", id(1), led(0, 3, 6), led(1, 2, 7)), "three:9092 in epoch 6", "two:9092 in epoch 7"},
		{"the same epoch is believed: the leader may have gone", topic("t", id(1), led(0, cluster.NoNode, 5), led(1, 2, 7)), "none", "two:9092 in epoch 7"},
		{"an older epoch is not", topic("t", id(1), led(0, 3, 4), led(1, 3, 6)), "one:9092 in epoch 5", "two:9092 in epoch 7"},
		{"a topic created again begins anew", topic("t", id(2), led(0, 3, 0)), "three:9092 in epoch 0", "none"},
		{"a topic without an id is believed", topic("t", id(0), led(0, 3, 0)), "three:9092 in epoch 0", "none"},
		{"a topic that is gone is forgotten", unknown, "none", "none"},
		{"a topic that cannot be told about is kept", refused, "one:9092 in epoch 5", "two:9092 in epoch 7"},
		{"a leader nobody knows leads nothing", topic("t", id(1), led(0, 9, 6)), "none", "none"},
		{"another topic changes nothing", topic("u", id(9), led(0, 3, 0)), "one:9092 in epoch 5", "two:9092 in epoch 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v cluster.View
			v.Apply(cluster.Answer{Brokers: brokers, Topics: []cluster.Topic{base}})
			v.Apply(cluster.Answer{Brokers: brokers, Topics: []cluster.Topic{c.then}})
			if got := leader(&v, "t", 0); got != c.first {
				t.Errorf("partition 0: %s, want %s", got, c.first)
			}
			if got := leader(&v, "t", 1); got != c.other {
				t.Errorf("partition 1: %s, want %s", got, c.other)
			}
			if known, ok := v.Topic("t"); !ok || c.then.Name == "t" && known.Err != c.then.Err {
				t.Errorf("topic %+v, %v", known, ok)
			}
		})
	}
}

func TestApplyDoesNotKeepTheAnswersMemory(t *testing.T) {
	parts := []cluster.Partition{led(1, 1, 0), led(0, 1, 0)}
	a := cluster.Answer{Brokers: []cluster.Broker{{ID: 1, Address: "one:9092"}}, Topics: []cluster.Topic{{Name: "t", Partitions: parts}}}
	var v cluster.View
	v.Apply(a)
	parts[0], a.Brokers[0].Address = led(7, 7, 7), "changed"
	if got := leader(&v, "t", 1); got != "one:9092 in epoch 0" {
		t.Error(got)
	}
	got, _ := v.Topic("t")
	if diff := cmp.Diff([]cluster.Partition{led(0, 1, 0), led(1, 1, 0)}, got.Partitions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLearnTakesOnlyNews(t *testing.T) {
	var v cluster.View
	tp := kafka.TopicPartition{Topic: "t"}
	if v.Learn(tp, 1, 1) {
		t.Error("learned about a topic nobody knows")
	}
	v.Apply(cluster.Answer{Brokers: brokers, Topics: []cluster.Topic{topic("t", id(1), led(0, 1, 5))}})
	for _, c := range []struct {
		epoch kafka.LeaderEpoch
		want  bool
	}{{4, false}, {5, false}, {6, true}, {6, false}} {
		if got := v.Learn(tp, 2, c.epoch); got != c.want {
			t.Errorf("epoch %d: learned %v, want %v", c.epoch, got, c.want)
		}
	}
}

// Whatever answers come in whatever order, epochs rise while the id stays.
func TestEpochsRise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var v cluster.View
		was := cluster.Topic{}
		for range rapid.IntRange(1, 30).Draw(t, "answers") {
			next := topic("t", id(rapid.Byte().Draw(t, "id")%3))
			for range rapid.IntRange(0, 4).Draw(t, "partitions") {
				next.Partitions = append(next.Partitions, led(rapid.Int32Range(0, 2).Draw(t, "partition"),
					kafka.NodeID(rapid.Int32Range(-1, 3).Draw(t, "leader")), kafka.LeaderEpoch(rapid.Int32Range(0, 9).Draw(t, "epoch"))))
			}
			v.Apply(cluster.Answer{Brokers: brokers, Topics: []cluster.Topic{next}})
			if err := v.Check(); err != nil {
				t.Fatal(err)
			}
			now, _ := v.Topic("t")
			for _, p := range was.Partitions {
				q, ok := v.Partition(kafka.TopicPartition{Topic: "t", Partition: p.ID})
				if ok && now.ID == was.ID && now.ID != id(0) && q.Epoch < p.Epoch {
					t.Fatalf("partition %d went from epoch %d to %d", p.ID, p.Epoch, q.Epoch)
				}
			}
			was = now
		}
	})
}
