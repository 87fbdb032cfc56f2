package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// consumer is the members of a group that speak ConsumerGroupHeartbeat (KIP-848).
//
// The group has an epoch, which rises when its members or their topics change; a
// target, which says who shall have what in an epoch; and each member is on its own
// way to its target. Nobody stops for the others but for what they have to hand over.
//
// Invariants:
//
//  1. Everything here is what the committed records say. Timers apart, nothing is
//     lost with the coordinator.
//  2. A partition that a member was assigned, or is to revoke, is no other member's.
//  3. target <= epoch, and a member's epoch <= target.
type consumer struct {
	epoch   int32
	hash    int64 // of the topics, when the epoch began
	target  int32 // the epoch that the target is of
	since   kafka.Timestamp
	members table[string, *consumerMember]
	static  map[string]string // instance id to member id
	owners  map[place]string  // what is assigned or to be revoked, to member ids
	reads   map[string]int    // topic names to how many members subscribe to them
	matches map[string]int    // patterns, likewise

	classics int            // members that speak the classic protocol
	offers   map[string]int // by how many of them a classic protocol is offered

	seen uint64 // the state of the metadata that hash was compared with, and is that of

	resolved   map[string][]string // patterns to topics
	resolvedAt uint64              // in this state of the metadata
}

// A consumerMember is a member of a group of KIP-848.
type consumerMember struct {
	id string
	enrolment
	progress
	goal places // its target

	silence timer // until it is lost
	revoke  timer // until it has to have let go
	awaited timer // of the classic protocol: until it has to have joined, or asked for its assignment
	same    *ConsumerHeartbeatResponse
	said    places // what it said last that it owns, since it was told where it is
	hasSaid bool
	told    bool // where it is, in answer to all that it had to say
}

// reconciled reports whether a member has what its target says, as of an epoch.
func (m *consumerMember) reconciled(target int32) bool {
	return m.state == settled && m.epoch == target
}

// state returns the state of a group of KIP-848, as Kafka spells it.
func (c *consumer) state() string {
	switch {
	case c.members.len() == 0:
		return "Empty"
	case c.epoch > c.target:
		return "Assigning"
	}
	for _, m := range c.members.all() {
		if !m.reconciled(c.target) {
			return "Reconciling"
		}
	}
	return "Stable"
}

// consumerGroup returns the group of KIP-848 of an id, and makes it if it is not there.
func (s *Shard) consumerGroup(id string) *group {
	g := s.group(id)
	if g.consumer == nil {
		g.consumer = newConsumer()
	}
	return g
}

func newConsumer() *consumer {
	return &consumer{
		since: kafka.NoTimestamp, static: map[string]string{}, owners: map[place]string{},
		reads: map[string]int{}, matches: map[string]int{}, offers: map[string]int{},
	}
}

// consumerMember returns a member, and makes it if it is not there: in a compacted
// log what follows from it may stand before it.
func (s *Shard) consumerMember(k key) (*group, *consumerMember) {
	g := s.consumerGroup(k.group)
	m := g.consumer.members.get(k.member)
	if m == nil {
		m = &consumerMember{id: k.member}
		m.silence = timer{group: g, fire: func() { s.consumerSilent(g, m) }}
		m.revoke = timer{group: g, fire: func() { s.consumerSilent(g, m) }}
		m.awaited = timer{group: g, fire: func() { s.tardy(g, m) }}
		g.consumer.members.put(k.member, m)
		if !s.loading {
			s.consumerAlive(g, m)
		}
	}
	return g, m
}

// applyConsumer has a record of KIP-848 take effect.
func (s *Shard) applyConsumer(k key, value []byte, at kafka.Timestamp) error {
	if value == nil {
		if g := s.groups.get(k.group); g != nil && g.consumer != nil {
			s.removeConsumer(g, k)
		}
		return nil
	}
	switch k.kind {
	case consumerEpochKind:
		v, err := decodeEpoch(value)
		if err != nil {
			return err
		}
		c := s.consumerGroup(k.group).consumer
		c.epoch, c.hash, c.since = v.epoch, v.hash, at
		return nil
	case targetEpochKind:
		epoch, err := decodeTarget(value)
		if err != nil {
			return err
		}
		s.consumerGroup(k.group).consumer.target = epoch
		return nil
	}
	return s.applyMember(k, value)
}

// applyMember has a record of one member take effect.
func (s *Shard) applyMember(k key, value []byte) error {
	switch k.kind {
	case consumerMemberKind:
		v, err := decodeEnrolment(value)
		if err != nil {
			return err
		}
		g, m := s.consumerMember(k)
		g.consumer.enrol(m, v)
		if !s.loading {
			s.consumerAlive(g, m) // its session may be another now
		}
	case targetMemberKind:
		goal, err := decodePlaces(value)
		if err != nil {
			return err
		}
		_, m := s.consumerMember(k)
		m.goal = goal
	case currentMemberKind:
		v, err := decodeProgress(value)
		if err != nil {
			return err
		}
		g, m := s.consumerMember(k)
		g.consumer.move(m, v)
		s.watchRevoking(g, m)
	}
	return nil
}

// removeConsumer has a tombstone take effect.
func (s *Shard) removeConsumer(g *group, k key) {
	c := g.consumer
	m := c.members.get(k.member)
	switch {
	case k.kind == consumerEpochKind:
		for _, m := range c.members.all() {
			s.stopWatching(m)
		}
		g.consumer = nil
	case k.kind == targetEpochKind:
		c.target = 0
	case m == nil:
	case k.kind == consumerMemberKind:
		c.enrol(m, enrolment{})
		c.move(m, progress{})
		s.stopWatching(m)
		c.members.drop(m.id)
	case k.kind == targetMemberKind:
		m.goal = nil
	case k.kind == currentMemberKind:
		c.move(m, progress{})
		s.watchRevoking(g, m)
	}
}

// stopWatching disarms the timers of a member that is none any more.
func (s *Shard) stopWatching(m *consumerMember) {
	for _, t := range []*timer{&m.silence, &m.revoke, &m.awaited} {
		s.timers.disarm(t)
	}
}

// enrol takes over who a member is.
func (c *consumer) enrol(m *consumerMember, v enrolment) {
	c.subscribe(&m.enrolment, -1)
	if c.static[m.instance] == m.id {
		delete(c.static, m.instance)
	}
	m.enrolment = v
	m.same = nil
	c.subscribe(&m.enrolment, +1)
	if m.instance != "" {
		c.static[m.instance] = m.id
	}
}

// subscribe counts what a member reads, and what it offers.
func (c *consumer) subscribe(e *enrolment, n int) {
	if e.classic != nil {
		c.classics += n
		for i := range e.classic.protocols {
			name := e.classic.protocols[i].Name
			if c.offers[name] += n; c.offers[name] == 0 {
				delete(c.offers, name)
			}
		}
	}
	for _, t := range e.topics {
		if c.reads[t] += n; c.reads[t] == 0 {
			delete(c.reads, t)
		}
	}
	if e.regex != "" {
		if c.matches[e.regex] += n; c.matches[e.regex] == 0 {
			delete(c.matches, e.regex)
		}
	}
}

// move takes over how far a member has come.
func (c *consumer) move(m *consumerMember, v progress) {
	for _, held := range []places{m.assigned, m.revoking} {
		for _, p := range held {
			if c.owners[p] == m.id {
				delete(c.owners, p)
			}
		}
	}
	m.progress = v
	m.same, m.told, m.said, m.hasSaid = nil, false, nil, false
	for _, held := range []places{m.assigned, m.revoking} {
		for _, p := range held {
			c.owners[p] = m.id
		}
	}
}

// watchRevoking gives a member its rebalance time-out to let go of what it is to
// revoke.
func (s *Shard) watchRevoking(g *group, m *consumerMember) {
	if m.state != unrevoked {
		s.timers.disarm(&m.revoke)
		return
	}
	if !s.loading {
		s.timers.disarm(&m.revoke)
		s.timers.arm(&m.revoke, s.at.Now.Add(max(m.rebalance, shortest)))
	}
}

// consumerAlive gives a member its session anew: the group's, or of the classic
// protocol the one that it has asked for.
func (s *Shard) consumerAlive(g *group, m *consumerMember) {
	session := s.settings.Consumer(g.id).Session
	if m.classic != nil {
		session = m.classic.session
	}
	s.timers.arm(&m.silence, s.at.Now.Add(max(session, time.Millisecond)))
}

// consumerSilent is that a member was silent for its session, or did not let go in
// time: it is fenced, and what it had is free.
func (s *Shard) consumerSilent(g *group, m *consumerMember) {
	if g.consumer == nil || g.consumer.members.get(m.id) != m {
		return
	}
	s.stats.Sessions++
	s.change(g, s.fencing(g, m), nil)
	// If the log refuses it is tried again after another session.
	s.consumerAlive(g, m)
	s.watchRevoking(g, m)
}

// fencing returns the records that take members out and have the others get what
// they had.
func (s *Shard) fencing(g *group, gone ...*consumerMember) (out []machine.Record) {
	c := g.consumer
	for _, m := range gone {
		out = append(out, goneMember(g.id, m.id)...)
		c.subscribe(&m.enrolment, -1)
	}
	v := epochValue{epoch: c.epoch + 1, hash: s.topicsHash(c, nil, nil)}
	for _, m := range gone {
		c.subscribe(&m.enrolment, +1) // until the records are committed they are here
	}
	return append(out, machine.Record{Key: key{kind: consumerEpochKind, group: g.id}.encode(), Value: v.encode()})
}

// goneMember returns the tombstones of a member.
func goneMember(group, member string) (out []machine.Record) {
	for _, k := range []kind{currentMemberKind, targetMemberKind, consumerMemberKind} {
		out = append(out, tombstone(key{kind: k, group: group, member: member}))
	}
	return out
}

// goneConsumer returns the tombstones of a group of KIP-848 that has no members.
func goneConsumer(group string) []machine.Record {
	return []machine.Record{
		tombstone(key{kind: targetEpochKind, group: group}),
		tombstone(key{kind: consumerEpochKind, group: group}),
	}
}

// consumerLoaded arms the timers.
func (s *Shard) consumerLoaded(g *group) {
	for _, m := range g.consumer.members.all() {
		s.consumerAlive(g, m)
		s.watchRevoking(g, m)
	}
}

// check returns the first broken invariant.
func (c *consumer) check() error {
	held, classics := 0, 0
	for id, m := range c.members.all() {
		for _, p := range slices.Concat(m.assigned, m.revoking) {
			held++
			if c.owners[p] != id {
				return fmt.Errorf("partition %d of topic %v is member %s's and member %s's", p.partition, p.topic, id, c.owners[p])
			}
		}
		if m.epoch > c.target {
			return fmt.Errorf("member %s is in epoch %d, the target in %d", id, m.epoch, c.target)
		}
		if !m.silence.set() && !m.silence.ripe {
			return fmt.Errorf("member %s may be silent for ever", id)
		}
		if m.classic != nil {
			classics++
		}
	}
	switch {
	case classics != c.classics:
		return fmt.Errorf("%d members speak the classic protocol, %d counted", classics, c.classics)
	case held != len(c.owners):
		return fmt.Errorf("%d partitions are held, %d have owners", held, len(c.owners))
	case c.target > c.epoch:
		return fmt.Errorf("the target is of epoch %d, the group in %d", c.target, c.epoch)
	}
	return nil
}
