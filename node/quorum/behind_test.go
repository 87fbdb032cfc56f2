package quorum

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/sim"
)

// Raft thesis, section 4.1: a leader makes the next change of the members when the
// last is committed, so that no voter is more than one behind. One that comes back
// has to know so, too: with the voters of two changes ago it would take a minority
// for most of them.
func TestAVoterThatComesBackIsOneChangeBehindAtMost(t *testing.T) {
	for seed := range uint64(6) {
		r := newRig(t, sim.Options{Seed: seed}, 3)
		r.startAll()
		r.elect()
		m := r.add(3, r.members[0].voters)
		m.start()
		r.run(time.Second, "it runs", func() bool { return m.q != nil })
		r.addVoter(m) // as a learner, as a voter beside the old majority, as a voter
		if seed%2 == 0 {
			r.level()
		}
		for _, m := range r.members {
			r.isolate(m, true)
			m.forget()
			m.restart()
			r.run(time.Second, "it is back", func() bool { return m.q != nil && m.q.applied >= m.q.state.commit })
			if n := len(changesAbove(t, m.q)); n > 1 {
				t.Errorf("seed %d: member %d came back with the voters of %d changes ago: %v", seed, m.id, n, m.q.View().Voters)
			}
		}
		r.k.Close()
	}
}

// changesAbove returns the changes of the members in a log that are not known to be
// committed.
func changesAbove(t *testing.T, q *Quorum) (above []entry) {
	t.Helper()
	v := q.View()
	for i := v.Applied + 1; i <= v.Last; i++ {
		es, err := q.storage.Entries(i, i+1, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if e := entryOf(es[0]); e.kind == kindConfChange {
			above = append(above, e)
		}
	}
	return above
}

// A voter that joins knows none but the voters that it was told. The leader may be
// another: it says where it is.
func TestAVoterJoinsWhereTheLeaderIsNoneOfThoseItKnows(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 1)
	defer r.k.Close()
	r.startAll()
	r.elect()
	told := r.members[0].voters
	for id := range []int{1, 2} {
		m := r.add(r.members[id].id+1, told)
		m.start()
		r.run(time.Second, "it runs", func() bool { return m.q != nil })
		r.addVoter(m)
		r.level()
		if id == 0 {
			r.removeVoter(0)
			r.members[0].kill()
		}
	}
	joined := r.members[2]
	if at := joined.q.Member(1).Address; at != "c1:9093" {
		t.Errorf("the leader is at %q, as far as the one knows that joined", at)
	}
}
