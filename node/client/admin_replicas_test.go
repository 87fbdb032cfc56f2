package client_test

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

func orders(partition int32) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: "orders", Partition: partition}
}

func TestLeadersAreElected(t *testing.T) {
	run(t, func(x *fixture) {
		before := ok(x, call(x.client.DescribeTopics([]string{"orders"}, x.deadline)))[0].Partitions[1].Leader
		x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ElectLeaders}, Err: kerr.NotController, Count: 2})
		nothing := kafka.TopicPartition{Topic: "nothing", Partition: 3}
		told := ok(x, call(x.client.ElectLeaders(client.PreferredElection, []kafka.TopicPartition{nothing, orders(1)}, x.deadline)))
		x.want("nothing", told[0].Err, kafka.ErrUnknownTopicOrPartition)
		x.check("orders-1", told[1].Err)
		if after := ok(x, call(x.client.DescribeTopics([]string{"orders"}, x.deadline)))[0].Partitions[1].Leader; after == before {
			t.Errorf("broker %d leads as before", after)
		}
		all := ok(x, call(x.client.ElectLeaders(client.UncleanElection, nil, x.deadline)))
		if len(all) != 3 {
			t.Errorf("%d partitions, want all 3", len(all))
		}
	})
}

func TestPartitionsAreReassigned(t *testing.T) {
	run(t, func(x *fixture) {
		var asked []kmsg.AlterPartitionAssignmentsRequestTopic
		x.brokers.ControlKey(int16(kmsg.AlterPartitionAssignments), func(req kmsg.Request) (kmsg.Response, error, bool) {
			x.brokers.KeepControl()
			asked = req.(*kmsg.AlterPartitionAssignmentsRequest).Topics
			return nil, nil, false
		})
		told := ok(x, call(x.client.AlterPartitionReassignments([]client.Reassignment{
			{Partition: orders(2), Replicas: []kafka.NodeID{2, 0}},
			{Partition: kafka.TopicPartition{Topic: "nothing"}, Replicas: []kafka.NodeID{1}},
			{Partition: orders(0)},
		}, x.deadline)))
		x.check("move", told[0].Err)
		x.want("nothing moves", told[1].Err, kafka.ErrUnknownTopicOrPartition)
		x.want("nothing to cancel", told[2].Err, kafka.ErrNoReassignmentInProgress)
		if len(asked) != 2 || !slices.Equal(asked[0].Partitions[0].Replicas, []int32{2, 0}) || asked[0].Partitions[1].Replicas != nil {
			t.Errorf("asked %+v", asked)
		}
	})
}

func TestReassignmentsUnderWayAreListed(t *testing.T) {
	run(t, func(x *fixture) {
		if moving := ok(x, call(x.client.ListPartitionReassignments(nil, x.deadline))); len(moving) != 0 {
			t.Errorf("%+v", moving)
		}
		x.brokers.ControlKey(int16(kmsg.ListPartitionReassignments), func(req kmsg.Request) (kmsg.Response, error, bool) {
			x.brokers.KeepControl()
			resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
			for _, rt := range req.(*kmsg.ListPartitionReassignmentsRequest).Topics {
				resp.Topics = append(resp.Topics, kmsg.ListPartitionReassignmentsResponseTopic{
					Topic: rt.Topic, Partitions: []kmsg.ListPartitionReassignmentsResponseTopicPartition{
						{Partition: rt.Partitions[0], Replicas: []int32{0, 1, 2}, AddingReplicas: []int32{2}, RemovingReplicas: []int32{0}},
					},
				})
			}
			return resp, nil, true
		})
		moving := ok(x, call(x.client.ListPartitionReassignments([]kafka.TopicPartition{orders(1)}, x.deadline)))
		if len(moving) != 1 || moving[0].Partition != orders(1) || moving[0].Adding[0] != 2 || moving[0].Removing[0] != 0 {
			t.Errorf("%+v", moving)
		}
	})
}

// The answer comes in pieces; a broker that cannot tell is asked as before.
func TestReplicasAreDescribed(t *testing.T) {
	run(t, func(x *fixture) {
		pages := 0
		x.brokers.ControlKey(int16(kmsg.DescribeTopicPartitions), func(req kmsg.Request) (kmsg.Response, error, bool) {
			x.brokers.KeepControl()
			pages++
			r := req.(*kmsg.DescribeTopicPartitionsRequest)
			resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
			topic := kmsg.NewDescribeTopicPartitionsResponseTopic()
			topic.Topic = kmsg.StringPtr("orders")
			p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
			p.LeaderID, p.Replicas, p.ISR, p.EligibleLeaderReplicas, p.OfflineReplicas = 1, []int32{1, 2, 3}, []int32{1}, []int32{2}, []int32{3}
			if r.Cursor == nil {
				resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: "orders", Partition: 1}
			} else {
				p.Partition = r.Cursor.Partition
			}
			topic.Partitions = append(topic.Partitions, p)
			resp.Topics = append(resp.Topics, topic)
			return resp, nil, true
		})
		described := ok(x, call(x.client.DescribeReplicas([]string{"nothing", "orders"}, x.deadline)))
		if described[0].Err != kafka.ErrUnknownTopicOrPartition || pages != 2 {
			t.Errorf("%d answers, nothing: %v", pages, described[0].Err)
		}
		d := described[1]
		if len(d.Partitions) != 2 || d.Partitions[1].ID != 1 || d.Partitions[0].Eligible[0] != 2 || d.Partitions[0].Offline[0] != 3 {
			t.Errorf("%+v", d)
		}
	})
}

func TestReplicasOfABrokerThatCannotTellWhoIsEligible(t *testing.T) {
	run(t, func(x *fixture) {
		described := ok(x, call(x.client.DescribeReplicas([]string{"orders"}, x.deadline)))
		if len(described[0].Partitions) != 3 || described[0].Partitions[0].Eligible != nil {
			t.Errorf("%+v", described)
		}
	}, kfake.MaxVersions(withoutKey(75)))
}
