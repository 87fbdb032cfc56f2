package group

import (
	"bytes"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// Sync asks for a member's assignment, or, of the leader, brings everybody's.
// Answered with a SyncResponse when the assignments are committed.
func (s *Shard) Sync(at machine.Moment, t machine.Ticket, r SyncRequest) {
	s.at = at
	s.enter(t, r)
}

func (s *Shard) sync(t machine.Ticket, r SyncRequest) {
	g := s.groups.get(r.Group)
	if g == nil {
		s.answer(t, r.failed(kafka.ErrUnknownMemberID))
		return
	}
	if g.consumer != nil {
		s.syncInside(t, r, g)
		return
	}
	c := &g.classic
	m, code := c.known(r.Member, r.Instance)
	switch {
	case code != kafka.None:
	case r.Generation != c.generation:
		code = kafka.ErrIllegalGeneration
	case differs(r.ProtocolType, c.protocolType) || differs(r.Protocol, c.protocol):
		code = kafka.ErrInconsistentGroupProtocol
	case c.state == preparing:
		code = kafka.ErrRebalanceInProgress
	}
	if code != kafka.None {
		s.answer(t, r.failed(code))
		return
	}
	c.synced(s, m)
	if c.state == stable {
		c.alive(s, m)
		s.answer(t, c.assigned(m))
		return
	}
	s.answerSync(m, SyncResponse{Error: kafka.ErrRebalanceInProgress})
	m.sync = t
	if c.leader == m.id {
		s.assign(g, r.Assignments)
	}
}

// differs reports whether a name is given and is not the one that it should be.
func differs(given, is string) bool { return given != "" && given != is }

// assigned is what a member of a stable group is told.
func (c *classic) assigned(m *member) SyncResponse {
	return SyncResponse{ProtocolType: c.protocolType, Protocol: c.protocol, Assignment: m.assignment}
}

// An assigning is a leader's assignment on its way to the log. Nobody is told of it
// before it is there: if this coordinator is replaced, its successor tells the same
// or nothing.
type assigning struct{ assignments map[string][]byte }

// assign writes down who gets what. Who is not mentioned gets nothing.
func (s *Shard) assign(g *group, assignments []Assignment) {
	c := &g.classic
	then := &assigning{assignments: make(map[string][]byte, len(assignments))}
	for _, a := range assignments {
		then.assignments[a.Member] = bytes.Clone(a.Bytes)
	}
	next := c.recorded()
	next.since = s.at.Wall
	for i := range next.members {
		next.members[i].assignment = then.assignments[next.members[i].id]
	}
	s.change(g, c.record(g, next), then)
}

func (a *assigning) committed(s *Shard, g *group) {
	c := &g.classic
	c.state = stable
	for _, m := range c.members.all() {
		m.assignment = a.assignments[m.id]
		if m.sync != 0 {
			s.answerSync(m, c.assigned(m))
			c.alive(s, m)
		}
	}
}

func (a *assigning) refused(s *Shard, g *group, code kafka.Error) {
	s.unassign(&g.classic, storing(code))
	s.rebalance(g)
}

// late tells those who wait to ask again. The generation may be committed yet.
func (a *assigning) late(s *Shard, g *group) {
	s.unassign(&g.classic, kafka.ErrCoordinatorNotAvailable)
}

// unassign tells all who wait for their assignment that they wait in vain.
func (s *Shard) unassign(c *classic, code kafka.Error) {
	for _, m := range c.members.all() {
		m.assignment = nil
		if m.sync != 0 {
			s.answerSync(m, SyncResponse{Error: code})
			c.alive(s, m)
		}
	}
}

// answerSync answers a member whose sync waits.
func (s *Shard) answerSync(m *member, r SyncResponse) {
	s.answer(m.sync, r)
	m.sync = 0
}

// synced notes that a member has asked for its assignment.
func (c *classic) synced(s *Shard, m *member) {
	if !m.unsynced {
		return
	}
	m.unsynced = false
	if c.unsynced--; c.unsynced == 0 {
		s.timers.disarm(&c.syncing)
	}
}

// allSynced stops the wait for who has not asked.
func (c *classic) allSynced(s *Shard) {
	if c.unsynced > 0 {
		for _, m := range c.members.all() {
			m.unsynced = false
		}
		c.unsynced = 0
	}
	s.timers.disarm(&c.syncing)
}

// syncDue is that members have joined and never asked for their assignment, the
// leader perhaps: they may have died in between, while something sends heartbeats
// for them (KAFKA-12890). They are lost, and the others go on without them.
func (s *Shard) syncDue(g *group) {
	c := &g.classic
	if c.unsynced == 0 || c.state != completing && c.state != stable {
		return
	}
	for _, m := range c.members.all() {
		if m.unsynced {
			c.remove(s, m, kafka.ErrUnknownMemberID)
		}
	}
	s.prepare(g)
	s.tidy(g)
}
