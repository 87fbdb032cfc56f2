package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
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

// Offsets of two topics stay apart, whether topics are named by their ids (version 10)
// or by their names; an id that nobody has is refused.
func TestOffsetsAreOfTheirTopics(t *testing.T) {
	m := run(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(m.address()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	created, err := kadm.NewClient(c).CreateTopics(ctx, 2, 1, nil, "orders", "users")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(q kmsg.Request, version int16) kmsg.Response {
		t.Helper()
		r, err := c.SeedBrokers()[0].Request(ctx, pinned{q, version})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	nobody := [16]byte{15: 1}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{"g"}
	for ask(find, 4).(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode != 0 {
	}
	for commitOf(ask, 9, nobody, "orders", 5) != 0 { // it loads
	}
	if code := commitOf(ask, 10, nobody, "", 0); code != 100 {
		t.Errorf("commit by an id that nobody has: error %d", code)
	}
	for i, name := range []string{"orders", "users"} {
		if code := commitOf(ask, 10, created[name].ID, "", int64(10+i)); code != 0 {
			t.Fatalf("commit by id: error %d", code)
		}
	}
	if code := commitOf(ask, 9, nobody, "users", 21); code != 0 {
		t.Fatalf("commit by name: error %d", code)
	}
	for _, want := range []struct {
		name   string
		offset int64
	}{{"orders", 10}, {"users", 21}} {
		for _, version := range []int16{9, 10} {
			q := kmsg.NewPtrOffsetFetchRequest()
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = "g"
			for _, asked := range [][]kmsg.OffsetFetchRequestGroupTopic{nil, {{Topic: want.name, TopicID: created[want.name].ID, Partitions: []int32{1}}, {TopicID: nobody, Partitions: []int32{1}}}} {
				g.Topics = asked
				q.Groups = []kmsg.OffsetFetchRequestGroup{g}
				answer := ask(q, version).(*kmsg.OffsetFetchResponse)
				if got := offsetIn(answer, version, want.name, created[want.name].ID); got != want.offset {
					t.Errorf("version %d, asked for %d topics: %s is told at %d, want %d", version, len(asked), want.name, got, want.offset)
				}
				if unknown := answer.Groups[0].Topics[len(answer.Groups[0].Topics)-1]; asked != nil && version == 10 && unknown.Partitions[0].ErrorCode != 100 {
					t.Errorf("an id that nobody has: %+v", unknown)
				}
			}
		}
	}
}

// pinned is a request that is sent in one version.
type pinned struct {
	kmsg.Request
	version int16
}

func (p pinned) MaxVersion() int16 { return p.version }

// commitOf commits an offset of partition 1 from outside the group g, and returns the
// partition's error.
func commitOf(ask func(kmsg.Request, int16) kmsg.Response, version int16, id [16]byte, name string, offset int64) int16 {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Group, q.Generation = "g", -1
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = name, id
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = 1, offset
	topic.Partitions = append(topic.Partitions, p)
	q.Topics = append(q.Topics, topic)
	return ask(q, version).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

// offsetIn returns what is told of partition 1 of a topic; -2: nothing.
func offsetIn(r *kmsg.OffsetFetchResponse, version int16, name string, id [16]byte) int64 {
	for _, t := range r.Groups[0].Topics {
		if version >= 10 && t.TopicID == id || version < 10 && t.Topic == name {
			return t.Partitions[0].Offset
		}
	}
	return -2
}
