package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A group of another client's members reads a topic, commits, is described, falls
// behind and is deleted.
func TestFranzGoReadsInAGroup(t *testing.T) {
	m := run(t, config.Pair{Name: "group.initial.rebalance.delay.ms", Value: "0"})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := func(more ...kgo.Opt) *kgo.Client {
		t.Helper()
		c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(m.address())}, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	admin := kadm.NewClient(client())
	if _, err := admin.CreateTopic(ctx, 4, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	produce := func(n int) {
		t.Helper()
		p := client(kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
		for i := range n {
			if err := p.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce(40)
	group := func() *kgo.Client {
		return client(kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	}
	one := group()
	for got := 0; got < 40; {
		f := one.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		got += f.NumRecords()
	}
	if err := one.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	two := group()
	for {
		d, err := admin.DescribeGroups(ctx, "readers")
		if err != nil {
			t.Fatal(err)
		}
		if g := d["readers"]; g.State == "Stable" && len(g.Members) == 2 {
			break
		}
		one.PollFetches(tick(t)) // who does not poll does not let go
		two.PollFetches(tick(t))
	}
	produce(4)
	lags, err := admin.Lag(ctx, "readers")
	if err != nil {
		t.Fatal(err)
	}
	if total := lags["readers"].Lag.Total(); total != 4 {
		t.Errorf("the group lags by %d, want 4", total)
	}
	listed, err := admin.ListGroups(ctx)
	if err != nil || listed["readers"].State != "Stable" {
		t.Errorf("groups: %v %v", listed, err)
	}
	if r, _ := admin.DeleteGroup(ctx, "readers"); r.Err == nil {
		t.Error("a group with members was deleted")
	}
	one.Close()
	two.Close()
	for {
		if r, err := admin.DeleteGroup(ctx, "readers"); err == nil && r.Err == nil {
			break
		}
		<-tick(t).Done()
	}
	offsets, err := admin.FetchOffsets(ctx, "readers")
	if err != nil || len(offsets) > 0 {
		t.Errorf("of a group that is gone: %v %v", offsets, err)
	}
}

// tick is a context that ends soon.
func tick(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
