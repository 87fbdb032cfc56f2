package peer

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type message interface {
	AppendTo([]byte) []byte
	ReadFrom([]byte) error
}

func private() []message {
	return []message{
		&RaftStep{ClusterID: "c", From: 7, Directory: [16]byte{1}, Messages: [][]byte{[]byte("a"), {}, []byte("bcd")}},
		&RaftStepped{ErrorCode: 3},
		&ReadMetadata{ClusterID: "c", ReplicaID: 4, From: 12, MaxBytes: 1 << 20, MaxWaitMillis: 500, Directory: [16]byte{9}},
		&MetadataRead{ErrorCode: 41, ErrorMessage: "not here", Page: []byte("page")},
		&Forward{APIKey: 19, APIVersion: 7, ClientID: "me", Principal: "User:x", Listener: "PLAINTEXT", TimeoutMillis: 30, Body: []byte("q")},
		&Forwarded{ErrorCode: 41, ErrorMessage: "no", Offset: 99, Body: []byte("answer")},
	}
}

func empty(m message) message {
	switch m.(type) {
	case *RaftStep:
		return &RaftStep{}
	case *RaftStepped:
		return &RaftStepped{}
	case *ReadMetadata:
		return &ReadMetadata{}
	case *MetadataRead:
		return &MetadataRead{}
	case *Forward:
		return &Forward{}
	}
	return &Forwarded{}
}

func TestPrivateMessagesComeBackAsTheyWere(t *testing.T) {
	for _, m := range private() {
		b := m.AppendTo(nil)
		back := empty(m)
		if err := back.ReadFrom(b); err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		if d := cmp.Diff(m, back); d != "" {
			t.Errorf("%T: %s", m, d)
		}
		for n := range b {
			if empty(m).ReadFrom(b[:n]) == nil {
				t.Errorf("%T: %d of %d bytes are a message", m, n, len(b))
			}
		}
	}
}

func TestPrivateMessagesMayGrowTaggedFields(t *testing.T) {
	for _, m := range private() {
		b := m.AppendTo(nil)
		b = append(b[:len(b)-1], 1, 5, 2, 'h', 'i')
		back := empty(m)
		if err := back.ReadFrom(b); err != nil {
			t.Fatalf("%T with a tagged field: %v", m, err)
		}
		if d := cmp.Diff(m, back); d != "" {
			t.Errorf("%T: %s", m, d)
		}
	}
}

func TestARaftStepHoldsABoundedNumberOfMessages(t *testing.T) {
	m := &RaftStep{Messages: make([][]byte, MaxRaftMessages+1)}
	if (&RaftStep{}).ReadFrom(m.AppendTo(nil)) == nil {
		t.Error("too many messages were taken")
	}
}

func FuzzPrivateMessages(f *testing.F) {
	for i, m := range private() {
		f.Add(uint8(i), m.AppendTo(nil))
	}
	all := private()
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		m := empty(all[int(kind)%len(all)])
		if m.ReadFrom(b) != nil {
			return
		}
		again := empty(m)
		if err := again.ReadFrom(m.AppendTo(nil)); err != nil {
			t.Fatalf("%#v does not come back: %v", m, err)
		}
		if d := cmp.Diff(m, again); d != "" {
			t.Error(d)
		}
	})
}

// through sends a message of Kafka's over the wire.
func through[M interface {
	message
	SetVersion(int16)
	MaxVersion() int16
}](t *testing.T, m, back M) M {
	t.Helper()
	m.SetVersion(m.MaxVersion())
	back.SetVersion(m.MaxVersion())
	if err := back.ReadFrom(m.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestBothSidesOfBrokersMessagesAgree(t *testing.T) {
	r := meta.Registration{
		ID: 3, ClusterID: "c", Incarnation: meta.Incarnation{4}, Endpoints: []meta.Endpoint{{Listener: "PLAINTEXT", Host: "h", Port: 9092}},
		Directories: []meta.DirectoryID{{1}, {2}}, Rack: "a", Volatile: true, CleanAfter: 17, MinLevel: 1, MaxLevel: 2,
	}
	back, err := RegistrationOf(through(t, RegistrationRequest(r), kmsg.NewPtrBrokerRegistrationRequest()))
	if d := cmp.Diff(r, back); d != "" || err != nil {
		t.Error(d, err)
	}

	for _, refused := range []error{nil, fmt.Errorf("node.id=3 is taken: %w", kafka.ErrDuplicateBrokerRegistration)} {
		epoch, err := registered(through(t, RegistrationResponse(9, refused), kmsg.NewPtrBrokerRegistrationResponse()))
		if refused == nil && (epoch != 9 || err != nil) || refused != nil && (err == nil || err.Error() != refused.Error() || kafka.ErrorOf(err) != kafka.ErrorOf(refused)) {
			t.Errorf("epoch %d, %v, want %v", epoch, err, refused)
		}
	}

	b := meta.Beat{ID: 3, Epoch: 8, Applied: 44, WantFence: true, WantShutdown: true,
		Offline: []meta.Replica{{Topic: kafka.TopicID{1}, Partition: 2}, {Topic: kafka.TopicID{2}, Partition: 1}}}
	beat, err := BeatOf(through(t, BeatRequest(b), kmsg.NewPtrBrokerHeartbeatRequest()))
	if d := cmp.Diff(b, beat); d != "" || err != nil {
		t.Error(d, err)
	}
	a := meta.BeatAnswer{CaughtUp: true, Fenced: true, MayShutDown: true, Decided: 77}
	answer, err := beatAnswer(through(t, BeatResponse(a, nil), kmsg.NewPtrBrokerHeartbeatResponse()))
	if d := cmp.Diff(a, answer); d != "" || err != nil {
		t.Error(d, err)
	}

	told := BeatResponse(a, nil)
	told.UnknownTags.Set(PrivateTag, []byte{1})
	if answer, err := beatAnswer(told); answer.Decided != math.MaxInt64 || err != nil {
		t.Errorf("%d was decided, %v", answer.Decided, err)
	}

	block, err := allocated(through(t, AllocateResponse(meta.Block{First: 1000, End: 2000}, nil), kmsg.NewPtrAllocateProducerIDsResponse()))
	if block != (meta.Block{First: 1000, End: 2000}) || err != nil {
		t.Error(block, err)
	}
}

func TestBothSidesOfAlterPartitionAgree(t *testing.T) {
	self := meta.Member{ID: 1, Epoch: 5}
	items := []meta.Alter{
		{Replica: meta.Replica{Topic: kafka.TopicID{1}, Partition: 0}, LeaderEpoch: 2, Epoch: 3, ISR: []meta.Member{{ID: 1, Epoch: -1}, {ID: 2, Epoch: 9}}},
		{Replica: meta.Replica{Topic: kafka.TopicID{1}, Partition: 4}, LeaderEpoch: 1, Epoch: 1, ISR: []meta.Member{{ID: 1, Epoch: -1}}},
		{Replica: meta.Replica{Topic: kafka.TopicID{2}, Partition: 0}, LeaderEpoch: 7, Epoch: 8, ISR: []meta.Member{{ID: 3, Epoch: 1}}},
		{Replica: meta.Replica{Topic: kafka.TopicID{1}, Partition: 5}, LeaderEpoch: 0, Epoch: 0, ISR: []meta.Member{{ID: 1, Epoch: -1}}},
	}
	gotSelf, got := AltersOf(through(t, AlterRequest(self, items), kmsg.NewPtrAlterPartitionRequest()))
	if d := cmp.Diff(items, got); d != "" || gotSelf != self {
		t.Error(gotSelf, d)
	}
	answers := []meta.Altered{
		{State: meta.PartitionState{Leader: 1, LeaderEpoch: 2, Epoch: 4, ISR: []kafka.NodeID{1, 2}}},
		{Err: kafka.ErrFencedLeaderEpoch},
		{Err: kafka.ErrUnknownTopicID},
		{State: meta.PartitionState{Leader: 1, Epoch: 1, ISR: []kafka.NodeID{1}}},
	}
	back, err := altered(items, through(t, AlterResponse(items, answers, nil), kmsg.NewPtrAlterPartitionResponse()))
	if d := cmp.Diff(answers, back, cmp.Comparer(func(a, b error) bool { return a == b })); d != "" || err != nil {
		t.Error(d, err)
	}
	if _, err := altered(items[1:], AlterResponse(items, answers, nil)); err == nil {
		t.Error("answers to something else were taken")
	}
	if _, err := altered(items, AlterResponse(items, nil, kafka.ErrNotController)); err != kafka.ErrNotController {
		t.Error(err)
	}
}

func TestAFollowersFetchCarriesWhatItHolds(t *testing.T) {
	q := &broker.ReplicaFetch{Self: meta.Member{ID: 2, Epoch: 6}, SessionID: 1, SessionEpoch: 2, MinBytes: 1, MaxBytes: 100,
		Items:     []broker.ReplicaItem{{Replica: meta.Replica{Topic: kafka.TopicID{1}, Partition: 3}, LeaderEpoch: 4, LastEpoch: 3, From: 10, Held: 8, LogStart: 1, MaxBytes: 50}},
		Forgotten: []meta.Replica{{Topic: kafka.TopicID{2}, Partition: 0}},
	}
	r := FetchRequest(q, 0)
	r.SetVersion(fetchVersion)
	back := kmsg.NewPtrFetchRequest()
	back.SetVersion(fetchVersion)
	if err := back.ReadFrom(r.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	p := back.Topics[0].Partitions[0]
	held, ok := HeldOf(&p.UnknownTags)
	if !ok || held != 8 || p.FetchOffset != 10 || p.CurrentLeaderEpoch != 4 || p.LastFetchedEpoch != 3 || p.LogStartOffset != 1 {
		t.Errorf("held %d (%t) in %+v", held, ok, p)
	}
	if back.ReplicaState.ID != 2 || back.ReplicaState.Epoch != 6 || back.ForgottenTopics[0].TopicID != [16]byte{2} {
		t.Errorf("%+v", back)
	}
	if _, ok := HeldOf(&kmsg.Tags{}); ok {
		t.Error("a consumer's fetch holds something")
	}
}
