package quorum

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A moving swarm is one whose members join, leave, and lose their disks, one at a
// time.
type moving struct {
	*swarm
	busy bool // a change of the members is under way
	made int
}

// ask has whoever is active change the members.
func (s *moving) ask(what func(*Quorum) error) {
	a := s.r.active()
	if a == nil || s.busy {
		return
	}
	s.busy = true
	q := a.q
	a.node.OnCrash(func() { s.busy = false })
	a.node.Go("members", func() {
		if what(q) == nil {
			s.made++
		}
		s.busy = false
	})
}

// move adds somebody who is no voter, or removes one who is.
func (s *moving) move() {
	a := s.r.active()
	if a == nil {
		return
	}
	voters := ids(a.q.Voters())
	m := s.r.members[s.draw.IntN(len(s.r.members))]
	deadline := s.r.k.Now().Add(8 * electionTimeout)
	switch {
	case !slices.Contains(voters, m.id) && m.q != nil:
		v := Voter{ID: m.id, Address: fmt.Sprintf("c%d:1", m.id), Directory: m.q.dir}
		s.ask(func(q *Quorum) error { return q.AddVoter(v, deadline) })
	case slices.Contains(voters, m.id) && len(voters) > 3:
		s.ask(func(q *Quorum) error { return q.RemoveVoter(m.id, deadline) })
	}
}

// lose empties a member's disk, and has it let in again.
func (s *moving) lose() error {
	if !s.calm() {
		return nil
	}
	voters := s.r.active().q.Voters()
	m := s.r.members[voters[s.draw.IntN(len(voters))].ID]
	if m.q == nil {
		return nil
	}
	m.kill()
	m.wipe()
	m.restart()
	for range 30 {
		if err := s.step(electionTimeout); err != nil {
			return err
		}
		if a := s.r.active(); a != nil && m.q != nil {
			if v, ok := members(a.q.Voters()).find(m.id); ok && v.Directory == m.q.dir {
				return nil
			}
			v := Voter{ID: m.id, Address: fmt.Sprintf("c%d:1", m.id), Directory: m.q.dir}
			s.ask(func(q *Quorum) error { return q.AddVoter(v, s.r.k.Now().Add(5*electionTimeout)) })
		}
	}
	return fmt.Errorf("controller %d was not let in again after it lost its disk: %s", m.id, s.state())
}

// calm ends the faults, and reports whether the voters become equal.
func (s *moving) calm() bool {
	if s.step(5*time.Second) != nil { // what befell the disks has ended
		return false
	}
	for _, m := range s.r.members {
		s.repair(m)
	}
	return s.r.try(20*time.Second, func() bool { return s.j.look() == nil && !s.busy && s.equal() })
}

// equal is level, of the voters alone: who was removed does not learn of it.
func (s *moving) equal() bool {
	a := s.r.active()
	if a == nil || a.q.joint() {
		return false
	}
	for _, v := range a.q.Voters() {
		m := s.r.members[v.ID]
		if m.q == nil || m.q.applied != a.q.applied || m.q.View().Last != a.q.applied {
			return false
		}
	}
	return true
}

func TestSwarmOfMembers(t *testing.T) {
	made := 0
	for seed := range uint64(8) {
		s := &moving{swarm: newSwarm(t, seed, 3)}
		told := s.r.members[0].voters
		s.r.add(3, told)
		s.r.add(4, told)
		s.r.startAll()
		if err := s.live(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		made += s.made
		s.r.k.Close()
	}
	t.Logf("%d changes of the members", made)
	if made < 20 {
		t.Error("the swarm proves nothing")
	}
}

// live is one run.
func (s *moving) live() error {
	for round := range 120 {
		if a := s.r.active(); a != nil {
			s.w.write(a)
		}
		if len(s.faults) > 0 && s.draw.IntN(12) == 0 {
			s.faults[s.draw.IntN(len(s.faults))](s.r.members[s.draw.IntN(len(s.r.members))])
		}
		if s.draw.IntN(6) == 0 {
			s.move()
		}
		if round%40 == 39 {
			if err := s.lose(); err != nil {
				return err
			}
		}
		if err := s.step(time.Duration(s.draw.Int64N(int64(500 * time.Millisecond)))); err != nil {
			return err
		}
		for _, m := range s.r.members {
			if s.draw.IntN(12) == 0 {
				s.repair(m)
			}
		}
	}
	s.r.lost, s.r.twice = 0, 0
	if !s.calm() {
		return fmt.Errorf("the voters are not equal after the faults: %v %s", s.j.look(), s.state())
	}
	for _, v := range s.r.active().q.Voters() {
		if err := s.w.audit(s.r.members[v.ID]); err != nil {
			return err
		}
	}
	return nil
}
