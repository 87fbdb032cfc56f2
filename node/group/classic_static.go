package group

import (
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// joinStatic is a static member that has started anew, and knows no member id. It
// gets a new one, and who had the old one is fenced (KIP-345).
func (s *Shard) joinStatic(t machine.Ticket, r JoinRequest, g *group) {
	c := &g.classic
	id := s.settings.NewMemberID(r.Instance)
	old := c.members.get(c.static[r.Instance])
	if old == nil {
		s.admit(t, r, g, id)
		return
	}
	if c.state == stable && c.electsWith(old, r) == c.protocol && !c.awaits(old) {
		s.replaceStable(t, r, g, old, id)
		return
	}
	m := s.replace(g, old, id)
	c.update(s, m, t, r)
	m.client = r.Client
	c.alive(s, m)
	s.rebalance(g)
}

// awaits reports whether others wait for a member to join again: it has said that it
// owns what it was not given, and whoever shall have that gets it in the rebalance that
// begins when it has let go (KIP-429). Who comes in its place knows nothing of that.
func (c *classic) awaits(m *member) bool {
	if c.protocolType != consumerType {
		return false
	}
	said, err := decodeWish(m.metadata(c.protocol))
	if err != nil {
		return false
	}
	given, err := decodeGiven(m.assignment)
	return err == nil && slices.ContainsFunc(said.owned, func(o namedPartitions) bool { return !allNamed(given, o) })
}

// electsWith returns which protocol would be elected if a member said something
// else.
func (c *classic) electsWith(m *member, r JoinRequest) string {
	before := m.protocols
	c.count(m, -1)
	m.protocols = r.Protocols
	c.count(m, +1)
	elected := c.elect()
	c.count(m, -1)
	m.protocols = before
	c.count(m, +1)
	return elected
}

// replace puts a member id in the place of another, which is fenced.
func (s *Shard) replace(g *group, old *member, id string) *member {
	c := &g.classic
	s.answerJoin(c, old, JoinResponse{Error: kafka.ErrFencedInstanceID, Generation: NoGeneration, Member: old.id})
	s.answerSync(old, SyncResponse{Error: kafka.ErrFencedInstanceID})
	s.timers.disarm(&old.silence)
	led := c.leader == old.id
	m := &member{
		id: id, instance: old.instance, client: old.client, protocols: old.protocols,
		session: old.session, rebalance: old.rebalance, assignment: old.assignment,
		fresh: old.fresh, unsynced: old.unsynced,
	}
	c.members.drop(old.id)
	c.count(old, -1)
	c.add(s, g, m)
	if led {
		c.leader = id
	}
	return m
}

// A replacement is a static member of a stable group that has started anew and
// wants what it wanted: it keeps its assignment, and nobody else hears of it.
type replacement struct {
	old    *member
	id     string
	ticket machine.Ticket
	r      JoinRequest
}

// replaceStable has the log know of the new member id before anybody does.
func (s *Shard) replaceStable(t machine.Ticket, r JoinRequest, g *group, old *member, id string) {
	c := &g.classic
	next := c.recorded()
	for i := range next.members {
		if m := &next.members[i]; m.id == old.id {
			m.id, m.client, m.session, m.rebalance = id, r.Client, r.Session, r.RebalanceTimeout
			m.subscription = (&member{protocols: r.Protocols}).metadata(c.protocol)
		}
	}
	if next.leader == old.id {
		next.leader = id
	}
	then := &replacement{old: old, id: id, ticket: t, r: r}
	s.change(g, c.record(g, next), then)
}

func (p *replacement) committed(s *Shard, g *group) {
	c := &g.classic
	assert.That(c.members.get(p.old.id) == p.old, "group %s lost member %s while it was replaced", g.id, p.old.id)
	led := c.leader
	m := s.replace(g, p.old, p.id)
	c.count(m, -1)
	m.protocols, m.session, m.rebalance, m.client = p.r.Protocols, p.r.Session, p.r.RebalanceTimeout, p.r.Client
	c.count(m, +1)
	c.learn()
	c.alive(s, m)
	// A leader of before version 9 must not believe that it is to assign: it is not
	// asked to, and would not be listened to. So it is told that another leads.
	r := c.joined(m)
	if p.r.Version < 9 {
		r.Leader, r.Members = led, nil
	} else {
		r.SkipAssignment = c.leader == m.id
	}
	s.answer(p.ticket, r)
	p.ticket = 0
}

func (p *replacement) refused(s *Shard, g *group, code kafka.Error) {
	s.answer(p.ticket, p.r.failed(code))
	p.ticket = 0
}

func (p *replacement) late(s *Shard, g *group) { p.refused(s, g, kafka.ErrRequestTimedOut) }
