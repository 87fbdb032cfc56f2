package broker

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

func TestABrokerHandsOverBeforeItEnds(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3})
	c.ack(c.machine(1), "a")
	c.machine(1).stop()
	s := c.state()
	if s.Leader == 1 || slices.Contains(s.ISR, 1) || s.Leader == meta.NoLeader {
		t.Errorf("after the end: %+v", s)
	}
	c.leads(c.machine(s.Leader))
	c.ack(c.machine(s.Leader), "b")
	c.machine(1).start()
	c.inSync(3)
	c.same("0:a 1:b")
}

// A life that ended cleanly is told of once; one that did not is not.
func TestACleanEndIsToldOfOnce(t *testing.T) {
	c := start(t, 2, config.Pair{Name: "log.flush", Value: "os"})
	epoch := c.machine(1).b.epoch
	c.machine(1).stop()
	c.machine(1).start()
	c.until("it serves", func() bool { return c.machine(1).b != nil && c.machine(1).b.serves() })
	if got := c.machine(1).told.CleanAfter; got != epoch {
		t.Errorf("clean after %d, want %d", got, epoch)
	}
	c.machine(1).crash()
	c.machine(1).start()
	c.until("it serves", func() bool { return c.machine(1).b != nil && c.machine(1).b.serves() })
	if got := c.machine(1).told.CleanAfter; got != meta.NoEpoch {
		t.Errorf("clean after %d, and it was not", got)
	}
}

func TestACleanEndIsBelievedAsAWhole(t *testing.T) {
	dir := [16]byte{1, 2, 3}
	b := encodeCleanEnd(dir, 42)
	if got := decodeCleanEnd(b, dir); got != 42 {
		t.Errorf("%d", got)
	}
	if got := decodeCleanEnd(b, [16]byte{9}); got != meta.NoEpoch {
		t.Errorf("of another directory: %d", got)
	}
	for i := range b {
		for _, bad := range [][]byte{b[:i], slices.Concat(b[:i], []byte{b[i] ^ 1}, b[i+1:])} {
			if got := decodeCleanEnd(bad, dir); got != meta.NoEpoch {
				t.Errorf("byte %d of %d: %d", i, len(bad), got)
			}
		}
	}
}

// Nobody leads on what the metadata said of an earlier life.
func TestABrokerLeadsNothingBeforeItHasRegistered(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.machine(2).stop()
	c.machine(1).crash()
	c.lose = func(_, _ kafka.NodeID, what string) bool { return what == "register" }
	c.machine(1).start()
	c.sleep(500 * time.Millisecond)
	if c.state().Leader != 1 {
		t.Fatalf("the controller has noticed: %+v", c.state())
	}
	if p := c.machine(1).p(); p != nil {
		t.Errorf("a partition is %s", p.Role())
	}
	c.lose = nil
	c.leads(c.machine(1))
	if e := c.machine(1).p().state.LeaderEpoch; e <= 1 {
		t.Errorf("leader epoch %d", e)
	}
}

// What a follower has on a disk that fails a sync is there when it comes back.
func TestADirectoryThatFailsWithItsNodeCostsNoSeat(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2}, twoInSync)
	c.ack(c.machine(1), "a")
	disksim.Fault{Kind: disksim.FaultSyncError, Disk: c.machine(2).disk.Name(), Path: "*"}.Apply(c.machine(2).disk)
	c.machine(1).node.Go("append", func() { _ = c.machine(1).append(kafka.AcksLeader, "b", time.Second) })
	c.until("it is out of sync", func() bool { return len(c.state().ISR) == 1 })
	if s := c.state(); !slices.Equal(s.ELR, []kafka.NodeID{2}) {
		t.Errorf("eligible are %v", s.ELR)
	}
	c.machine(2).crash()
	c.machine(2).disk.Heal()
	c.fail(c.machine(1))
	c.machine(2).start()
	c.leads(c.machine(2))
}

func TestASupersededBrokerStopsServing(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.lose = func(from, _ kafka.NodeID, what string) bool { return what == "beat" && from == 1 }
	c.fence(1)
	if err := c.decide(func(i *meta.Image) ([]meta.Record, error) {
		records, _, err := i.Register(meta.Registration{ID: 1, Incarnation: meta.Incarnation{7}, MinLevel: 1, MaxLevel: meta.Level,
			Directories: []meta.DirectoryID{{9}}, CleanAfter: meta.NoEpoch}, func(kafka.NodeID) bool { return false }, c.view(0))
		return records, err
	}); err != nil {
		t.Fatal(err)
	}
	c.until("it leads and follows nothing", func() bool { return c.machine(1).p().Role() == Offline })
	c.lose = nil
	c.until("it knows that it is over", func() bool { return c.machine(1).b.life.over != nil })
	err := c.try(c.machine(1), func() error { return c.machine(1).b.AwaitServing(kafka.Never) })
	if err == nil || !strings.Contains(err.Error(), "another process has registered") {
		t.Errorf("%v", err)
	}
}

// Who asks a broker that was superseded for a producer id asks again, or another one: it is
// not fenced itself (docs/bugs/0100.md).
func TestASupersededBrokerHasNoProducerIDsForNow(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.lose = func(from, _ kafka.NodeID, what string) bool { return what == "beat" && from == 1 }
	c.fence(1)
	if err := c.decide(func(i *meta.Image) ([]meta.Record, error) {
		records, _, err := i.Register(meta.Registration{ID: 1, Incarnation: meta.Incarnation{7}, MinLevel: 1, MaxLevel: meta.Level,
			Directories: []meta.DirectoryID{{9}}, CleanAfter: meta.NoEpoch}, func(kafka.NodeID) bool { return false }, c.view(0))
		return records, err
	}); err != nil {
		t.Fatal(err)
	}
	err := c.try(c.machine(1), func() error {
		for {
			if _, err := c.machine(1).b.NewProducerID(); err != nil {
				return err
			}
		}
	})
	if kafka.ErrorOf(err) != kafka.ErrCoordinatorLoadInProgress {
		t.Errorf("%v", err)
	}
}

func TestABrokerWhoseRegistrationWasRemovedRegistersAnew(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.lose = func(from, _ kafka.NodeID, what string) bool { return what == "beat" && from == 2 }
	c.fence(2)
	if err := c.decide(func(i *meta.Image) ([]meta.Record, error) { return i.Unregister(2) }); err != nil {
		t.Fatal(err)
	}
	c.lose = nil
	c.inSync(2)
	c.same("0:a")
}

// A power loss of all at once loses nothing that was acknowledged.
func TestAPowerLossOfAll(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3}, twoInSync)
	c.ack(c.machine(1), "a", "b", "c")
	for _, m := range c.machines {
		m.powerLoss()
	}
	for _, m := range c.machines {
		m.start()
	}
	leader := c.leader()
	c.ack(leader, "d")
	c.until("all have it", func() bool {
		return !slices.ContainsFunc(c.machines, func(m *machine) bool { return m.p().high != 4 })
	})
	if got := leader.values(); !strings.HasPrefix(got, "0:a 0:b 0:c ") {
		t.Errorf("%s", got)
	}
}

// KIP-392: a follower serves what it knows to be committed, and nothing else.
func TestConsumersReadFromFollowers(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a", "b")
	c.same("0:a 0:b")
	c.mute("fetch", 2)
	c.sleep(150 * time.Millisecond)
	if err := c.machine(1).produce(kafka.AcksLeader, "c", time.Second); err != nil {
		t.Fatal(err)
	}
	read := func(at kafka.Offset, any bool) FetchItem {
		f := &Fetch{AnyReplica: any, MaxBytes: 1 << 20, Items: []FetchItem{{Topic: "orders", Offset: at, MaxBytes: 1 << 20,
			LeaderEpoch: kafka.NoLeaderEpoch, LastEpoch: kafka.NoLeaderEpoch}}}
		c.must(c.machine(2), func() error { return c.machine(2).b.Fetch(f) })
		defer f.Release()
		return f.Items[0]
	}
	if it := read(0, true); it.Err != nil || it.Chunk.Len() == 0 || it.HighWatermark != 2 {
		t.Errorf("from the beginning: %v, %d bytes, high watermark %d", it.Err, it.Chunk.Len(), it.HighWatermark)
	}
	if it := read(2, true); it.Err != nil || it.Chunk.Len() != 0 {
		t.Errorf("at the end: %v, %d bytes", it.Err, it.Chunk.Len())
	}
	if it := read(3, true); kafka.ErrorOf(it.Err) != kafka.ErrOffsetNotAvailable {
		t.Errorf("at an offset that the leader has: %v", it.Err)
	}
	if it := read(0, false); kafka.ErrorOf(it.Err) != kafka.ErrNotLeaderOrFollower {
		t.Errorf("of an old client: %v", it.Err)
	}
}

func TestWhatIsCorruptIsNotTakenOver(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	bad := 0
	c.onFetch = func(_, _ kafka.NodeID, _ *ReplicaFetch, a *ReplicaFetched) {
		for i := range a.Items {
			if b := a.Items[i].Records; len(b) > 0 && bad < 3 {
				bad++
				b[len(b)-1] ^= 1
			}
		}
	}
	c.ack(c.machine(1), "b")
	c.same("0:a 0:b")
	if bad != 3 {
		t.Errorf("%d corrupt answers", bad)
	}
}

func TestDeletionsWaitForTheFollowers(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a", "b", "c")
	del := func(before kafka.Offset) Deletion {
		items := []Deletion{{Topic: "orders", Before: before}}
		c.must(c.machine(1), func() error {
			c.machine(1).b.DeleteRecords(items, c.machine(1).w.Now().Add(2*time.Second))
			return nil
		})
		return items[0]
	}
	if d := del(2); d.Err != nil || d.LogStart != 2 || c.machine(2).p().log.LogStart() != 2 {
		t.Errorf("%+v, the follower's log starts at %d", d, c.machine(2).p().log.LogStart())
	}
	c.mute("fetch", 2)
	c.sleep(150 * time.Millisecond)
	if d := del(3); kafka.ErrorOf(d.Err) != kafka.ErrRequestTimedOut {
		t.Errorf("a follower that cannot be heard: %+v", d)
	}
}

// Who looks at a replica when something has changed sees where its log starts, before
// the files below are gone.
func TestALogStartThatMovesIsAChange(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a", "b")
	c.same("0:a 0:b")
	before := []uint64{c.machine(1).b.Changes(), c.machine(2).b.Changes()}
	items := []Deletion{{Topic: "orders", Before: 2}}
	c.must(c.machine(1), func() error { c.machine(1).b.DeleteRecords(items, kafka.Never); return items[0].Err })
	for i, n := range before {
		m := c.machine(kafka.NodeID(i + 1))
		if start, now := m.p().log.LogStart(), m.b.Changes(); start != 2 || now != n+1 {
			t.Errorf("%d: the log starts at %d, and %d changes were counted", i+1, start, now-n)
		}
	}
}

// A follower whose leader's log begins above its end begins anew there.
func TestAFollowerThatWasAwayTooLong(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	c.fail(c.machine(2))
	c.inSync(1)
	c.until("the leader knows", func() bool { return len(c.machine(1).p().leader.State().ISR) == 1 })
	c.ack(c.machine(1), "b", "c", "d")
	items := []Deletion{{Topic: "orders", Before: 3}}
	c.must(c.machine(1), func() error { c.machine(1).b.DeleteRecords(items, kafka.Never); return items[0].Err })
	c.machine(2).start()
	c.inSync(2)
	c.same("0:d")
	if p := c.machine(2).p(); p.log.LogStart() != 3 || c.machine(2).b.Stats().Resets != 1 {
		t.Errorf("log start %d, begun anew %d times", p.log.LogStart(), c.machine(2).b.Stats().Resets)
	}
}

func TestATopicThatIsCreatedAgainHasNothingOfTheFirst(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a", "b")
	c.machine(2).lags = true
	if err := c.decide(func(i *meta.Image) ([]meta.Record, error) { return i.DeleteTopic(orders) }); err != nil {
		t.Fatal(err)
	}
	c.until("it is gone", func() bool { return c.machine(1).p() == nil })
	c.createAs("orders", kafka.TopicID{2}, []kafka.NodeID{1, 2})
	if err := c.machine(1).produce(kafka.AcksLeader, "x", time.Second); err != nil {
		t.Fatal(err)
	}
	c.sleep(300 * time.Millisecond)
	if p := c.machine(2).p(); p.log.End() != 2 || p.topic.id != orders {
		t.Errorf("a follower that has heard of nothing: log end %d of topic id %s", p.log.End(), p.topic.id)
	}
	c.machine(2).lags = false
	c.tell(c.machine(2))
	c.inSync(2)
	c.same("0:x")
}

func TestReplicasMove(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	if err := c.decide(func(i *meta.Image) ([]meta.Record, error) {
		records, errs := i.Reassign([]meta.Reassignment{{Replica: meta.Replica{Topic: orders}, Replicas: []kafka.NodeID{1, 3}}}, c.view(0))
		return records, errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	c.until("it has moved", func() bool { s := c.state(); return slices.Equal(s.Replicas, []kafka.NodeID{1, 3}) && len(s.ISR) == 2 })
	c.until("the one that lost it has removed it", func() bool {
		return c.machine(2).b.topics[orders].partitions[0] == nil && c.machine(2).b.places[kafka.TopicPartition{Topic: "orders"}] == nil
	})
	c.leads(c.machine(1))
	c.ack(c.machine(1), "b")
	c.until("the new one has it", func() bool { return c.machine(3).p().log.End() == 2 })
}

// A leader that is taken from the replicas and does not hear of it answers where the log
// ends, until it cannot be sure any more: nothing is committed before (docs/bugs/0034.md).
func TestALeaderThatIsRemovedAndDoesNotKnowIsWaitedFor(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	m := c.machine(1)
	m.lags = true
	if err := c.decide(func(i *meta.Image) ([]meta.Record, error) {
		records, errs := i.Reassign([]meta.Reassignment{{Replica: meta.Replica{Topic: orders}, Replicas: []kafka.NodeID{2}}}, c.view(0))
		return records, errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	c.leads(c.machine(2))
	c.must(c.machine(2), func() error { return c.machine(2).append(kafka.AcksLeader, "b", time.Minute) })
	c.until("it is committed", func() bool { return c.machine(2).p().high == 2 })
	if m.p().Role() != Leading || m.b.surelyLeads() {
		t.Errorf("one that was removed is sure to lead, and its role is %s, when the next leader has committed", m.p().Role())
	}
	c.until("it has moved", func() bool { return slices.Equal(c.state().Replicas, []kafka.NodeID{2}) })
	m.lags = false
	c.tell(m)
	c.same("0:a 1:b")
}

// A replica that is not whole is reported, loses its place, and is fetched anew from
// one that is.
func TestAQuarantinedReplicaIsFetchedAnew(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a", "b")
	c.machine(2).crash()
	c.must(c.machine(2), func() error {
		f, err := c.machine(2).w.LogDirs[0].FS.OpenFile("orders-0/partition", env.Write|env.Trunc)
		if err == nil {
			_, err = f.WriteAt([]byte("bad"), 0)
		}
		return errors.Join(err, f.Close())
	})
	c.machine(2).start()
	c.until("it is fetched anew", func() bool { return c.machine(2).b != nil && c.machine(2).b.Stats().Replaced == 1 })
	c.inSync(2)
	c.same("0:a 0:b")
}

func TestAReplicaThatRottedIsFetchedAnew(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a", "b")
	c.machine(1).crash()
	c.machine(1).start()
	m := c.leader()
	p := m.p()
	c.must(m, func() error { p.unreadable(commitlog.ErrCorrupt); return nil })
	c.until("another leads", func() bool { return c.state().Leader != m.id && c.state().Leader != meta.NoLeader })
	c.until("it is fetched anew", func() bool { return m.b.Stats().Replaced == 1 })
	c.inSync(2)
}

// What is read in a directory that is out of service says nothing of what the disk has:
// the replica keeps its files, and the seat that they are worth (docs/bugs/0042.md).
func TestAReplicaInAFailedDirectoryIsNotSetAside(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a", "b")
	m, p := c.machine(2), c.machine(2).p()
	disksim.Fault{Kind: disksim.FaultSyncRevert, Disk: m.disk.Name(), Path: "orders-0/*.log", Times: 1}.Apply(m.disk)
	c.machine(1).node.Go("append", func() { _ = c.machine(1).append(kafka.AcksLeader, "c", time.Second) })
	c.until("its directory fails", func() bool { return m.b.first.Dir.Failed() != nil })
	if err := c.try(m, func() error {
		_, err := p.last.Read(2, 1000, p.last.Written(), commitlog.TakeOversize)
		return err
	}); !errors.Is(err, commitlog.ErrCorrupt) || m.b.Stats().Damages == 0 {
		t.Errorf("what was not synced was read: %v", err)
	}
	if p.rotten != nil || len(m.b.offline()) > 0 {
		t.Errorf("it is said to be damaged: %v, %v", p.rotten, m.b.offline())
	}
	// Nor are they touched where it was found to be damaged before, and nobody needs it.
	c.must(m, func() error { p.rotten = commitlog.ErrCorrupt; m.b.tellNews(); return nil })
	c.until("it has lost its seat", func() bool { return p.dispensable() && p.toldOffline() })
	c.sleep(300 * time.Millisecond)
	if m.b.Stats().Replaced > 0 {
		t.Error("its files were set aside")
	}
	m.crash()
	m.start()
	c.until("it is back", func() bool { return m.b != nil && m.b.life.opened })
	if end := m.p().log.End(); end < 2 {
		t.Errorf("it comes back with a log that ends at %d", end)
	}
}

// A partition whose log is being cut leads only afterwards: what a leader shows is
// not taken back.
func TestNobodyLeadsWhileItsLogIsCut(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	m, p := c.machine(2), c.machine(2).p()
	led := false
	c.must(m, func() error {
		return p.cut(func() error {
			c.fail(c.machine(1))
			for range 100 {
				led = led || p.Role() == Leading
				if err := m.w.Sleep(time.Millisecond); err != nil {
					return err
				}
			}
			if p.state.Leader != m.id {
				t.Errorf("the metadata has %d for a leader", p.state.Leader)
			}
			return nil
		})
	})
	if led || p.Role() != Leading {
		t.Errorf("it led meanwhile: %t; afterwards it is the %s", led, p.Role())
	}
}

// What may be set aside is what nobody counts on.
func TestWhoIsCountedOnKeepsItsFiles(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	p := c.machine(2).p()
	for name, q := range map[string]struct {
		s    meta.PartitionState
		want bool
	}{
		"another leads":      {meta.PartitionState{Leader: 1, ISR: []kafka.NodeID{1}}, true},
		"in sync":            {meta.PartitionState{Leader: 1, ISR: []kafka.NodeID{1, 2}}, false},
		"eligible to lead":   {meta.PartitionState{Leader: 1, ISR: []kafka.NodeID{1}, ELR: []kafka.NodeID{2}}, false},
		"the leader":         {meta.PartitionState{Leader: 2, ISR: []kafka.NodeID{2}}, false},
		"nobody leads":       {meta.PartitionState{Leader: meta.NoLeader, ISR: []kafka.NodeID{1}}, false},
		"the last that knew": {meta.PartitionState{Leader: meta.NoLeader, LastELR: []kafka.NodeID{2}}, false},
	} {
		was := p.state
		p.state = q.s
		if got := p.dispensable(); got != q.want {
			t.Errorf("%s: %t", name, got)
		}
		p.state = was
	}
}

// What belongs to no topic is renamed before it is removed, and not removed where the
// new name may not last: a power loss would bring the old one back, with what is left
// of the files (docs/bugs/0059.md).
func TestWhatCannotBeRenamedForGoodIsNotRemoved(t *testing.T) {
	c := start(t, 1)
	c.create([]kafka.NodeID{1}, config.Pair{Name: "min.insync.replicas", Value: "1"})
	m := c.machine(1)
	c.must(m, func() error {
		d := m.b.dirs[0]
		if err := errors.Join(d.fs.Mkdir("stray-0"), copyFile(d.fs, "orders-0/partition", "stray-0/partition")); err != nil {
			return err
		}
		disksim.Fault{Kind: disksim.FaultSyncDirError, Disk: m.disk.Name(), Path: ".", Times: 1}.Apply(m.disk)
		if err := m.b.sweep(d, "stray-0"); err == nil {
			t.Error("a directory that could not be synced is no failure")
		}
		names, err := d.fs.ReadDir(".")
		kept := slices.ContainsFunc(names, func(name string) bool {
			_, err := d.fs.Stat(name + "/partition")
			return err == nil && strings.HasSuffix(name, deleteSuffix)
		})
		if !kept {
			t.Errorf("the file is in none of %v", names)
		}
		return err
	})
}

func copyFile(fs env.FS, from, to string) error {
	f, err := fs.OpenFile(from, env.ReadOnly)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		return err
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	g, err := fs.OpenFile(to, env.Write|env.Create)
	if err != nil {
		return err
	}
	_, err = g.WriteAt(b, 0)
	return errors.Join(err, g.Close())
}
