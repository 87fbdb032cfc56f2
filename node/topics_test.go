package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestCreateTopicsSaysWhatIsWrong(t *testing.T) {
	m := run(t)
	m.create("taken")
	admin := kadm.NewClient(m.client())
	value := "1"
	for _, c := range []struct {
		name       string
		topic      string
		partitions int32
		replicas   int16
		settings   map[string]*string
		want       error
	}{
		{"a name that is taken", "taken", 1, 1, nil, kerr.TopicAlreadyExists},
		{"a name that is none", "a/b", 1, 1, nil, kerr.InvalidTopicException},
		{"no partitions", "a", 0, 1, nil, kerr.InvalidPartitions},
		{"more replicas than brokers", "a", 1, 2, nil, kerr.InvalidReplicationFactor},
		{"a setting that there is not", "a", 1, 1, map[string]*string{"retention.eons": &value}, kerr.InvalidConfig},
		{"a setting that does not act", "a", 1, 1, map[string]*string{"unclean.leader.election.enable": &value}, kerr.InvalidConfig},
		{"defaults", "defaults", -1, -1, nil, nil},
	} {
		r, err := admin.CreateTopics(within(t), c.partitions, c.replicas, c.settings, c.topic)
		if err != nil {
			t.Fatal(err)
		}
		if got := r[c.topic].Err; !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got, err := admin.ValidateCreateTopics(within(t), 2, 1, nil, "only.checked"); err != nil || got["only.checked"].Err != nil {
		t.Errorf("only checked: %+v %v", got, err)
	}
	topics, err := admin.ListTopics(within(t))
	if err != nil || len(topics) != 2 {
		t.Errorf("topics %v %v, want two", topics.Names(), err)
	}
}

func TestTheAnswerTellsTheSettingsInForce(t *testing.T) {
	m := run(t, config.Pair{Name: "log.retention.hours", Value: "2"})
	value := "9"
	r, err := kadm.NewClient(m.client()).CreateTopic(within(t), 1, 1, map[string]*string{"segment.ms": &value}, "orders")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"retention.ms": "7200000", "segment.ms": "9", "cleanup.policy": "delete"} {
		if got := r.Configs[name]; got.Value == nil || *got.Value != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}

// A client that asks for an unknown topic is told so, and finds it soon after.
func TestAskingForATopicCreatesIt(t *testing.T) {
	m := run(t, config.Pair{Name: "num.partitions", Value: "2"})
	w := m.wire()
	name := "wanted"
	ask := func() kmsg.MetadataResponseTopic {
		q := kmsg.NewPtrMetadataRequest()
		q.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		q.AllowAutoTopicCreation = true
		r := kmsg.NewPtrMetadataResponse()
		w.receive(r, 12, w.send(q, 12))
		return r.Topics[0]
	}
	if first := ask(); first.ErrorCode != int16(kafka.ErrUnknownTopicOrPartition) || len(first.Partitions) != 0 {
		t.Errorf("first answer: %+v", first)
	}
	m.until(func() bool { return len(m.node.Partitions()) == 2 })
	if then := ask(); then.ErrorCode != 0 || len(then.Partitions) != 2 || then.TopicID == [16]byte{} {
		t.Errorf("then: %+v", then)
	}
	name = "in/valid"
	if got := ask(); got.ErrorCode != int16(kafka.ErrInvalidTopic) {
		t.Errorf("a name that is none: %+v", got)
	}
}

func TestMetadataOfAllOfNoneAndById(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	ask := func(version int16, topics []kmsg.MetadataRequestTopic) *kmsg.MetadataResponse {
		q := kmsg.NewPtrMetadataRequest()
		q.Topics = topics
		r := kmsg.NewPtrMetadataResponse()
		w.receive(r, version, w.send(q, version))
		return r
	}
	for _, c := range []struct {
		name    string
		version int16
		topics  []kmsg.MetadataRequestTopic
		want    int
	}{
		{"v0: empty is all", 0, []kmsg.MetadataRequestTopic{}, 1},
		{"v1: null is all", 1, nil, 1},
		{"v1: empty is none", 1, []kmsg.MetadataRequestTopic{}, 0},
		{"v12: null is all", 12, nil, 1},
		{"v13: empty is none", 13, []kmsg.MetadataRequestTopic{}, 0},
	} {
		if r := ask(c.version, c.topics); len(r.Topics) != c.want || len(r.Brokers) != 1 {
			t.Errorf("%s: %d topics, %d brokers", c.name, len(r.Topics), len(r.Brokers))
		}
	}
	id := ask(12, nil).Topics[0].TopicID
	if r := ask(12, []kmsg.MetadataRequestTopic{{TopicID: id}}); r.Topics[0].Topic == nil || *r.Topics[0].Topic != "orders" {
		t.Errorf("by id: %+v", r.Topics)
	}
	if r := ask(12, []kmsg.MetadataRequestTopic{{TopicID: [16]byte{1}}}); r.Topics[0].ErrorCode != int16(kafka.ErrUnknownTopicID) {
		t.Errorf("by an id that there is not: %+v", r.Topics)
	}
}

func TestATopicCreatedAgainHasNothingOfTheOldOne(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	w.wantProduced("orders", batchOf("old", "older"), 0)
	admin := kadm.NewClient(m.client())
	if _, err := admin.DeleteTopic(within(t), "orders"); err != nil {
		t.Fatal(err)
	}
	if p := w.produce("orders", 1, batchOf("x")); p.ErrorCode != int16(kafka.ErrUnknownTopicOrPartition) {
		t.Errorf("produced to a deleted topic: %+v", p)
	}
	m.create("orders")
	w.wantProduced("orders", batchOf("new"), 0)
	m.stop()
	m.start()
	m.wire().wantProduced("orders", batchOf("newer"), 1)
	if _, err := admin.DeleteTopic(within(t), "orders"); err != nil {
		t.Fatal(err)
	}
	m.stop()
	if left := directories(t, m.dirs[0]); !slices.Equal(left, []string{"__cluster_metadata-0", "quorum"}) {
		t.Errorf("directories that are left: %v", left)
	}
}

func directories(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// Whatever a crash leaves in a log directory, it is not taken for a topic's data.
func TestLeftoversAreRemovedAtTheStart(t *testing.T) {
	m := run(t)
	m.create("orders")
	m.wire().wantProduced("orders", batchOf("kept"), 0)
	m.create("gone")
	m.wire().wantProduced("gone", batchOf("lost"), 0)
	m.stop()

	dir := m.dirs[0]
	aside := filepath.Join(t.TempDir(), "gone-0")
	move(t, filepath.Join(dir, "gone-0"), aside)
	m.start() // as if the directory had not been made yet
	if _, err := kadm.NewClient(m.client()).DeleteTopic(within(t), "gone"); err != nil {
		t.Fatal(err)
	}
	m.stop()
	move(t, aside, filepath.Join(dir, "gone-0")) // as if its removal had been lost
	for _, name := range []string{"half-7", strings.Repeat("0", 32) + "-0-delete"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.start()
	if left := directories(t, dir); !slices.Equal(left, []string{"__cluster_metadata-0", "orders-0", "quorum"}) {
		t.Errorf("directories that are left: %v", left)
	}
	m.create("gone")
	m.wire().wantProduced("gone", batchOf("new"), 0)
	m.wire().wantProduced("orders", batchOf("more"), 1)
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestAQuarantinedPartitionIsRefusedAndTheOthersServed(t *testing.T) {
	m := run(t)
	m.create("bad")
	m.create("good")
	m.wire().wantProduced("bad", batchOf("x"), 0)
	m.stop()
	manifest := filepath.Join(m.dirs[0], "bad-0", "partition")
	if err := os.WriteFile(manifest, []byte("rot"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.start()
	w := m.wire()
	if p := w.produce("bad", -1, batchOf("y")); p.ErrorCode != int16(kafka.ErrStorageError) || p.ErrorMessage == nil || !strings.Contains(*p.ErrorMessage, "quarantined") {
		t.Errorf("produced to a quarantined partition: %+v", p)
	}
	w.wantProduced("good", batchOf("y"), 0)
}

// A partition that was on a disk that is gone is not begun anew without its data.
func TestAPartitionOfALostDiskIsNotMadeAnew(t *testing.T) {
	m := &machine{t: t, dirs: []string{t.TempDir(), t.TempDir()}}
	m.start()
	t.Cleanup(m.stop)
	m.create("one")
	m.create("two")
	m.stop()
	m.dirs = m.dirs[:1]
	m.start()
	served, refused := 0, 0
	var views []broker.View
	m.as(func() { views = m.node.Partitions() })
	for _, v := range views {
		if v.Broken == nil {
			served++
		} else if errors.Is(v.Broken, kafka.ErrStorageError) {
			refused++
		}
	}
	if served != 1 || refused != 1 {
		t.Errorf("%d served, %d refused, want one each: %+v", served, refused, views)
	}
}

func TestProducerIdsAreNeverGivenTwice(t *testing.T) {
	m := run(t)
	seen := map[int64]bool{}
	for range 3 {
		w := m.wire()
		for range 3 {
			r := kmsg.NewPtrInitProducerIDResponse()
			w.receive(r, 4, w.send(kmsg.NewPtrInitProducerIDRequest(), 4))
			if r.ErrorCode != 0 || seen[r.ProducerID] {
				t.Errorf("%+v after %v", r, seen)
			}
			seen[r.ProducerID] = true
		}
		m.stop()
		m.start()
	}
	id := "tx"
	q := kmsg.NewPtrInitProducerIDRequest()
	q.TransactionalID = &id
	w := m.wire()
	r := kmsg.NewPtrInitProducerIDResponse()
	w.receive(r, 4, w.send(q, 4))
	if r.ErrorCode != int16(kafka.ErrUnsupportedVersion) {
		t.Errorf("a transactional id: %+v", r)
	}
}

func TestOffsetsAreListed(t *testing.T) {
	m := run(t)
	m.create("orders")
	ctx := within(t)
	c := m.client(kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(0))
	start := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	for _, second := range []int{0, 9, 2} {
		r := &kgo.Record{Value: []byte("x"), Timestamp: start.Add(time.Duration(second) * time.Second)}
		if err := c.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	admin := kadm.NewClient(c)
	at := func(l kadm.ListedOffsets, err error) int64 {
		t.Helper()
		o, ok := l.Lookup("orders", 0)
		if err != nil || !ok || o.Err != nil {
			t.Fatal(l, err)
		}
		return o.Offset
	}
	for name, c := range map[string]struct{ got, want int64 }{
		"earliest":          {at(admin.ListStartOffsets(ctx, "orders")), 0},
		"latest":            {at(admin.ListEndOffsets(ctx, "orders")), 3},
		"largest timestamp": {at(admin.ListMaxTimestampOffsets(ctx, "orders")), 1},
		"at a time":         {at(admin.ListOffsetsAfterMilli(ctx, start.Add(time.Second).UnixMilli(), "orders")), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", name, c.got, c.want)
		}
	}
}

func TestALeaderEpochEndsWhereTheNextBegan(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	w.wantProduced("orders", batchOf("a", "b"), 0)
	ask := func(current, epoch int32) kmsg.OffsetForLeaderEpochResponseTopicPartition {
		q := kmsg.NewPtrOffsetForLeaderEpochRequest()
		q.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "orders",
			Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: current, LeaderEpoch: epoch}}}}
		r := kmsg.NewPtrOffsetForLeaderEpochResponse()
		w.receive(r, 4, w.send(q, 4))
		return r.Topics[0].Partitions[0]
	}
	if p := ask(0, 0); p.ErrorCode != 0 || p.LeaderEpoch != 0 || p.EndOffset != 2 {
		t.Errorf("the current epoch: %+v", p)
	}
	if p := ask(1, 0); p.ErrorCode != int16(kafka.ErrUnknownLeaderEpoch) {
		t.Errorf("a client ahead of us: %+v", p)
	}
	m.kill()
	m.start()
	w = m.wire()
	w.wantProduced("orders", batchOf("c"), 2)
	if p := ask(0, 0); p.ErrorCode != int16(kafka.ErrFencedLeaderEpoch) {
		t.Errorf("a client behind us: %+v", p)
	}
	// In epoch 1 nobody led: the node had registered anew and did not serve yet.
	for _, before := range []int32{0, 1} {
		if p := ask(2, before); p.ErrorCode != 0 || p.LeaderEpoch != 0 || p.EndOffset != 2 {
			t.Errorf("epoch %d, before the crash: %+v", before, p)
		}
	}
	if p := ask(2, 2); p.ErrorCode != 0 || p.LeaderEpoch != 2 || p.EndOffset != 3 {
		t.Errorf("the epoch after the crash: %+v", p)
	}
}
