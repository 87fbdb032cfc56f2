package group

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// ConsumerDescribe tells who is in a group of KIP-848. Answered at once, with a
// ConsumerDescribeResponse.
func (s *Shard) ConsumerDescribe(at machine.Moment, t machine.Ticket, r ConsumerDescribeRequest) {
	s.at = at
	s.enter(t, r)
}

func (s *Shard) describeConsumer(t machine.Ticket, r ConsumerDescribeRequest) {
	g := s.groups.get(r.Group)
	if g == nil || g.consumer == nil {
		s.answer(t, r.failed(kafka.ErrGroupIDNotFound))
		return
	}
	c := g.consumer
	out := ConsumerDescribeResponse{Group: g.id, State: c.state(), Epoch: c.epoch, AssignmentEpoch: c.target, Members: []ConsumerMember{}}
	var all []*consumerMember
	for _, m := range c.members.all() {
		speaks := TypeConsumer
		if m.classic != nil {
			speaks = TypeClassic
		}
		all = append(all, m)
		out.Members = append(out.Members, ConsumerMember{
			ID: m.id, Instance: m.instance, Rack: m.rack, Epoch: m.epoch, Client: m.client, Topics: m.topics, Regex: m.regex,
			Assigned: m.assigned.topics(), Target: m.goal.topics(), Type: speaks,
		})
	}
	out.Assignor = s.preferredName(s.settings.Limits().Assignors, all)
	s.answer(t, out)
}

// mayCommit says whether who commits is a member in the epoch it says.
func (c *consumer) mayCommit(r CommitRequest) kafka.Error {
	if r.Generation < 0 && c.members.len() == 0 {
		return kafka.None
	}
	m := c.members.get(r.Member)
	switch {
	case m == nil:
		return kafka.ErrUnknownMemberID
	case m.classic != nil:
		return m.mayCommitAs(r.Generation)
	case r.Version < 9:
		return kafka.ErrUnsupportedVersion // older clients do not know what an epoch is
	case int32(r.Generation) != m.epoch:
		return kafka.ErrStaleMemberEpoch
	}
	return kafka.None
}

// mayCommitAs says whether a member of the classic protocol may commit. One that was
// taken a step on, and has not heard of it, is to join again and loses nothing.
func (m *consumerMember) mayCommitAs(generation Generation) kafka.Error {
	switch int32(generation) {
	case m.epoch:
		return kafka.None
	case m.previous:
		return kafka.ErrRebalanceInProgress
	}
	return kafka.ErrIllegalGeneration
}

// mayFetch says whether who asks for offsets as a member is one.
func (c *consumer) mayFetch(r FetchOffsetsRequest) kafka.Error {
	if r.Member == "" && r.Generation < 0 {
		return kafka.None
	}
	m := c.members.get(r.Member)
	switch {
	case m == nil:
		return kafka.ErrUnknownMemberID
	case int32(r.Generation) != m.epoch:
		return kafka.ErrStaleMemberEpoch
	}
	return kafka.None
}

// subscribed reports whether a member reads a topic, by its name or a pattern.
func (c *consumer) subscribed(topic string) bool {
	if c.reads[topic] > 0 {
		return true
	}
	for pattern := range c.matches { //klamm:unordered any of them decides
		if re, err := compile(pattern); err == nil && re.MatchString(topic) {
			return true
		}
	}
	return false
}

// joinInstead is a member of the classic protocol that joins a group of KIP-848. If
// nobody is left there, the group becomes a classic one.
func (s *Shard) joinInstead(t machine.Ticket, r JoinRequest, g *group) {
	if !g.vacant() {
		s.joinInside(t, r, g)
		return
	}
	next := generation{protocolType: consumerType, number: Generation(g.consumer.epoch), since: g.consumer.since}
	s.change(g, append(goneConsumer(g.id), g.classic.record(g, next)...), &conversion{ticket: t, r: r, next: next})
}

// A conversion is a join that waits for the group to be one that it can join. Its
// generations go on where the epochs ended.
type conversion struct {
	ticket machine.Ticket
	r      JoinRequest
	next   generation
}

func (c *conversion) committed(s *Shard, g *group) {
	g.classic.install(s, g, &c.next)
	if c.ticket != 0 {
		s.join(c.ticket, c.r)
	}
}

func (c *conversion) refused(s *Shard, g *group, code kafka.Error) {
	s.answer(c.ticket, c.r.failed(code))
	c.ticket = 0
}

func (c *conversion) late(s *Shard, g *group) { c.refused(s, g, kafka.ErrRequestTimedOut) }
