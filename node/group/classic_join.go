package group

import (
	"bytes"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// Join has a consumer join a group, or join it anew. Answered with a JoinResponse
// when all members have joined or have had their time.
func (s *Shard) Join(at machine.Moment, t machine.Ticket, r JoinRequest) {
	s.at = at
	if limits := s.settings.Limits(); r.Session < limits.MinSession || r.Session > limits.MaxSession {
		s.answer(t, r.failed(kafka.ErrInvalidSessionTimeout))
		return
	}
	if len(r.Member) > maxName || len(r.Instance) > maxName || len(r.ProtocolType) > maxName {
		s.answer(t, r.failed(kafka.ErrInvalidRequest))
		return
	}
	r.Client = r.Client.short()
	r.Protocols = distinct(r.Protocols)
	s.enter(t, r)
}

// short returns a client whose names are not too long to be kept.
func (c Client) short() Client {
	c.ID, c.Host = c.ID[:min(len(c.ID), maxName)], c.Host[:min(len(c.Host), maxName)]
	return c
}

// distinct returns the first of each name, of those that have one that can be kept.
// It copies what is kept: requests lie in buffers of connections.
func distinct(protocols []Protocol) []Protocol {
	out, seen := make([]Protocol, 0, len(protocols)), map[string]bool{}
	for _, p := range protocols {
		if p.Name != "" && len(p.Name) <= maxName && !seen[p.Name] {
			seen[p.Name] = true
			out = append(out, Protocol{p.Name, bytes.Clone(p.Metadata)})
		}
	}
	return out
}

func (s *Shard) join(t machine.Ticket, r JoinRequest) {
	g := s.groups.get(r.Group)
	if g == nil && r.Member != "" {
		s.answer(t, r.failed(kafka.ErrUnknownMemberID))
		return
	}
	if g != nil && g.consumer != nil {
		s.joinInstead(t, r, g)
		return
	}
	g = s.group(r.Group)
	c := &g.classic
	switch {
	case !c.accepts(r.Member, s.settings.Limits().MaxSize):
		s.turnAway(t, r, g)
	case !c.offers(r.ProtocolType, r.Protocols):
		s.answer(t, r.failed(kafka.ErrInconsistentGroupProtocol))
	case r.Member != "":
		s.joinAgain(t, r, g)
	case r.Instance != "":
		s.joinStatic(t, r, g)
	case r.Version >= 4:
		s.invite(t, r, g)
	default:
		s.admit(t, r, g, s.settings.NewMemberID(r.Client.ID))
	}
	s.tidy(g)
}

// accepts reports whether there is room for a member (group.max.size). While a
// rebalance is prepared, who has joined first has the room.
func (c *classic) accepts(id string, most int) bool {
	m := c.members.get(id)
	switch c.state {
	case preparing:
		return m != nil && m.join != 0 || c.joining < most
	case completing, stable:
		return m != nil || c.members.len() < most
	}
	return true
}

// turnAway tells a member that there is no room for it.
func (s *Shard) turnAway(t machine.Ticket, r JoinRequest, g *group) {
	s.answer(t, JoinResponse{Error: kafka.ErrGroupMaxSizeReached, Generation: NoGeneration})
	if m := g.classic.members.get(r.Member); m != nil {
		s.lose(g, m)
	}
}

// invite gives a member an id with which to join (KIP-394): who does not hear of it
// never was a member, and nobody waits a session for it.
func (s *Shard) invite(t machine.Ticket, r JoinRequest, g *group) {
	id := s.settings.NewMemberID(r.Client.ID)
	expires := &timer{group: g}
	expires.fire = func() {
		g.classic.forgetPending(s, id)
		s.maybeComplete(g)
		s.tidy(g)
	}
	g.classic.pending.put(id, expires)
	s.timers.arm(expires, s.at.Now.Add(r.Session))
	s.answer(t, JoinResponse{Error: kafka.ErrMemberIDRequired, Generation: NoGeneration, Member: id})
}

// admit takes a new member in, and begins a rebalance or joins it.
func (s *Shard) admit(t machine.Ticket, r JoinRequest, g *group, id string) {
	c := &g.classic
	c.forgetPending(s, id)
	if c.members.len() == 0 {
		c.protocolType = r.ProtocolType
	}
	m := &member{
		id: id, instance: r.Instance, client: r.Client, protocols: r.Protocols,
		session: r.Session, rebalance: r.RebalanceTimeout, join: t, fresh: true,
	}
	if c.state == preparing && c.initial {
		c.arrived = true
	}
	c.add(s, g, m)
	s.timers.arm(&m.silence, s.at.Now.Add(newMemberTimeout))
	s.rebalance(g)
}

// joinAgain is a member that joins with its id.
func (s *Shard) joinAgain(t machine.Ticket, r JoinRequest, g *group) {
	c := &g.classic
	if c.pending.has(r.Member) && r.Instance == "" {
		s.admit(t, r, g, r.Member)
		return
	}
	m, code := c.known(r.Member, r.Instance)
	if code != kafka.None {
		s.answer(t, r.failed(code))
		return
	}
	// Who says the same again has missed an answer. The leader does so to have the
	// group rebalanced: it has seen that topics changed.
	same := m.matches(r.Protocols)
	if c.state == completing && same || c.state == stable && same && c.leader != m.id {
		c.alive(s, m)
		s.answer(t, c.joined(m))
		return
	}
	c.update(s, m, t, r)
	s.rebalance(g)
}

// update takes over what a member says now. If it has asked before, that answer is
// not waited for any more.
func (c *classic) update(s *Shard, m *member, t machine.Ticket, r JoinRequest) {
	c.count(m, -1)
	m.protocols, m.session, m.rebalance = r.Protocols, r.Session, r.RebalanceTimeout
	c.count(m, +1)
	s.answerJoin(c, m, JoinResponse{Error: kafka.ErrRebalanceInProgress, Generation: NoGeneration, Member: m.id})
	m.join = t
	c.joining++
}

// rebalance begins a rebalance, or completes the one that there is if all are here.
func (s *Shard) rebalance(g *group) {
	c := &g.classic
	if c.state == preparing {
		s.maybeComplete(g)
		return
	}
	s.prepare(g)
}

// prepare has all members join anew.
func (s *Shard) prepare(g *group) {
	c := &g.classic
	if c.state == completing {
		s.unassign(c, kafka.ErrRebalanceInProgress)
	}
	c.allSynced(s)
	if c.state == empty {
		limits := s.settings.Limits()
		c.initial, c.arrived, c.delay = true, false, limits.InitialDelay
		c.left = max(c.rebalanceTimeout()-limits.InitialDelay, 0)
		c.state = preparing
		s.timers.arm(&c.join, s.at.Now.Add(c.delay))
		return
	}
	c.initial = false
	c.state = preparing
	if c.allJoined() {
		s.complete(g)
		return
	}
	s.timers.disarm(&c.join)
	s.timers.arm(&c.join, s.at.Now.Add(c.rebalanceTimeout()))
}

func (c *classic) allJoined() bool { return c.joining == c.members.len() && c.pending.len() == 0 }

// maybeComplete completes the join if everybody is here. A group that had no members
// waits for more of them first.
func (s *Shard) maybeComplete(g *group) {
	if c := &g.classic; c.state == preparing && !c.initial && c.allJoined() {
		s.complete(g)
	}
}

// joinDue ends the wait for members. The initial delay begins again when somebody
// came during it, as long as the slowest member has patience (KIP-134).
func (s *Shard) joinDue(g *group) {
	c := &g.classic
	if c.state != preparing {
		return
	}
	if c.initial && c.arrived && c.left > 0 {
		last := c.delay
		c.arrived = false
		c.delay = min(s.settings.Limits().InitialDelay, c.left)
		c.left = max(c.left-last, 0)
		s.timers.arm(&c.join, s.at.Now.Add(c.delay))
		return
	}
	s.complete(g)
	s.tidy(g)
}

// complete begins the next generation with those who have joined. Static members
// that have not are kept until their session is over (KIP-345).
func (s *Shard) complete(g *group) {
	c := &g.classic
	s.timers.disarm(&c.join)
	c.initial = false
	for _, m := range c.members.all() {
		if m.join == 0 && m.instance == "" {
			c.remove(s, m, kafka.ErrUnknownMemberID)
		}
	}
	if c.members.len() > 0 && !c.hasJoinedLeader() {
		s.timers.arm(&c.join, s.at.Now.Add(c.rebalanceTimeout()))
		return
	}
	c.generation++
	s.stats.Rebalances++
	if c.members.len() == 0 {
		s.vacate(g)
		return
	}
	c.protocol = c.elect()
	c.learn()
	c.state = completing
	c.unsynced = 0
	for _, m := range c.members.all() {
		if m.join == 0 {
			continue // a static member that is away: its session goes on
		}
		s.answerJoin(c, m, c.joined(m))
		m.fresh, m.unsynced = false, true
		c.unsynced++
		c.alive(s, m)
	}
	s.timers.arm(&c.syncing, s.at.Now.Add(c.rebalanceTimeout()))
}

// vacate writes down that nobody is left.
func (s *Shard) vacate(g *group) {
	c := &g.classic
	c.protocol, c.leader = "", ""
	c.state = empty
	c.learn()
	c.since = s.at.Wall
	s.change(g, c.record(g, c.recorded()), nil)
}

// hasJoinedLeader reports whether the leader has joined, and has somebody else lead
// if it has not. It reports false if nobody has.
func (c *classic) hasJoinedLeader() bool {
	if leader := c.members.get(c.leader); leader != nil && leader.join != 0 {
		return true
	}
	for id, m := range c.members.all() {
		if m.join != 0 {
			c.leader = id
			return true
		}
	}
	return false
}

// joined is what a member is told of the generation.
func (c *classic) joined(m *member) JoinResponse {
	r := JoinResponse{
		Generation: c.generation, ProtocolType: c.protocolType, Protocol: c.protocol,
		Leader: c.leader, Member: m.id,
	}
	if c.leader == m.id {
		r.Members = c.everybody()
	}
	return r
}

// everybody is what the leader is told of the members.
func (c *classic) everybody() []JoinedMember {
	out := make([]JoinedMember, 0, c.members.len())
	for _, m := range c.members.all() {
		out = append(out, JoinedMember{ID: m.id, Instance: m.instance, Metadata: m.metadata(c.protocol)})
	}
	return out
}

// answerJoin answers a member whose join waits.
func (s *Shard) answerJoin(c *classic, m *member, r JoinResponse) {
	if m.join == 0 {
		return
	}
	s.answer(m.join, r)
	m.join = 0
	c.joining--
	assert.That(c.joining >= 0, "%d members join", c.joining)
}
