package broker

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

var scrubbing = config.Pair{Name: "log.scrub.interval.ms", Value: "200"}

// rot flips a bit of the first record of orders-0 on a machine's disk.
func (c *cluster) rot(m *machine) {
	c.t.Helper()
	if !m.disk.Rot("orders-0/00000000000000000000.log", 65, 3) {
		c.t.Fatalf("broker %d has nothing on its disk", m.id)
	}
}

// A replica that rots under the process that wrote it is found and fetched again,
// whether it leads or not, and somebody who has everything leads.
func TestAScrubbedReplicaThatRottedIsFetchedAnew(t *testing.T) {
	for _, who := range []string{"leader", "follower"} {
		t.Run(who, func(t *testing.T) {
			c := start(t, 3, scrubbing)
			c.create([]kafka.NodeID{1, 2, 3})
			c.inSync(3)
			c.ack(c.leader(), "a", "b")
			m := c.leader()
			if who == "follower" {
				m = c.machine(m.id%3 + 1)
			}
			c.rot(m)
			c.until("it is fetched anew", func() bool { return m.b.Stats().Replaced == 1 })
			if who == "leader" && c.state().Leader == m.id {
				t.Errorf("it leads still: %+v", c.state())
			}
			c.inSync(3)
			c.same("0:a 0:b")
			runs := m.b.Stats().ScrubRuns
			c.until("it is looked at again", func() bool { return m.b.Stats().ScrubRuns > runs+1 })
			if s := m.b.Stats(); s.Damages != 1 || s.Replaced != 1 {
				t.Errorf("%d parts were damaged, %d replicas replaced", s.Damages, s.Replaced)
			}
		})
	}
}

// What a leader knew of a replica before that was fetched anew does not let it in
// (docs/bugs/0043.md).
func TestAReplicaThatIsFetchedAnewIsLetInForWhatItHasNow(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2}, config.Pair{Name: "min.insync.replicas", Value: "1"})
	c.inSync(2)
	c.ack(c.machine(1), "a", "b")
	m := c.machine(2)
	c.lose = func(_, _ kafka.NodeID, what string) bool { return what == "fetch" }
	c.must(m, func() error { m.p().unreadable(commitlog.ErrCorrupt); return nil })
	c.until("it is fetched anew", func() bool { return m.b.Stats().Replaced == 1 && len(m.image.Brokers()[1].Offline) == 0 })
	c.sleep(300 * time.Millisecond)
	if s := c.state(); len(s.ISR) != 1 || s.Leader != 1 {
		t.Errorf("it is let in with an empty log: %+v", s)
	}
	c.lose = nil
	c.inSync(2)
	c.same("0:a 0:b")
}

// A replica that rots while nobody counts on it keeps its files until the controllers
// know: its leader may be about to have it let in for what it had (docs/bugs/0043.md).
func TestAReplicaKeepsItsFilesUntilItsControllersKnow(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2}, config.Pair{Name: "min.insync.replicas", Value: "1"})
	c.inSync(2)
	c.ack(c.machine(1), "a")
	m := c.machine(2)
	c.lose = func(_, _ kafka.NodeID, what string) bool { return what == "fetch" }
	c.ack(c.machine(1), "b")
	c.inSync(1)
	c.until("it knows", func() bool { return len(m.p().state.ISR) == 1 })
	c.lose = func(from, _ kafka.NodeID, what string) bool { return what == "fetch" || what == "beat" && from == m.id }
	c.must(m, func() error { m.p().unreadable(commitlog.ErrCorrupt); return nil })
	c.sleep(300 * time.Millisecond)
	if n := m.b.Stats().Replaced; n != 0 || m.p().log.End() == 0 {
		t.Errorf("%d replicas were set aside, and nobody was told", n)
	}
	c.lose = nil
	c.until("it is fetched anew", func() bool { return m.b.Stats().Replaced == 1 })
	c.inSync(2)
	c.same("0:a 0:b")
}

// Nothing is replaced while a log is cut, and nobody comes by afterwards
// (docs/bugs/0058.md).
func TestAReplicaThatIsBeingCutIsFetchedAnewAfterwards(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2}, config.Pair{Name: "min.insync.replicas", Value: "1"})
	c.ack(c.machine(1), "a")
	m, p := c.machine(2), c.machine(2).p()
	c.must(m, func() error {
		return p.cut(func() error {
			p.unreadable(commitlog.ErrCorrupt)
			for !p.toldOffline() || !p.dispensable() {
				if err := m.b.w.Sleep(time.Millisecond); err != nil {
					return err
				}
			}
			return m.b.w.Sleep(100 * time.Millisecond)
		})
	})
	c.until("it is fetched anew", func() bool { return m.b.Stats().Replaced == 1 })
	c.inSync(2)
	c.same("0:a")
}

// The only replica that rots leads on: what is damaged is refused, the rest is
// served from the next batch on that the index knows, and nothing is cut off.
func TestTheOnlyReplicaThatRottedLeadsOn(t *testing.T) {
	c := start(t, 1, scrubbing)
	c.create([]kafka.NodeID{1})
	m := c.machine(1)
	c.ack(m, "a", strings.Repeat("b", 5000), "c")
	c.rot(m)
	c.until("it is found", func() bool { return m.b.Stats().Damages == 1 })
	c.sleep(2 * time.Second)
	if s := m.b.Stats(); s.Damages != 1 || s.Replaced != 0 || s.Offline != 0 || c.state().Leader != 1 {
		t.Errorf("%+v, leader %d", s, c.state().Leader)
	}
	c.ack(m, "d")
	for at, want := range []error{kafka.ErrCorruptMessage, kafka.ErrCorruptMessage, nil, nil} {
		var got error
		c.must(m, func() error {
			f := &Fetch{MinBytes: 1, MaxBytes: 1 << 20, Items: []FetchItem{{Topic: "orders", Offset: kafka.Offset(at), MaxBytes: 100,
				LeaderEpoch: kafka.NoLeaderEpoch, LastEpoch: kafka.NoLeaderEpoch}}}
			err := m.b.Fetch(f)
			got = f.Items[0].Err
			f.Release()
			return err
		})
		if !errors.Is(got, want) {
			t.Errorf("at %d: %v, want %v", at, got, want)
		}
	}
}

// A leader alone in sync hands over to a replica that is eligible: the high watermark
// has not moved since that left.
func TestARottenLeaderHandsOverToWhoIsEligible(t *testing.T) {
	c := start(t, 2, scrubbing)
	c.create([]kafka.NodeID{1, 2})
	p := c.leader().p()
	state := p.state
	self, other := p.b.id, 3-p.b.id
	for name, q := range map[string]struct {
		s    meta.PartitionState
		want bool
	}{
		"in sync":        {meta.PartitionState{Leader: self, ISR: []kafka.NodeID{self, other}}, true},
		"eligible":       {meta.PartitionState{Leader: self, ISR: []kafka.NodeID{self}, ELR: []kafka.NodeID{other}}, true},
		"neither":        {meta.PartitionState{Leader: self, ISR: []kafka.NodeID{self}}, false},
		"not registered": {meta.PartitionState{Leader: self, ISR: []kafka.NodeID{self, 9}}, false},
	} {
		p.state = q.s
		if got := p.elsewhere(); got != q.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	p.state = state
}

// What a leader sends that is not as it was written is asked for again, and never
// appended.
func TestAFollowerRefusesRot(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.inSync(2)
	rotten := 0
	c.onFetch = func(_, _ kafka.NodeID, _ *ReplicaFetch, a *ReplicaFetched) {
		for i := range a.Items {
			if it := &a.Items[i]; len(it.Records) > 0 && rotten < 3 {
				it.Records = bytes.Clone(it.Records)
				it.Records[65] ^= 4
				rotten++
			}
		}
	}
	c.ack(c.leader(), "a", "b")
	if rotten != 3 {
		t.Errorf("%d answers were rotten", rotten)
	}
	c.inSync(2)
	c.same("0:a 0:b")
}

// An answer to a fetch that began before a replica did is not for it: what was there
// before had other records already (docs/bugs/0022.md).
func TestAnAnswerToAnEarlierReplicaIsNotTaken(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.inSync(2)
	m := c.machine(3 - c.leader().id)
	c.until("it follows", func() bool { return m.p() != nil && m.p().Role() == Following })
	c.must(m, func() error {
		p := m.p()
		p.unfollow()
		p.follow()
		late := batchOf("late")
		late[7] = 5 // its base offset
		p.follows.f.take(&ReplicaFetched{Items: []ReplicaFetchedItem{{Replica: p.id, HighWatermark: 6, Records: late}}})
		if p.log.End() != 0 {
			t.Errorf("an empty log took over a batch at 5, and ends at %d", p.log.End())
		}
		return nil
	})
	c.ack(c.leader(), "a")
	c.same("0:a")
}
