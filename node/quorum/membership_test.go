package quorum

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

func ids(voters []Voter) []kafka.NodeID {
	var out []kafka.NodeID
	for _, v := range voters {
		out = append(out, v.ID)
	}
	return out
}

// addVoter adds a machine to the quorum, asking whoever leads.
func (r *rig) addVoter(m *member) {
	r.t.Helper()
	added := false
	for i := 0; !added && i < 10; i++ {
		a := r.elect()
		a.do(20*time.Second, func() {
			err := a.q.AddVoter(Voter{ID: m.id, Address: fmt.Sprintf("c%d:9093", m.id), Directory: m.q.dir}, r.k.Now().Add(10*time.Second))
			if err == nil {
				added = true
			} else {
				r.t.Logf("adding %d: %v", m.id, err)
			}
		})
	}
	if !added {
		r.t.Fatalf("seed %d: voter %d was not added", r.k.Seed(), m.id)
	}
}

func (r *rig) removeVoter(id kafka.NodeID) {
	r.t.Helper()
	removed := false
	for i := 0; !removed && i < 10; i++ {
		a := r.elect()
		a.do(20*time.Second, func() { removed = a.q.RemoveVoter(id, r.k.Now().Add(10*time.Second)) == nil })
	}
	if !removed {
		r.t.Fatalf("seed %d: voter %d was not removed", r.k.Seed(), id)
	}
}

// A quorum of one grows to three and moves away from the machine it began on,
// while changes are made and messages get lost.
func TestAQuorumGrowsAndMoves(t *testing.T) {
	for seed := range uint64(8) {
		r := newRigOn(t, sim.Options{Seed: seed}, 1, disksim.Options{Times: disksim.NVMe()})
		r.every = []int64{1 << 20, 1500}[seed%2]
		r.startAll()
		first := r.elect()
		for i := range 20 {
			first.change(fmt.Sprint("before-", i), strings.Repeat("x", 100))
		}
		r.lost, r.twice = 50, 50
		told := first.voters
		for id := kafka.NodeID(1); id < 4; id++ {
			m := r.add(id, told)
			m.start()
			r.run(time.Second, "it runs", func() bool { return m.q != nil })
			r.addVoter(m)
			w := &writer{r: r}
			w.write(r.elect())
			r.pass(100 * time.Millisecond)
		}
		r.removeVoter(0)
		r.lost, r.twice = 0, 0
		first.kill()
		a := r.elect()
		if got := ids(a.q.Voters()); !slices.Equal(got, []kafka.NodeID{1, 2, 3}) {
			t.Errorf("seed %d: voters %v", seed, got)
		}
		a.change("after", "1")
		r.level()
		for _, m := range r.members[1:] {
			m.forget()
			m.restart()
		}
		r.level()
		for _, m := range r.members[1:] {
			v := m.q.Voters()
			if !slices.Equal(ids(v), []kafka.NodeID{1, 2, 3}) || v[0].Address != "c1:9093" || v[0].Directory != r.members[1].q.dir {
				t.Errorf("seed %d: controller %d came back with voters %v", seed, m.id, v)
			}
			if get(m.q.Image(), "before-7") == "" || get(m.q.Image(), "after") == "" {
				t.Errorf("seed %d: controller %d has lost settings", seed, m.id)
			}
		}
		if !r.probed("a learner of the quorum became a voter") {
			t.Error("nobody was a learner first")
		}
		r.k.Close()
	}
}

// A voter that lost its disk has forgotten its votes and what it acknowledged.
func TestAVoterThatLostItsDiskDoesNotVote(t *testing.T) {
	for seed := range uint64(6) {
		r := newRig(t, sim.Options{Seed: seed}, 3)
		r.startAll()
		a := r.elect()
		a.change("a", "1")
		r.level()
		r.run(time.Minute, "all directories are known", func() bool {
			known := 0
			for _, m := range r.members {
				for _, v := range m.q.members {
					if v.Directory != (meta.DirectoryID{}) {
						known++
					}
				}
			}
			return known == 9
		})
		lost, other, third := r.members[0], r.members[1], r.members[2]
		third.kill()
		lost.kill()
		lost.wipe()
		lost.restart()
		if seed%2 == 1 {
			// What the other remembers is in its log; it does not know any more
			// how much of that is committed.
			other.forget()
			other.restart()
		}
		// Two of three voters run, but one of them is not who it was.
		r.pass(30 * electionTimeout)
		if a := r.active(); a != nil {
			t.Fatalf("seed %d: controller %d leads by the vote of one that has forgotten everything", seed, a.id)
		}
		if !r.probed("a controller that lost its disk was refused") {
			t.Fatal("nobody refused it: the test proves nothing")
		}
		third.restart()
		a = r.elect()
		if a == lost || get(a.q.Image(), "a") != "1" {
			t.Fatalf("seed %d: controller %d leads", seed, a.id)
		}
		// It is let in again as another voter.
		r.addVoter(lost)
		r.level()
		if get(lost.q.Image(), "a") != "1" {
			t.Errorf("seed %d: the voter that was let in again has not the image", seed)
		}
		other.kill()
		r.pass(4 * electionTimeout)
		r.elect().change("b", "1")
		r.k.Close()
	}
}

func TestVotersWithOtherBeginningsAreRefused(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 2)
	stranger := r.add(2, []Voter{{ID: 0, Address: "c0:9093"}, {ID: 1, Address: "c1:9093"}, {ID: 2, Address: "c2:9093"}})
	r.startAll()
	a := r.elect()
	r.pass(10 * electionTimeout)
	if stranger.q.applied > 3 || a.q.View().Role != Leader {
		t.Errorf("a controller that was told other voters takes part: applied %d", stranger.q.applied)
	}
	m := &pb.Message{Type: pb.MsgPreVote.Enum(), From: new(stranger.q.id), To: new(a.q.id)}
	err := a.q.Step(2, frame{from: stranger.q.dir, base: fingerprint(stranger.q.base), message: marshal(m)}.encode())
	if !errors.Is(err, kafka.ErrInvalidRequest) || !strings.Contains(err.Error(), "other voters") {
		t.Errorf("its message: %v", err)
	}
}

func TestTheLastVoterStays(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 1)
	r.startAll()
	m := r.elect()
	m.do(time.Second, func() {
		if err := m.q.RemoveVoter(0, kafka.Never); !errors.Is(err, kafka.ErrInvalidRequest) {
			t.Error(err)
		}
		if err := m.q.AddVoter(Voter{ID: 0, Address: "x:1", Directory: meta.DirectoryID{9}}, kafka.Never); !errors.Is(err, kafka.ErrInvalidRequest) {
			t.Error(err)
		}
		if err := m.q.AddVoter(Voter{ID: 1, Address: "x:1"}, kafka.Never); !errors.Is(err, kafka.ErrInvalidRequest) {
			t.Error(err)
		}
	})
}

func TestAControllerThatClosesHandsLeadershipOver(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 2}, 3)
	r.startAll()
	old := r.elect()
	r.level()
	before := r.k.Now()
	old.do(10*time.Second, func() {
		if err := old.q.Close(kafka.Never); err != nil {
			t.Error(err)
		}
	})
	r.run(electionTimeout/2, "another leads", func() bool { a := r.active(); return a != nil && a != old })
	if took := r.k.Now().Sub(before); took > electionTimeout/2 {
		t.Errorf("it took %s", took)
	}
}

// A member that was cut off does not depose the leader when it comes back
// (raft thesis, section 9.6).
func TestAMemberThatComesBackDisturbsNobody(t *testing.T) {
	for seed := range uint64(5) {
		r := newRig(t, sim.Options{Seed: seed}, 3)
		r.startAll()
		a := r.elect()
		r.level()
		term := a.q.View().Term
		var other *member
		for _, m := range r.members {
			if m != a {
				other = m
			}
		}
		r.isolate(other, true)
		r.pass(20 * electionTimeout)
		r.isolate(other, false)
		r.pass(5 * electionTimeout)
		if v := a.q.View(); v.Term != term || v.Role != Leader {
			t.Errorf("seed %d: term %d became %d, %s", seed, term, v.Term, v.Role)
		}
		r.k.Close()
	}
}

// A member that was away knows a voter by the disk that it lost meanwhile, and
// follows it all the same when it leads.
func TestALeaderThatWasAddedAnewIsFollowed(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 5)
	r.startAll()
	r.elect().change("a", "1")
	r.pass(2 * electionTimeout)
	r.level()
	lost, away := r.members[0], r.members[4]
	away.kill()
	lost.kill()
	lost.wipe()
	lost.restart()
	r.run(time.Second, "it runs", func() bool { return lost.q != nil })
	r.addVoter(lost)
	for i := 0; r.elect() != lost; i++ {
		a := r.elect()
		a.do(5*time.Second, func() { a.q.resign(r.k.Now().Add(electionTimeout)) })
		if i > 20 {
			t.Fatal("it does not become the leader")
		}
	}
	lost.change("b", "1")
	away.restart()
	r.run(10*time.Second, "it has caught up", func() bool { return away.q != nil && get(away.q.Image(), "b") == "1" })
	if r.active() != lost {
		t.Error("another led meanwhile: the test proves nothing")
	}
}
