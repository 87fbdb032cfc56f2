package group

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// Members of the classic protocol may live in a group of KIP-848, while it is
// migrated: the coordinator assigns, JoinGroup says what a member owns and brings it
// a step on, SyncGroup tells it what it has, and Heartbeat when to join again. To
// them the member epoch is the generation, and nobody leads.

// joinInside is a member of the classic protocol that joins a group of KIP-848, or
// joins it anew.
func (s *Shard) joinInside(t machine.Ticket, r JoinRequest, g *group) {
	c := g.consumer
	said, code := c.admits(&r)
	switch {
	case code != kafka.None:
		s.answer(t, r.failed(code))
		return
	case r.Member == "" && r.Instance == "" && r.Version >= 4 && c.members.len() < s.settings.Consumer(g.id).MaxSize:
		id := s.settings.NewMemberID(r.Client.ID)
		s.answer(t, JoinResponse{Error: kafka.ErrMemberIDRequired, Generation: NoGeneration, Member: id})
		return
	}
	b := s.joining(g, &r, &said)
	if code := b.identifyClassic(s, &r); code != kafka.None {
		s.answer(t, r.failed(code))
		return
	}
	b.subscribe(s)
	b.aim(s)
	b.reconcile()
	s.finishJoin(t, &r, b)
}

// admits reads what a joining member says. It is INCONSISTENT_GROUP_PROTOCOL if it
// cannot be understood, or if the classic members would have no protocol in common
// any more: they may have to go on without the others.
func (c *consumer) admits(r *JoinRequest) (said wish, code kafka.Error) {
	if r.ProtocolType != consumerType || len(r.Protocols) == 0 {
		return said, kafka.ErrInconsistentGroupProtocol
	}
	said, err := decodeWish(r.Protocols[0].Metadata)
	if err != nil {
		return said, kafka.ErrInconsistentGroupProtocol
	}
	others, mine := c.classics, map[string]bool{}
	was := c.members.get(r.Member)
	if was == nil && r.Instance != "" {
		was = c.members.get(c.static[r.Instance])
	}
	if was != nil && was.classic != nil {
		others--
		for i := range was.classic.protocols {
			mine[was.classic.protocols[i].Name] = true
		}
	}
	for i := range r.Protocols {
		n := c.offers[r.Protocols[i].Name]
		if mine[r.Protocols[i].Name] {
			n--
		}
		if n == others {
			return said, kafka.None
		}
	}
	return said, kafka.ErrInconsistentGroupProtocol
}

// joining turns a JoinGroup into what a heartbeat would say.
func (s *Shard) joining(g *group, r *JoinRequest, said *wish) *beating {
	none := ""
	b := &beating{
		r: ConsumerHeartbeatRequest{
			Group: r.Group, Member: r.Member, Instance: r.Instance, RebalanceTimeout: max(r.RebalanceTimeout, 0),
			Topics: said.topics, Regex: &none, Owned: s.placesNamed(said.owned).topics(), Client: r.Client,
		},
		group: r.Group, c: g.consumer, classic: &classicSide{session: r.Session, protocols: r.Protocols},
	}
	if said.topics == nil {
		b.r.Topics = []string{}
	}
	if said.rack != "" {
		b.r.Rack = &said.rack
	}
	b.behind(g)
	return b
}

// identifyClassic compares a joining member with what is known of it.
func (b *beating) identifyClassic(s *Shard, r *JoinRequest) kafka.Error {
	c := b.c
	was, holder := c.members.get(r.Member), c.members.get(c.static[r.Instance])
	static := r.Instance != ""
	switch {
	case static && holder != nil && r.Member == "":
		b.r.Member = s.settings.NewMemberID(r.Instance)
		b.takePlace(holder) // it has started anew, and who had its place is fenced
		return kafka.None
	case static && holder != nil && holder != was:
		return kafka.ErrFencedInstanceID
	case static && holder == nil && r.Member != "", was != nil && was.classic == nil:
		return kafka.ErrUnknownMemberID
	case was != nil:
		b.was, b.next, b.r.Epoch = was, *was, was.epoch
		return kafka.None
	case r.Member != "" && len(b.r.Owned) > 0:
		// It was a member until its session ended, and does not know: what it owns is another's by now.
		// Taken for a new one it would go on reading, and commit, until it is told what to revoke.
		return kafka.ErrUnknownMemberID
	case c.members.len() >= s.settings.Consumer(b.group).MaxSize:
		return kafka.ErrGroupMaxSizeReached
	case r.Member == "" && static:
		b.r.Member = s.settings.NewMemberID(r.Instance)
	case r.Member == "":
		b.r.Member = s.settings.NewMemberID(r.Client.ID)
	}
	b.next.id = b.r.Member
	return kafka.None
}

// An entering is a JoinGroup whose records are on their way.
type entering struct{ member string }

func (e entering) committed(s *Shard, g *group) {
	if m := g.consumer.members.get(e.member); m != nil {
		s.await(g, m)
	}
}

func (entering) refused(*Shard, *group, kafka.Error) {}
func (entering) late(*Shard, *group)                 {}

// finishJoin has what a JoinGroup changes appended, and answers it.
func (s *Shard) finishJoin(t machine.Ticket, r *JoinRequest, b *beating) {
	g := s.group(b.group)
	response := JoinResponse{
		Generation: Generation(b.next.epoch), ProtocolType: consumerType, Protocol: r.Protocols[0].Name, Member: b.next.id,
	}
	if b.was != nil {
		s.consumerAlive(g, b.was)
	}
	if len(b.records) == 0 {
		s.await(g, b.was)
		s.answer(t, response)
		return
	}
	s.change(g, b.records, entering{b.next.id}).answers(t, *r, response)
}

// await gives a member its rebalance time-out: to ask for its assignment, or to join
// again.
func (s *Shard) await(g *group, m *consumerMember) {
	s.timers.disarm(&m.awaited)
	s.timers.arm(&m.awaited, s.at.Now.Add(max(m.rebalance, shortest)))
}

// tardy is that a member did not join again, or ask for its assignment, in time,
// though its heartbeats may come.
func (s *Shard) tardy(g *group, m *consumerMember) {
	if g.consumer == nil || g.consumer.members.get(m.id) != m {
		return
	}
	s.consumerSilent(g, m)
	s.await(g, m)
}

// knownClassic returns the member that who asks says it is, or why it is not.
func (c *consumer) knownClassic(id, instance string) (*consumerMember, kafka.Error) {
	if instance != "" {
		switch holder, ok := c.static[instance]; {
		case !ok:
			return nil, kafka.ErrUnknownMemberID
		case holder != id:
			return nil, kafka.ErrFencedInstanceID
		}
	}
	if m := c.members.get(id); m != nil && m.classic != nil {
		return m, kafka.None
	}
	return nil, kafka.ErrUnknownMemberID
}

// syncInside tells a member of the classic protocol what it has.
func (s *Shard) syncInside(t machine.Ticket, r SyncRequest, g *group) {
	c := g.consumer
	m, code := c.knownClassic(r.Member, r.Instance)
	switch {
	case code != kafka.None:
	case int32(r.Generation) != m.epoch:
		code = kafka.ErrIllegalGeneration
	case differs(r.ProtocolType, consumerType) || differs(r.Protocol, m.classic.protocols[0].Name):
		code = kafka.ErrInconsistentGroupProtocol
	case m.epoch < c.epoch && m.state != unrevoked:
		code = kafka.ErrRebalanceInProgress // it would only have to join again
		s.await(g, m)
	}
	if code != kafka.None {
		s.answer(t, r.failed(code))
		return
	}
	s.timers.disarm(&m.awaited)
	s.consumerAlive(g, m)
	s.answer(t, SyncResponse{ProtocolType: consumerType, Protocol: m.classic.protocols[0].Name, Assignment: s.given(m)})
}

// given is what a member of the classic protocol has, as its kind reads it.
func (s *Shard) given(m *consumerMember) []byte {
	said, err := decodeWish(m.classic.protocols[0].Metadata)
	if err != nil {
		said.version = 0
	}
	return encodeGiven(said.version, s.namesOf(m.assigned))
}

// heartbeatInside says that a member of the classic protocol lives, and whether it is
// to join again.
func (s *Shard) heartbeatInside(g *group, r *HeartbeatRequest) kafka.Error {
	m, code := g.consumer.knownClassic(r.Member, r.Instance)
	switch {
	case code != kafka.None:
		return code
	case int32(r.Generation) != m.epoch:
		return kafka.ErrIllegalGeneration
	}
	s.consumerAlive(g, m)
	if !s.joinsAgain(g.consumer, m) {
		return kafka.None
	}
	if !m.awaited.set() && !m.awaited.ripe {
		s.await(g, m)
	}
	return kafka.ErrRebalanceInProgress
}

// joinsAgain reports whether a member can come a step on, or whether topics are not
// what they were: Kafka has members of KIP-848 notice that alone.
func (s *Shard) joinsAgain(c *consumer, m *consumerMember) bool {
	switch {
	case m.epoch < c.epoch, m.state == unrevoked:
		return true
	case m.state == unreleased && !c.waits(m):
		return true
	case c.seen == s.metadata:
		return false
	case s.topicsHash(c, nil, nil) != c.hash:
		return true
	}
	c.seen = s.metadata
	return false
}

// waits reports whether all that a member lacks is still another's.
func (c *consumer) waits(m *consumerMember) bool {
	_, wanted := m.goal.split(m.assigned)
	for _, p := range wanted {
		if owner, taken := c.owners[p]; !taken || owner == m.id {
			return false
		}
	}
	return true
}

// leaveInside has members of the classic protocol leave a group of KIP-848.
func (s *Shard) leaveInside(t machine.Ticket, r LeaveRequest, g *group) {
	c := g.consumer
	response := LeaveResponse{Members: make([]Left, len(r.Members))}
	var gone []*consumerMember
	seen := map[string]bool{}
	for i, l := range r.Members {
		id := l.Member
		if holder, static := c.static[l.Instance]; static && id == "" {
			id = holder // an administrator names a static member by its instance alone
		}
		m, code := c.knownClassic(id, l.Instance)
		if code == kafka.None && seen[m.id] {
			code = kafka.ErrUnknownMemberID
		}
		if code == kafka.None {
			seen[m.id] = true
			gone = append(gone, m)
		}
		response.Members[i] = Left{Leaver: l, Error: code}
	}
	if r.Version < 3 && len(r.Members) == 1 {
		response.Error = response.Members[0].Error
	}
	if len(gone) == 0 {
		s.answer(t, response)
		return
	}
	s.change(g, s.fencing(g, gone...), nil).answers(t, r, response)
}
