package quorum

import (
	"errors"
	"fmt"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

// unplugAfter runs a quorum of three until a member has sent the nth message of
// those that wanted accepts, takes the power from that member at this moment, and
// returns the message and the member as it comes back.
func unplugAfter(t *testing.T, nth int, wanted func(*pb.Message) bool) (*pb.Message, *member) {
	r := newRigOn(t, sim.Options{Seed: uint64(nth)}, 3, disksim.Options{Times: disksim.Spinning()})
	var sent *pb.Message
	var by *member
	count := 0
	r.onSend = func(from, _ kafka.NodeID, b []byte) {
		m := messageIn(b)
		if sent != nil || !wanted(m) {
			return
		}
		if count++; count > nth {
			sent, by = m, r.members[from]
			r.k.At(r.k.Now(), func() { by.forget() })
		}
	}
	r.startAll()
	w := &writer{r: r}
	for i := 0; sent == nil && i < 100; i++ {
		if a := r.active(); a != nil {
			w.write(a)
			if i%7 == 0 {
				r.isolate(a, true)
			}
		}
		if i%7 == 6 {
			for _, m := range r.members {
				r.isolate(m, false)
			}
		}
		r.k.After(300*time.Millisecond, func() {}) // a clock that nothing is due on stands still
		r.try(300*time.Millisecond, func() bool { return sent != nil })
	}
	if sent == nil {
		t.Fatalf("seed %d: no message of the kind was sent", nth)
	}
	r.onSend = nil
	r.try(time.Millisecond, func() bool { return by.q == nil })
	by.restart()
	r.run(10*time.Second, "it comes back", func() bool { return by.q != nil || by.opened != nil })
	if by.opened != nil {
		t.Fatalf("seed %d: %v", nth, by.opened)
	}
	return sent, by
}

// Raft, figure 2: persistent state is updated on stable storage before a server
// answers. Planted bug: vote-not-durable-before-grant.
func TestAVoteThatWasGrantedSurvivesPowerLoss(t *testing.T) {
	granted := func(m *pb.Message) bool { return m.GetType() == pb.MsgVoteResp && !m.GetReject() }
	for nth := range 4 {
		m, by := unplugAfter(t, nth, granted)
		v := by.q.View()
		if v.Term < m.GetTerm() || v.Term == m.GetTerm() && v.Vote != nodeID(m.GetTo()) {
			t.Errorf("seed %d: voted for %d in term %d, came back with vote %d in term %d", nth, nodeID(m.GetTo()), m.GetTerm(), v.Vote, v.Term)
		}
		by.r.k.Close()
	}
}

// The same for entries (KAFKA-10533). Planted bug: raft-ack-before-flush.
func TestEntriesThatWereAcknowledgedSurvivePowerLoss(t *testing.T) {
	acked := func(m *pb.Message) bool { return m.GetType() == pb.MsgAppResp && !m.GetReject() && m.GetIndex() > 3 }
	for nth := range 12 {
		m, by := unplugAfter(t, nth, acked)
		if v := by.q.View(); v.Last < m.GetIndex() {
			t.Errorf("seed %d: acknowledged %d, came back with a log that ends at %d", nth, m.GetIndex(), v.Last)
		}
		by.r.k.Close()
	}
}

// A request for votes speaks of a term that the candidate must not give away
// again.
func TestACandidateRemembersItsTerm(t *testing.T) {
	asks := func(m *pb.Message) bool { return m.GetType() == pb.MsgVote }
	for nth := range 3 {
		m, by := unplugAfter(t, nth, asks)
		if v := by.q.View(); v.Term < m.GetTerm() || v.Term == m.GetTerm() && v.Vote != nodeID(m.GetFrom()) {
			t.Errorf("seed %d: stood in term %d, came back with vote %d in term %d", nth, m.GetTerm(), v.Vote, v.Term)
		}
		by.r.k.Close()
	}
}

// etcd issue 14370. Planted bug: apply-and-ack-before-durable-singleton.
func TestWhatALoneVoterAcknowledgedSurvivesPowerLoss(t *testing.T) {
	for seed := range uint64(10) {
		r := newRigOn(t, sim.Options{Seed: seed}, 1, disksim.Options{Times: disksim.Spinning()})
		m := r.members[0]
		r.startAll()
		r.elect()
		for i := range 5 {
			name := fmt.Sprint("k", i)
			acked := false
			m.node.Go("change", func() { acked = m.q.Change(set(name, "1")) == nil })
			r.run(10*time.Second, "the change is acknowledged", func() bool { return acked })
			m.forget()
			m.restart()
			r.elect()
			if get(m.q.Image(), name) != "1" {
				t.Fatalf("seed %d: %s was acknowledged, and is gone", seed, name)
			}
		}
		r.k.Close()
	}
}

// A majority that loses power at once keeps what it acknowledged.
func TestWhatAMajorityAcknowledgedSurvivesPowerLossOfAll(t *testing.T) {
	for seed := range uint64(10) {
		r := newRigOn(t, sim.Options{Seed: seed}, 3, disksim.Options{Times: disksim.NVMe()})
		r.startAll()
		r.elect().change("a", "1")
		for _, m := range r.members {
			m.forget()
		}
		for _, m := range r.members {
			m.restart()
		}
		if a := r.elect(); get(a.q.Image(), "a") != "1" {
			t.Fatalf("seed %d: an acknowledged change is gone", seed)
		}
		r.k.Close()
	}
}

// KAFKA-15489. Planted bug: no-check-quorum-resign.
func TestALeaderWithoutAMajorityResigns(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 3}, 3)
	r.startAll()
	old := r.elect()
	r.isolate(old, true)
	r.run(4*electionTimeout+time.Second, "it resigns", func() bool { return old.q.View().Role != Leader })
	old.do(time.Second, func() {
		if err := old.q.Change(set("a", "1")); !errors.Is(err, kafka.ErrNotController) {
			t.Errorf("a change without a majority: %v", err)
		}
	})
}

// etcd raft 63903dd, Redpanda 2954. Planted bug: serve-from-cached-leadership.
func TestAnIsolatedLeaderAnswersNothing(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 4}, 3)
	r.startAll()
	old := r.elect()
	r.level()
	r.isolate(old, true)
	if !old.q.Active() {
		t.Fatal("it does not believe that it leads: the test proves nothing")
	}
	old.do(10*time.Second, func() {
		if err := old.q.Barrier(r.k.Now().Add(electionTimeout / 2)); !errors.Is(err, env.ErrDeadline) {
			t.Errorf("a read barrier without a majority: %v", err)
		}
	})
	if !old.q.Active() {
		t.Fatal("it resigned at once: the test proves nothing")
	}
	old.do(10*time.Second, func() {
		err := old.q.Change(func(*meta.Image) ([]meta.Record, error) { return nil, kafka.ErrTopicAlreadyExists })
		if !errors.Is(err, kafka.ErrNotController) {
			t.Errorf("a decision without effect and without a majority: %v", err)
		}
	})
}

// A change whose leader was cut off is of unknown outcome, or replaced for good.
func TestWhatBecameOfAChangeUnderWay(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 5}, 3)
	r.startAll()
	old := r.elect()
	r.level()
	r.isolate(old, true)
	var first, second error
	done := 0
	old.node.Go("first", func() { first = old.q.Change(set("first", "1")); done++ })
	r.run(20*time.Second, "it is answered", func() bool { return done == 1 })
	if kafka.ErrorOf(first).Outcome() != kafka.Unknown {
		t.Errorf("nobody can know what became of it: %v", first)
	}
	r.isolate(old, false)
	next := r.elect()
	next.change("next", "1")
	r.level()

	old = r.active()
	r.isolate(old, true)
	old.node.Go("second", func() { second = old.q.Change(set("second", "1")); done++ })
	r.other(old)
	r.isolate(old, false)
	r.run(10*time.Second, "it is answered", func() bool { return done == 2 })
	if !errors.Is(second, kafka.ErrNotController) || !r.probed("a decision was replaced by another leader's") {
		t.Errorf("another leader's entry took its place: %v", second)
	}
	r.level()
	for _, m := range r.members {
		if get(m.q.Image(), "second") != "" || get(m.q.Image(), "first") != "" {
			t.Errorf("controller %d: a change of an isolated leader took place", m.id)
		}
	}
}

// Redpanda issue 17731. Planted bug: duplicate-append-truncates-suffix.
func TestAnAppendThatComesAgainRemovesNothing(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 6}, 3)
	type sending struct {
		from, to kafka.NodeID
		b        []byte
	}
	var appends []sending
	r.onSend = func(from, to kafka.NodeID, b []byte) {
		if m := messageIn(b); m.GetType() == pb.MsgApp {
			appends = append(appends, sending{from, to, b})
		}
	}
	r.startAll()
	a := r.elect()
	for i := range 10 {
		a.change(fmt.Sprint("k", i), "1")
	}
	r.level()
	r.onSend = nil
	end := a.q.View().Last
	for _, s := range appends {
		r.deliver(s.from, s.to, s.b)
		r.pass(time.Millisecond)
		for _, m := range r.members {
			if v := m.q.View(); v.Last < end || m.q.Log().End() < kafka.Offset(end) {
				t.Fatalf("controller %d: its log ended at %d, and ends at %d", m.id, end, v.Last)
			}
		}
	}
}
