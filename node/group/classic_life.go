package group

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// Heartbeat says that a member lives. Answered at once with a HeartbeatResponse,
// with REBALANCE_IN_PROGRESS while members are to join anew.
func (s *Shard) Heartbeat(at machine.Moment, t machine.Ticket, r HeartbeatRequest) {
	s.at = at
	s.answer(t, HeartbeatResponse{s.heartbeat(&r)})
}

func (s *Shard) heartbeat(r *HeartbeatRequest) kafka.Error {
	switch {
	case s.loading:
		return kafka.ErrCoordinatorLoadInProgress
	case r.Group == "":
		return kafka.ErrInvalidGroupID
	}
	g := s.groups.get(r.Group)
	if g == nil {
		return kafka.ErrUnknownMemberID
	}
	if g.consumer != nil {
		return s.heartbeatInside(g, r)
	}
	c := &g.classic
	m, code := c.known(r.Member, r.Instance)
	switch {
	case code != kafka.None:
		return code
	case r.Generation != c.generation:
		return kafka.ErrIllegalGeneration
	}
	c.alive(s, m)
	if c.state == preparing {
		return kafka.ErrRebalanceInProgress
	}
	return kafka.None
}

// alive gives a member its session anew. One that has not been told of a generation
// keeps the longer time that it has.
func (c *classic) alive(s *Shard, m *member) {
	if !m.fresh {
		s.timers.arm(&m.silence, s.at.Now.Add(m.session))
	}
}

// heard gives a member that asks something its session anew, though what it asks
// has to wait.
func (s *Shard) heard(g *group, r request) {
	var id string
	switch r := r.(type) {
	case JoinRequest:
		id = r.Member
	case SyncRequest:
		id = r.Member
	case CommitRequest:
		id = r.Member
	}
	if r, ok := r.(ConsumerHeartbeatRequest); ok {
		id = r.Member
	}
	if _, commits := r.(CommitRequest); g.consumer != nil && !commits {
		if m := g.consumer.members.get(id); m != nil {
			s.consumerAlive(g, m)
		}
	}
	if m := g.classic.members.get(id); m != nil {
		g.classic.alive(s, m)
	}
}

// silent is that a member's session is over. Who waits for the group to rebalance
// cannot send heartbeats: its session begins again when it is answered.
func (s *Shard) silent(g *group, m *member) {
	if !m.fresh && (m.join != 0 || m.sync != 0) {
		return
	}
	s.stats.Sessions++
	s.lose(g, m)
	s.tidy(g)
}

// lose takes a member out and has the others rebalance.
func (s *Shard) lose(g *group, m *member) {
	g.classic.remove(s, m, kafka.ErrUnknownMemberID)
	s.without(g)
}

// without goes on without members that were taken out.
func (s *Shard) without(g *group) {
	switch g.classic.state {
	case completing, stable:
		s.prepare(g)
	case preparing:
		s.maybeComplete(g)
	}
}

// Leave has members leave a group. Answered with a LeaveResponse, when it is
// committed that nobody is left if so.
func (s *Shard) Leave(at machine.Moment, t machine.Ticket, r LeaveRequest) {
	s.at = at
	s.enter(t, r)
}

func (s *Shard) leave(t machine.Ticket, r LeaveRequest) {
	g := s.groups.get(r.Group)
	if g == nil {
		s.answer(t, r.unknown())
		return
	}
	if g.consumer != nil {
		s.leaveInside(t, r, g)
		return
	}
	response := LeaveResponse{Members: make([]Left, len(r.Members))}
	left := false
	for i, m := range r.Members {
		code := s.leaveOne(g, m)
		response.Members[i] = Left{Leaver: m, Error: code}
		left = left || code == kafka.None
	}
	if r.Version < 3 && len(r.Members) == 1 {
		response.Error = response.Members[0].Error
	}
	if left {
		s.without(g)
	}
	if g.changing != nil {
		g.changing.answers(t, r, response)
	} else {
		s.answer(t, response)
	}
	s.tidy(g)
}

// leaveOne takes a member out. An administrator names a static member without its id.
func (s *Shard) leaveOne(g *group, l Leaver) kafka.Error {
	c := &g.classic
	if c.pending.has(l.Member) {
		c.forgetPending(s, l.Member)
		return kafka.None
	}
	if l.Member == "" && l.Instance != "" {
		l.Member = c.static[l.Instance]
	}
	m, code := c.known(l.Member, l.Instance)
	if code == kafka.None {
		c.remove(s, m, kafka.ErrUnknownMemberID)
	}
	return code
}

// unknown is the answer where there is no such group.
func (r LeaveRequest) unknown() LeaveResponse {
	out := LeaveResponse{Members: make([]Left, len(r.Members))}
	for i, m := range r.Members {
		out.Members[i] = Left{Leaver: m, Error: kafka.ErrUnknownMemberID}
	}
	if r.Version < 3 {
		out.Error = kafka.ErrUnknownMemberID
	}
	return out
}

// abandon answers all that wait: the coordinator is no longer here.
func (c *classic) abandon(s *Shard, code kafka.Error) {
	for _, m := range c.members.all() {
		s.answerJoin(c, m, JoinResponse{Error: code, Generation: NoGeneration, Member: m.id})
		s.answerSync(m, SyncResponse{Error: code})
	}
}
