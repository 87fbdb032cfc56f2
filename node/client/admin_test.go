package client_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

func TestTopicsComeAndGo(t *testing.T) {
	run(t, func(x *fixture) {
		made := ok(x, call(x.client.CreateTopics([]client.NewTopic{
			{Name: "new", Partitions: 2, Replicas: 3, Configs: map[string]string{"cleanup.policy": "compact"}},
			{Name: "orders", Partitions: 1, Replicas: 1},
		}, x.deadline)))
		x.check("create", made[0].Err)
		x.want("create again", made[1].Err, kafka.ErrTopicAlreadyExists)
		described := ok(x, call(x.client.DescribeTopics([]string{"new", "nothing"}, x.deadline)))
		if d := described[0]; len(d.Partitions) != 2 || len(d.Partitions[0].Replicas) != 3 || d.ID != made[0].ID {
			t.Errorf("%+v", d)
		}
		if described[1].Err != kafka.ErrUnknownTopicOrPartition {
			t.Errorf("nothing: %v", described[1].Err)
		}
		gone := ok(x, call(x.client.DeleteTopics([]string{"nothing", "new"}, x.deadline)))
		x.want("delete nothing", gone[0].Err, kafka.ErrUnknownTopicOrPartition)
		x.check("delete", gone[1].Err)
		if left := ok(x, call(x.client.ListTopics(x.deadline))); len(left) != 1 || left[0].Name != "orders" {
			t.Errorf("left: %+v", left)
		}
	})
}

func TestTheControllerIsLookedForAgain(t *testing.T) {
	run(t, func(x *fixture) {
		x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.NotController, Count: 3})
		made := ok(x, call(x.client.CreateTopics([]client.NewTopic{{Name: "new", Partitions: 1, Replicas: 1}}, x.deadline)))
		x.check("create", made[0].Err)
	})
}

// A creation that may have been carried out is not repeated: the second attempt
// would say that the topic exists, whoever made it.
func TestACreationWithoutAnswerIsOfUnknownOutcome(t *testing.T) {
	run(t, func(x *fixture) {
		var asked atomic.Int32
		x.brokers.ControlKey(int16(kmsg.CreateTopics), func(kmsg.Request) (kmsg.Response, error, bool) {
			x.brokers.KeepControl()
			asked.Add(1)
			return nil, nil, true // no answer
		})
		_, err := x.client.CreateTopics([]client.NewTopic{{Name: "new", Partitions: 1, Replicas: 1}},
			x.w.Now().Add(100*time.Millisecond))
		x.want("create", err, link.ErrNoAnswer)
		if client.OutcomeOf(err) != kafka.Unknown || asked.Load() != 1 {
			t.Errorf("%v after %d requests", client.OutcomeOf(err), asked.Load())
		}
	})
}

func TestOffsets(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		x.cut(4)
		x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.NotLeaderForPartition, Count: 2})
		place := func(part int32, from client.Start) client.Place {
			return client.Place{Partition: kafka.TopicPartition{Topic: "orders", Partition: part}, From: from}
		}
		for _, c := range []struct {
			from client.Start
			want kafka.Offset
		}{
			{client.Earliest(), 4}, {client.Latest(), 10}, {client.AtTime(0), 4},
			{client.AtTime(x.w.Wall() + 1_000_000), kafka.NoOffset}, {client.At(7), 7},
		} {
			found := ok(x, call(x.client.Offsets([]client.Place{place(0, c.from), place(1, client.Latest())}, x.deadline)))
			if found[0].Offset != c.want || found[1].Offset != 0 {
				t.Errorf("%v: %d and %d, want %d and 0", c.from, found[0].Offset, found[1].Offset, c.want)
			}
		}
		_, err := x.client.Offsets([]client.Place{place(9, client.Latest())}, x.deadline)
		x.want("no such partition", err, client.ErrNoPartition)
	})
}

func TestNobodyThere(t *testing.T) {
	run(t, func(x *fixture) {
		l := ok(x, call(x.w.Net.Listen("127.0.0.1:0")))
		nobody := l.Address()
		x.check("close", l.Close())
		c := ok(x, call(client.New(x.w, client.DefaultConfig(nobody))))
		x.want("reach", c.Reach(x.deadline), link.ErrNotSent)
		_, err := c.ListTopics(x.w.Now().Add(300 * time.Millisecond))
		x.want("list", err, link.ErrNotSent)
		if o := client.OutcomeOf(err); o != kafka.Retriable {
			t.Errorf("%v", o)
		}
		x.check("close", c.Close(x.deadline))
		_, err = client.New(x.w, client.DefaultConfig())
		if err == nil {
			t.Error("a client without bootstrap address is accepted")
		}
	})
}
