package client_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
)

// A consumer reads from the replica that the leader names, and goes back to the
// leader when that one refuses (KIP-392).
func TestAConsumerGoesWhereItsLeaderSendsIt(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(3)
		leader := int32(ok(x, call(x.client.DescribeTopics([]string{"orders"}, x.deadline)))[0].Partitions[0].Leader)
		near := (leader + 1) % 3
		var sent, refused atomic.Int64
		answer := func(req kmsg.Request, change func(*kmsg.FetchResponseTopicPartition)) (kmsg.Response, error, bool) {
			r := req.(*kmsg.FetchRequest)
			resp := req.ResponseKind().(*kmsg.FetchResponse)
			for _, rt := range r.Topics {
				topic := kmsg.NewFetchResponseTopic()
				topic.Topic, topic.TopicID = rt.Topic, rt.TopicID
				part := kmsg.NewFetchResponseTopicPartition()
				part.RecordBatches = []byte{}
				change(&part)
				topic.Partitions = append(topic.Partitions, part)
				resp.Topics = append(resp.Topics, topic)
			}
			return resp, nil, true
		}
		x.brokers.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
			x.brokers.KeepControl()
			switch node := x.brokers.CurrentNode(); {
			case node == near:
				refused.Add(1)
				return answer(req, func(p *kmsg.FetchResponseTopicPartition) { p.ErrorCode = kerr.OffsetNotAvailable.Code })
			case refused.Load() == 0 && req.(*kmsg.FetchRequest).Rack == "near":
				sent.Add(1)
				return answer(req, func(p *kmsg.FetchResponseTopicPartition) { p.PreferredReadReplica = near })
			}
			return nil, nil, false
		})
		c := client.DefaultConsumer()
		c.Rack, c.MaxWait = "near", 20*time.Millisecond
		cons := x.client.NewConsumer(c)
		cons.Assign(client.Place{Partition: orders0, From: client.Earliest()})
		if got := x.values(cons, 3); len(got) != 3 {
			t.Errorf("%v", got)
		}
		if sent.Load() != 1 || refused.Load() != 1 {
			t.Errorf("sent away %d times, refused %d times, want once", sent.Load(), refused.Load())
		}
		x.check("close", cons.Close(x.deadline))
	})
}

// A leader may name a replica whose broker has just come back: the client's metadata
// are older, and until they are new it must not ask the leader without a pause.
func TestAConsumerSentToABrokerThatItDoesNotKnowRests(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(3)
		var sent atomic.Int64
		var known atomic.Bool
		x.brokers.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
			x.brokers.KeepControl()
			if known.Load() {
				return nil, nil, false
			}
			sent.Add(1)
			r := req.(*kmsg.FetchRequest)
			resp := req.ResponseKind().(*kmsg.FetchResponse)
			for _, rt := range r.Topics {
				topic := kmsg.NewFetchResponseTopic()
				topic.Topic, topic.TopicID = rt.Topic, rt.TopicID
				part := kmsg.NewFetchResponseTopicPartition()
				part.RecordBatches, part.PreferredReadReplica = []byte{}, 77
				topic.Partitions = append(topic.Partitions, part)
				resp.Topics = append(resp.Topics, topic)
			}
			return resp, nil, true
		})
		c := client.DefaultConsumer()
		c.Rack, c.MaxWait = "near", 20*time.Millisecond
		cons := x.client.NewConsumer(c)
		cons.Assign(client.Place{Partition: orders0, From: client.Earliest()})
		if got, err := cons.Poll(x.w.Now().Add(time.Second), 10); len(got) > 0 || err != nil {
			t.Errorf("%d records, %v", len(got), err)
		}
		if n := sent.Load(); n < 2 || n > 500 { // without a rest it is thousands
			t.Errorf("it was sent away %d times within a second", n)
		}
		known.Store(true)
		if got := x.values(cons, 3); len(got) != 3 {
			t.Errorf("%v", got)
		}
		x.check("close", cons.Close(x.deadline))
	})
}
