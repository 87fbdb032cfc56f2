package osclient_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/osclient"
)

// group starts a node and has records 0 to n-1 in the topic orders.
func group(t *testing.T, n int) *fixture {
	x := start(t, config.Pair{Name: "group.initial.rebalance.delay.ms", Value: "0"},
		config.Pair{Name: "offsets.topic.num.partitions", Value: "1"})
	x.topic("orders", 1, nil)
	p := x.producer(nil)
	for _, v := range numbers(n) {
		if _, err := p.Send(x.ctx, osclient.Record{Topic: "orders", Value: []byte(v)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(x.ctx); err != nil {
		t.Fatal(err)
	}
	return x
}

// What is called with partitions may use the client, and what ctx no longer waits for
// is left all the same.
func TestAMembersCallbacksUseTheClient(t *testing.T) {
	x := group(t, 3)
	for name, protocol := range map[string]osclient.GroupProtocol{"classic": osclient.ClassicGroup, "consumer": osclient.ConsumerGroup} {
		t.Run(name, func(t *testing.T) {
			g := osclient.DefaultGroup("readers-"+name, "orders")
			g.Protocol = protocol
			var m *osclient.GroupConsumer
			var told []string
			g.OnAssigned = func(tps []osclient.TopicPartition) {
				found, err := m.Committed(x.ctx, tps...)
				told = append(told, fmt.Sprint("assigned ", tps, found[tps[0]].Offset, err))
			}
			g.OnRevoked = func(tps []osclient.TopicPartition) {
				told = append(told, fmt.Sprint("revoked ", tps, m.Commit(x.ctx, osclient.Commit{Partition: tps[0], Offset: 2})))
			}
			g.AutoCommit = 0
			var err error
			if m, err = x.client.NewGroupConsumer(g, fromTheBeginning()); err != nil {
				t.Fatal(err)
			}
			records, err := m.Poll(x.ctx, 0)
			if err != nil || len(records) == 0 {
				t.Fatalf("poll: %v, %v", records, err)
			}
			if err := m.Close(x.ctx); err != nil {
				t.Fatal(err)
			}
			want := []string{"assigned [orders-0] -1 <nil>", "revoked [orders-0] <nil>"}
			if fmt.Sprint(told) != fmt.Sprint(want) {
				t.Errorf("told %v, want %v", told, want)
			}
			found, err := x.client.GroupOffsets(x.ctx, g.Group)
			if err != nil || len(found) != 1 || found[0].Offset != 2 {
				t.Errorf("committed %v, %v", found, err)
			}
			groups, err := x.client.DescribeGroups(x.ctx, g.Group)
			if err != nil || groups[0].State != "Empty" || groups[0].Type != name {
				t.Errorf("described %+v, %v", groups, err)
			}
		})
	}
}

func TestAMemberIsPolledByOne(t *testing.T) {
	x := group(t, 0)
	m, err := x.client.NewGroupConsumer(osclient.DefaultGroup("readers", "orders"), fromTheBeginning())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(x.ctx)
	polled := make(chan error)
	for range 2 {
		go func() {
			_, err := m.Poll(ctx, 0)
			polled <- err
		}()
	}
	refused := <-polled
	if refused == nil || errors.Is(refused, context.Canceled) {
		t.Errorf("the second who polls: %v", refused)
	}
	cancel()
	if err := <-polled; !errors.Is(err, context.Canceled) {
		t.Errorf("the first who polls: %v", err)
	}
	if err := m.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close with a context that is done: %v", err)
	}
	if _, err := m.Poll(x.ctx, 0); !errors.Is(err, osclient.ErrClosed) {
		t.Errorf("poll after close: %v", err)
	}
}

// A client that closes has its members leave: nobody has to wait for their session.
func TestAClosedClientsMembersHaveLeft(t *testing.T) {
	x := group(t, 3)
	c, err := osclient.New(osclient.DefaultConfig(x.address))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.NewAtLeastOnce(osclient.DefaultGroup("readers", "orders"), fromTheBeginning(), func([]osclient.Record) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for done := 0; done < 3; {
		n, err := p.Step(x.ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		done += n
	}
	if got, err := p.Assignment(); err != nil || len(got) != 1 {
		t.Errorf("assigned %v, %v", got, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(x.ctx, 10*time.Second)
	defer cancel()
	if _, err := x.client.DeleteGroups(ctx, "readers"); err != nil {
		t.Error(err)
	}
}
