package client_test

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// A commit loses its connection, and comes to the coordinator all the same, after the
// next one: it is of a member that is none any more (docs/bugs/0081.md).
func TestACommitThatComesLateIsRefused(t *testing.T) {
	for _, c := range []struct {
		name     string
		protocol client.GroupProtocol
		instance string
	}{
		{"classic", client.ClassicGroup, ""},
		{"classic, static", client.ClassicGroup, "one"},
		{"consumer", client.ConsumerGroup, ""},
		{"consumer, static", client.ConsumerGroup, "one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(x *fixture) { x.lateCommit(c.protocol, c.instance) }, kfake.NumBrokers(1))
		})
	}
}

func (x *fixture) lateCommit(protocol client.GroupProtocol, instance string) {
	x.fill(6)
	var late *kmsg.OffsetCommitRequest
	x.brokers.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		late = r.(*kmsg.OffsetCommitRequest)
		return nil, errors.New("the connection is lost"), true
	})
	g, config := client.DefaultGroup("g", "orders"), client.DefaultConsumer()
	g.Protocol, g.Instance, g.Heartbeat = protocol, instance, 50*time.Millisecond
	var committed []error
	g.OnCommit = func([]client.Commit) func(error) {
		return func(err error) { committed = append(committed, err) }
	}
	config.Reset, config.MaxWait = client.ResetEarliest, 20*time.Millisecond
	processed := 0
	p := ok(x, call(x.client.NewAtMostOnce(g, config, func(records []client.Record) error {
		processed += len(records)
		return nil
	})))
	for processed < 6 && x.w.Now() < x.deadline {
		_, err := p.Step(x.w.Now().Add(100*time.Millisecond), 2)
		x.check("step", err)
	}
	if processed != 6 || len(committed) < 2 || client.OutcomeOf(committed[0]) != kafka.Unknown || late == nil {
		x.Fatalf("%d records were processed; commits came to %v", processed, committed)
	}
	before := ok(x, call(p.Member().Committed([]kafka.TopicPartition{orders0}, x.deadline)))[orders0].Offset
	l := link.New(x.w, link.DefaultConfig(x.brokers.ListenAddrs()[0]))
	resp, err := l.Do(late, link.Options{MinVersion: 2, MaxVersion: 9}, x.deadline)
	x.check("the late commit", err)
	x.check("close link", l.Close(x.deadline))
	if code := kafka.Error(resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode); code == kafka.None {
		x.Errorf("the late commit of %d was carried out", late.Topics[0].Partitions[0].Offset)
	}
	after := ok(x, call(p.Member().Committed([]kafka.TopicPartition{orders0}, x.deadline)))[orders0].Offset
	if before != 6 || after != before {
		x.Errorf("%d was committed, and %d after the late commit", before, after)
	}
	x.check("close", p.Close(x.deadline))
}
