package broker

import (
	"errors"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

var twoInSync = config.Pair{Name: "min.insync.replicas", Value: "2"}

func (c *cluster) ack(m *machine, values ...string) {
	c.t.Helper()
	for _, v := range values {
		if err := m.produce(kafka.AcksAll, v, 5*time.Second); err != nil {
			c.t.Fatalf("%s: %v", v, err)
		}
	}
}

// mute has every message of a kind from one broker to another lost.
func (c *cluster) mute(what string, from kafka.NodeID) {
	c.lose = func(f, _ kafka.NodeID, w string) bool { return w == what && f == from }
}

// leads waits until a broker leads.
func (c *cluster) leads(m *machine) {
	c.t.Helper()
	c.until("another leads", func() bool { return m.p() != nil && m.p().Role() == Leading })
}

// fail kills a broker, whose session the controller finds ended.
func (c *cluster) fail(m *machine) {
	m.crash()
	c.fence(m.id)
}

func TestFollowersHoldWhatIsAcknowledged(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3}, twoInSync)
	for _, v := range []string{"a", "b", "c"} {
		c.ack(c.machine(1), v)
		for _, m := range c.machines {
			if m.p().log.Durable() != c.machine(1).p().high {
				t.Errorf("broker %d has %d on its disk, %d is acknowledged", m.id, m.p().log.Durable(), c.machine(1).p().high)
			}
		}
	}
	c.same("0:a 0:b 0:c")
}

// KIP-101, scenario 1: a follower's high watermark lags behind its leader's, and
// nothing is cut to it.
func TestAFollowerThatRestartsKeepsWhatIsCommitted(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.mute("fetch answer", 1)
	learned := c.machine(2).p().high
	c.lose = nil
	c.onFetch = func(_, _ kafka.NodeID, _ *ReplicaFetch, a *ReplicaFetched) {
		for i := range a.Items {
			a.Items[i].HighWatermark = learned
		}
	}
	c.ack(c.machine(1), "b")
	if p := c.machine(2).p(); p.high != learned || p.log.End() != 2 {
		t.Fatalf("high watermark %d, log end %d", p.high, p.log.End())
	}
	c.machine(2).crash()
	c.mute("fetch", 2)
	c.machine(2).start()
	c.until("it follows", func() bool { return c.machine(2).p() != nil && c.machine(2).p().Role() == Following })
	c.sleep(50 * time.Millisecond)
	c.fail(c.machine(1))
	c.leads(c.machine(2))
	c.lose, c.onFetch = nil, nil
	c.machine(1).start()
	c.same("0:a 0:b")
}

// A leader that hears of two decisions at once commits with the first, which takes a
// follower out of the in-sync set, and resigns with the second. Its view tells of both.
func TestWhatALeaderCommittedAsItResignedCanBeSeen(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3})
	c.ack(c.machine(1), "a")
	m := c.machine(1)
	m.lags = true
	c.mute("alter", 1)
	c.fail(c.machine(3))
	if err := m.produce(kafka.AcksLeader, "b", time.Second); err != nil {
		t.Fatal(err)
	}
	c.until("2 has it", func() bool { return c.machine(2).p().log.Held() == 2 })
	c.sleep(150 * time.Millisecond) // and has said so
	c.fence(1)
	c.leads(c.machine(2))
	name := m.p().Name()
	before, _ := m.b.View(name)
	var after View
	c.must(m, func() error {
		m.lags = false
		m.hear()
		after, _ = m.b.View(name)
		return nil
	})
	if before.Role != Leading || before.HighWatermark != 1 || before.Exposed != (Exposure{End: 1}) {
		t.Errorf("before: %+v", before)
	}
	if want := (Exposure{End: 2, LeaderEpoch: before.LeaderEpoch, PartitionEpoch: before.PartitionEpoch + 1}); after.Role != Following || after.Exposed != want {
		t.Errorf("after: %+v, want exposed %+v", after, want)
	}
}

// KIP-101, scenario 2: of two records at one offset the later leader's stays.
func TestARecordThatNobodyElseHasGivesWay(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.mute("fetch", 2)
	c.sleep(150 * time.Millisecond)
	if err := c.machine(1).produce(kafka.AcksLeader, "b", time.Second); err != nil {
		t.Fatal(err)
	}
	c.fail(c.machine(1))
	c.leads(c.machine(2))
	c.ack(c.machine(2), "c")
	c.lose = nil
	c.machine(1).start()
	c.inSync(2)
	c.same("0:a 1:c")
	if n := c.machine(1).b.Stats().Truncations; n != 1 {
		t.Errorf("%d truncations", n)
	}
}

// KAFKA-7415: what was written in epochs that the leader does not have ended, for it,
// where it was elected.
func TestEpochsEndAtTheElection(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a", "b")
	c.fail(c.machine(1))
	c.leads(c.machine(2))
	epoch := c.machine(2).p().state.LeaderEpoch
	for asked, want := range map[kafka.LeaderEpoch]EpochEnd{0: {0, 2}, epoch - 1: {0, 2}, epoch: {epoch, 2}, epoch + 1: {-1, -1}} {
		if got, err := c.machine(2).b.EpochEnd("orders", 0, epoch, asked); got != want || err != nil {
			t.Errorf("epoch %d: %+v, %v; want %+v", asked, got, err, want)
		}
	}
	c.ack(c.machine(2), "c")
	if got, _ := c.machine(2).b.EpochEnd("orders", 0, epoch, 0); got != (EpochEnd{0, 2}) {
		t.Errorf("epoch 0 after an append: %+v", got)
	}
}

// asFollower fetches at a leader as broker 2 would.
func (c *cluster) asFollower(m *machine, self meta.Member, it FetchItem) FetchItem {
	c.t.Helper()
	it.TopicID, it.MaxBytes = orders, 1<<20
	f := &Fetch{Follower: &self, MaxBytes: 1 << 20, Items: []FetchItem{it}}
	c.must(m, func() error { return m.b.Fetch(f) })
	f.Release()
	return f.Items[0]
}

func TestOnlyTheRightFetchesCount(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.fail(c.machine(1))
	c.leads(c.machine(2))
	c.machine(1).start()
	c.inSync(2)
	c.same("0:a")
	c.mute("fetch", 1)
	c.sleep(150 * time.Millisecond)
	m, epoch := c.machine(2), c.machine(2).p().state.LeaderEpoch
	for _, v := range []string{"b", "c"} {
		if err := m.produce(kafka.AcksLeader, v, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	self, _ := c.image.Broker(1)
	now := meta.Member{ID: 1, Epoch: self.Epoch}
	for name, q := range map[string]struct {
		self meta.Member
		it   FetchItem
		err  error
	}{
		"of an earlier leader epoch (KIP-320)": {now, FetchItem{LeaderEpoch: epoch - 1, LastEpoch: 0, Offset: 3, Held: 3}, kafka.ErrFencedLeaderEpoch},
		"of a later leader epoch (KIP-320)":    {now, FetchItem{LeaderEpoch: epoch + 1, LastEpoch: 0, Offset: 3, Held: 3}, kafka.ErrUnknownLeaderEpoch},
		"of an earlier life (KIP-903)":         {meta.Member{ID: 1, Epoch: self.Epoch - 1}, FetchItem{LeaderEpoch: epoch, LastEpoch: epoch, Offset: 3, Held: 3}, kafka.ErrStaleBrokerEpoch},
		"of who is no replica":                 {meta.Member{ID: 9, Epoch: 1}, FetchItem{LeaderEpoch: epoch, LastEpoch: epoch, Offset: 3, Held: 3}, kafka.ErrUnknownTopicOrPartition},
		"that diverges (KAFKA-13141)":          {now, FetchItem{LeaderEpoch: epoch, LastEpoch: 0, Offset: 3, Held: 3}, nil},
		"that is out of range":                 {now, FetchItem{LeaderEpoch: epoch, LastEpoch: kafka.NoLeaderEpoch, Offset: 9, Held: 9}, kafka.ErrOffsetOutOfRange},
		"of what is written and not held":      {now, FetchItem{LeaderEpoch: epoch, LastEpoch: epoch, Offset: 3, Held: 1}, nil},
	} {
		got := c.asFollower(m, q.self, q.it)
		if !errors.Is(got.Err, q.err) || m.p().high != 1 {
			t.Errorf("%s: %v, high watermark %d", name, got.Err, m.p().high)
		}
		if diverges := name == "that diverges (KAFKA-13141)"; diverges != (got.Diverging != nil) {
			t.Errorf("%s: diverging %v", name, got.Diverging)
		}
	}
	c.asFollower(m, now, FetchItem{LeaderEpoch: epoch, LastEpoch: epoch, Offset: 3, Held: 2})
	if m.p().high != 2 {
		t.Errorf("high watermark %d after a fetch that counts", m.p().high)
	}
}

// A follower knows of an election before its leader does, and the leader hears of it
// while it reads for the follower's fetch: what the fetch says counts then, or is asked
// for again (docs/bugs/0069.md).
func TestAFetchThatDoesNotCountIsNotTheLast(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3})
	c.ack(c.machine(1), "a")
	c.same("0:a")
	c.mute("fetch", 3)
	m := c.machine(2)
	m.lags = true
	c.fail(c.machine(1))
	c.until("another is elected", func() bool { return c.state().Leader == 2 })
	self, _ := c.image.Broker(3)
	f := &Fetch{Follower: &meta.Member{ID: 3, Epoch: self.Epoch}, MaxBytes: 1 << 20, Items: []FetchItem{{
		TopicID: orders, LeaderEpoch: c.state().LeaderEpoch, LastEpoch: 0, Offset: 1, Held: 1, MaxBytes: 1 << 20,
	}}}
	known := func() bool { return m.p().leader.Followers()[1].ID == 3 && m.p().leader.Followers()[1].Held == 1 }
	c.must(m, func() error { m.b.noteProgress(f); return nil })
	m.lags = false
	c.tell(m)
	c.leads(m)
	c.must(m, func() error { m.b.read(f); return nil })
	if it := &f.Items[0]; it.Err != nil || it.Settled() || known() {
		t.Fatalf("read: %v, settled %v; what the follower holds is known: %v", it.Err, it.Settled(), known())
	}
	c.must(m, func() error { return m.b.Fetch(f) })
	if it := &f.Items[0]; it.Err != nil || !it.Settled() || !known() {
		t.Fatalf("fetched: %v, settled %v; what the follower holds is known: %v", it.Err, it.Settled(), known())
	}
}

// KIP-497: until the controller has answered, who was asked for counts.
func TestAMemberToBeCountsBeforeTheAnswer(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3})
	c.ack(c.machine(1), "a")
	c.mute("fetch", 3)
	if err := c.machine(1).produce(kafka.AcksLeader, "b", time.Second); err != nil {
		t.Fatal(err)
	}
	c.inSync(2)
	c.until("the leader knows", func() bool { return len(c.machine(1).p().leader.State().ISR) == 2 })
	c.machine(1).lags = true
	c.mute("alter answer", 0)
	c.inSync(3)
	c.lose = func(from, _ kafka.NodeID, what string) bool {
		return what == "alter answer" || what == "fetch" && from == 3
	}
	c.sleep(200 * time.Millisecond)
	if err := c.machine(1).produce(kafka.AcksAll, "c", 300*time.Millisecond); kafka.ErrorOf(err) != kafka.ErrRequestTimedOut {
		t.Errorf("an append that 3 does not have: %v", err)
	}
	c.fail(c.machine(1))
	c.machine(1).lags = false
	c.lose = nil
	c.machine(1).start()
	c.inSync(3)
}

// KAFKA-14144: the answer to a change that was made is lost.
func TestALostAnswerAboutTheInSyncSet(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.mute("fetch", 2)
	if err := c.machine(1).produce(kafka.AcksLeader, "b", time.Second); err != nil {
		t.Fatal(err)
	}
	c.inSync(1)
	c.until("the leader knows", func() bool { return len(c.machine(1).p().leader.State().ISR) == 1 })
	c.machine(1).lags = true
	answers := 0
	c.lose = func(_, _ kafka.NodeID, what string) bool {
		if what == "alter answer" {
			answers++
		}
		return what == "alter answer" && answers == 1
	}
	c.until("the leader is told when it asks again", func() bool { return len(c.machine(1).p().leader.State().ISR) == 2 })
	if answers != 2 {
		t.Errorf("%d answers", answers)
	}
	c.ack(c.machine(1), "c")
}

// KIP-903: nobody counts on what a broker held in an earlier life.
func TestANewLifeBeginsWithWhatItTells(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	if held := c.machine(1).p().leader.Followers()[0].Held; held != 1 {
		t.Fatalf("held %d", held)
	}
	c.machine(2).crash()
	c.mute("fetch", 2)
	c.machine(2).start()
	c.until("it has registered", func() bool { return c.machine(2).b != nil && c.machine(2).b.serves() })
	if held := c.machine(1).p().leader.Followers()[0].Held; held != kafka.NoOffset {
		t.Errorf("held %d, and nobody has told", held)
	}
}

// KAFKA-2143: a leader says out of range, and has what the follower lacks.
func TestOutOfRangeDoesNotThrowAwayALog(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a", "b")
	bad := 0
	c.onFetch = func(_, _ kafka.NodeID, _ *ReplicaFetch, a *ReplicaFetched) {
		for i := range a.Items {
			if bad < 3 {
				bad++
				a.Items[i].Err, a.Items[i].LogStart = kafka.ErrOffsetOutOfRange, 0
			}
		}
	}
	c.ack(c.machine(1), "c")
	c.same("0:a 0:b 0:c")
	if s := c.machine(2).b.Stats(); s.Resets != 0 || bad != 3 {
		t.Errorf("begun anew %d times, told %d times", s.Resets, bad)
	}
}

// What a producer sends again is recognised by a leader that has begun anew behind where
// it was appended, and never saw it (docs/bugs/0084.md).
func TestWhoBeginsAnewInheritsProducers(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.fail(c.machine(2))
	batch := func() []byte {
		var b record.Builder
		b.Append(record.Record{Timestamp: sim.WallStart, Value: []byte("b")})
		out, err := b.Build(record.Spec{Producer: &record.Producer{ID: 7}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	send := func(m *machine) (kafka.Offset, error) {
		a := &Append{Acks: kafka.AcksAll, Deadline: m.w.Now().Add(time.Minute), Items: []AppendItem{{Topic: "orders", Records: batch()}}}
		err := c.try(m, func() error {
			m.b.Append(a)
			return m.b.AwaitAppend(a)
		})
		return a.Items[0].Base, errors.Join(err, a.Items[0].Err)
	}
	if at, err := send(c.machine(1)); at != 1 || err != nil {
		t.Fatalf("appended at %d: %v", at, err)
	}
	c.try(c.machine(1), func() error {
		c.machine(1).b.DeleteRecords([]Deletion{{Topic: "orders", Before: UpToHighWatermark}}, c.machine(1).w.Now().Add(time.Minute))
		return nil
	})
	c.ack(c.machine(1), "c")
	c.machine(2).start()
	c.inSync(2)
	c.fail(c.machine(1))
	c.leads(c.machine(2))
	if s := c.machine(2).b.Stats(); s.Resets != 1 {
		t.Errorf("it began anew %d times", s.Resets)
	}
	if at, err := send(c.machine(2)); at != 1 || err != nil {
		t.Errorf("sent again it is at %d: %v", at, err)
	}
	if got := c.machine(2).values(); got != "0:c" {
		t.Errorf("it has %s", got)
	}
}

// Jepsen, Kafka 0.8: a leader alone acknowledges nothing that takes two.
func TestALeaderAloneAcknowledgesNothing(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3}, twoInSync)
	c.ack(c.machine(1), "a")
	c.lose = func(_, _ kafka.NodeID, what string) bool { return what == "fetch" }
	c.sleep(150 * time.Millisecond)
	err := c.machine(1).produce(kafka.AcksAll, "b", 3*time.Second)
	if kafka.ErrorOf(err) != kafka.ErrNotEnoughReplicasAfterAppend {
		t.Errorf("what was appended before the set shrank: %v", err)
	}
	err = c.machine(1).produce(kafka.AcksAll, "c", time.Second)
	if kafka.ErrorOf(err) != kafka.ErrNotEnoughReplicas {
		t.Errorf("what comes later: %v", err)
	}
	if p := c.machine(1).p(); p.high != 1 || p.log.End() != 2 {
		t.Errorf("high watermark %d, log end %d", p.high, p.log.End())
	}
	c.fail(c.machine(1))
	c.lose = nil
	c.until("one that had everything leads", func() bool { return c.state().Leader > 1 })
	leader := c.machine(c.state().Leader)
	c.leads(leader)
	c.inSync(2)
	c.until("the leader knows", func() bool { return len(leader.p().leader.State().ISR) == 2 })
	c.ack(leader, "d")
	c.machine(1).start()
	c.inSync(3)
	c.same("0:a 1:d")
}

// What waits when leadership moves is told that, and is not judged by what the next
// leader puts at its offset.
func TestAnAppendIsNotJudgedByAnotherLeadership(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.mute("fetch", 2)
	c.sleep(150 * time.Millisecond)
	var err error
	done, began := false, c.k.Now()
	c.machine(1).node.Go("append", func() { err = c.machine(1).append(kafka.AcksAll, "b", time.Minute); done = true })
	c.until("it is appended", func() bool { return c.machine(1).p().log.Held() == 2 })
	c.fence(1)
	c.leads(c.machine(2))
	c.ack(c.machine(2), "c")
	c.lose = nil
	c.until("the append is answered", func() bool { return done })
	if kafka.ErrorOf(err) != kafka.ErrRequestTimedOut || c.k.Now().Sub(began) > 5*time.Second {
		t.Errorf("an append of another leadership: %v after %v", err, c.k.Now().Sub(began))
	}
	c.inSync(2)
	c.same("0:a 1:c")
}

// An append to two partitions of which one is led no longer waits for the other, and is
// charged for as long as it stands in the other's list.
func TestALostLeadershipIsOneOfWhatAnAppendWaitsFor(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	var other marks
	w := &wait{need: 2}
	w.grow(2)
	var at commitlog.AppendResult
	c.must(c.machine(1), func() (err error) {
		at, err = c.machine(1).p().log.Append(batchOf("b"), c.machine(1).p().leader.Epoch())
		return err
	})
	at.End = 100 // of its era, and never committed
	w.add(&c.machine(1).p().committed, at)
	w.add(&other, commitlog.AppendResult{End: 1})
	c.fence(1)
	c.until("it resigned", func() bool { return w.lost })
	if w.satisfied() || other.first == nil {
		t.Errorf("one of two is lost: satisfied %v, got %d", w.satisfied(), w.got)
	}
	if other.passed(1); !w.satisfied() {
		t.Error("both are told, and it waits")
	}
}

// Whoever is told that leadership is lost is charged for the bytes until the log has
// written them: a slow disk is why leaders are fenced, and lead again.
func TestBytesOfALostLeadershipAreGivenBackWhenTheyAreWritten(t *testing.T) {
	for _, acks := range []kafka.Acks{kafka.AcksAll, kafka.AcksLeader, kafka.AcksNone} {
		c := start(t, 1)
		c.create([]kafka.NodeID{1})
		m := c.machine(1)
		c.ack(m, "a")
		disksim.Fault{Kind: disksim.FaultStall, Disk: m.disk.Name(), Path: "orders-0/*", For: 10 * time.Second}.Apply(m.disk)
		given := 0
		a := &Append{Acks: acks, Deadline: m.w.Now().Add(time.Minute), Done: func(Bytes) { given++ },
			Items: []AppendItem{{Topic: "orders", Records: batchOf("b")}}}
		c.must(m, func() error { m.b.Append(a); return nil })
		l := m.p().log
		c.fence(1)
		c.must(m, func() error { return m.b.AwaitAppend(a) })
		if err := a.Items[0].Err; kafka.ErrorOf(err) != kafka.ErrRequestTimedOut || l.Queued() == 0 {
			t.Fatalf("acks=%d: %v, %d bytes are queued", acks, err, l.Queued())
		}
		c.until("it is written", func() bool {
			if l.Queued() > 0 && (given > 0 || m.b.Usage().Waits == 0) {
				t.Fatalf("acks=%d: given back %d times with %d bytes queued, %d waits", acks, given, l.Queued(), m.b.Usage().Waits)
			}
			return given > 0
		})
		c.sleep(time.Second)
		if given != 1 || m.b.Usage().Waits != 0 {
			t.Errorf("acks=%d: given back %d times, %d waits", acks, given, m.b.Usage().Waits)
		}
	}
}

// The bytes of an append are given back when this machine holds them. Followers fetch
// by requests, which may wait for the room of these bytes.
func TestBytesAreGivenBackBeforeFollowersHaveThem(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3}, twoInSync)
	m := c.machine(1)
	c.ack(m, "a")
	c.lose = func(_, _ kafka.NodeID, what string) bool { return what == "fetch" }
	c.sleep(150 * time.Millisecond)
	var given []Bytes
	a := &Append{Acks: kafka.AcksAll, Deadline: m.w.Now().Add(time.Minute), Done: func(b Bytes) { given = append(given, b) },
		Landed: func() { t.Error("landed, and it is not committed") },
		Items:  []AppendItem{{Topic: "orders", Records: batchOf("b")}}}
	c.must(m, func() error { m.b.Append(a); return nil })
	c.until("the log has it", func() bool { return m.p().log.Held() == 2 })
	if len(given) != 1 || given[0] != BytesFree || m.p().high != 1 {
		t.Errorf("given back: %v, high watermark %d", given, m.p().high)
	}
	c.must(m, func() error { return m.b.AwaitAppend(a) })
	if err := a.Items[0].Err; kafka.ErrorOf(err) != kafka.ErrNotEnoughReplicasAfterAppend {
		t.Errorf("nobody has it besides: %v", err)
	}
	if n := m.b.Usage().Waits; n != 0 || len(given) != 1 {
		t.Errorf("it is answered: %d waits, given back %d times", n, len(given))
	}
}

// A log that has failed may never return from its disk: it is not waited for.
func TestBytesOfAFailedLogAreNotWaitedFor(t *testing.T) {
	c := start(t, 1)
	c.create([]kafka.NodeID{1})
	m := c.machine(1)
	c.ack(m, "a")
	disksim.Fault{Kind: disksim.FaultStall, Disk: m.disk.Name(), Path: "orders-0/*"}.Apply(m.disk)
	var given []Bytes
	a := &Append{Acks: kafka.AcksAll, Done: func(b Bytes) { given = append(given, b) },
		Items: []AppendItem{{Topic: "orders", Records: batchOf("b")}}}
	c.must(m, func() error { m.b.Append(a); return nil })
	l := m.p().log
	c.fence(1)
	c.until("it resigned", func() bool { return m.p().leader == nil })
	if len(given) > 0 {
		t.Fatal("given back while it is queued")
	}
	c.leads(m)
	disksim.Fault{Kind: disksim.FaultSyncError, Disk: m.disk.Name(), Path: "*"}.Apply(m.disk)
	c.createAs("more", kafka.TopicID{2}, []kafka.NodeID{1})
	c.until("the log has failed", func() bool { return l.Lame() != nil })
	if len(given) != 1 || given[0] != BytesInDoubt {
		t.Errorf("given back: %v", given)
	}
}

// KIP-207: a new leader does not know what was committed until its followers have
// what it began with.
func TestANewLeaderDoesNotTellWhatItDoesNotKnow(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3})
	c.ack(c.machine(1), "a", "b")
	c.lose = func(from, _ kafka.NodeID, what string) bool { return what == "fetch" && from == 3 }
	c.machine(2).crash()
	c.machine(2).start()
	c.until("it serves", func() bool { return c.machine(2).b != nil && c.machine(2).b.serves() })
	c.machine(3).crash()
	c.machine(3).start()
	c.until("it serves", func() bool { return c.machine(3).b != nil && c.machine(3).b.serves() })
	c.fail(c.machine(1))
	c.until("another leads", func() bool { return c.state().Leader > 1 })
	m := c.machine(c.state().Leader)
	c.leads(m)
	c.lose = func(_, _ kafka.NodeID, what string) bool { return what == "fetch" }
	ask := func(what kafka.Offset) (at kafka.Offset, err error) {
		c.try(m, func() error {
			found, e := m.b.ListOffset(Lookup{Topic: "orders", Timestamp: kafka.Timestamp(what), LeaderEpoch: kafka.NoLeaderEpoch})
			at, err = found.Offset, e
			return nil
		})
		return at, err
	}
	if at, err := ask(kafka.LatestOffset); kafka.ErrorOf(err) != kafka.ErrOffsetNotAvailable {
		t.Errorf("latest: %d, %v", at, err)
	}
	if at, err := ask(kafka.EarliestOffset); at != 0 || err != nil {
		t.Errorf("earliest: %d, %v", at, err)
	}
	c.lose = nil
	c.until("it knows", func() bool { return m.p().leader.Settled() })
	if at, err := ask(kafka.LatestOffset); at != 2 || err != nil {
		t.Errorf("latest: %d, %v", at, err)
	}
}

// A leader that was fenced serves again with its next beat, and does not answer where the
// log ends before it knows what was decided meanwhile (docs/bugs/0046.md).
func TestALeaderThatHearsOfNothingDoesNotKnowWhetherItLeads(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	m := c.machine(1)
	latest := func() error {
		return c.try(m, func() error {
			_, err := m.b.ListOffset(Lookup{Topic: "orders", Timestamp: kafka.Timestamp(kafka.LatestOffset), LeaderEpoch: kafka.NoLeaderEpoch})
			return err
		})
	}
	if err := latest(); err != nil {
		t.Error(err)
	}
	m.lags = true
	c.mute("beat", 1)
	c.fence(1)
	c.leads(c.machine(2))
	c.ack(c.machine(2), "b")
	c.sleep(time.Second) // its session
	c.lose = nil
	c.until("it serves again", func() bool { return c.image.Alive(1) })
	c.sleep(300 * time.Millisecond)
	if err := latest(); m.p().Role() != Leading || !errors.Is(err, kafka.ErrNotLeaderOrFollower) {
		t.Errorf("the %s of another time answers %v", m.p().Role(), err)
	}
	m.lags = false
	c.tell(m)
	c.inSync(2)
	c.same("0:a 1:b")
}

// A leader whose log is damaged has told so, and may have been replaced; nor does one know
// whose node is about to end.
func TestALeaderThatIsToGoDoesNotKnowWhetherItLeads(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	m, p := c.machine(1), c.machine(1).p()
	asked := Lookup{Topic: "orders", Timestamp: kafka.Timestamp(kafka.LatestOffset)}
	if err := p.checkSettled(asked); err != nil {
		t.Error(err)
	}
	p.rotten = commitlog.ErrCorrupt
	if err := p.checkSettled(asked); !errors.Is(err, kafka.ErrNotLeaderOrFollower) {
		t.Errorf("one that is damaged answers: %v", err)
	}
	p.rotten = nil
	disksim.Fault{Kind: disksim.FaultSyncError, Disk: m.disk.Name(), Path: "*"}.Apply(m.disk)
	c.createAs("more", kafka.TopicID{2}, []kafka.NodeID{1})
	c.until("its log directory has failed", func() bool { return m.b.first.Dir.Failed() != nil })
	if m.b.surelyLeads() {
		t.Error("one that is about to end is sure")
	}
}
