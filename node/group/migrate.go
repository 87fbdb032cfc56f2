package group

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A Migration is which groups with members become groups of the other protocol
// (group.consumer.migration.policy). Groups without members always may.
type Migration uint8

// The directions.
const (
	Upgrade   Migration = 1 << iota // a classic group, when a member of KIP-848 joins it
	Downgrade                       // a group of KIP-848, when only members of the classic protocol are left
)

func (m Migration) String() string {
	switch m {
	case 0:
		return "disabled"
	case Upgrade:
		return "upgrade"
	case Downgrade:
		return "downgrade"
	}
	return "bidirectional"
}

// mayUpgrade says whether a member of KIP-848 may join a group with classic members.
func (s *Shard) mayUpgrade(g *group) (kafka.Error, string) {
	c := &g.classic
	switch {
	case c.members.len() == 0:
		return kafka.None, ""
	case s.settings.Limits().Migration&Upgrade == 0:
		return kafka.ErrGroupIDNotFound, "the group has members of the classic protocol, and group.consumer.migration.policy has it keep them"
	case c.protocolType != consumerType:
		return kafka.ErrGroupIDNotFound, "the group has members that are no consumers"
	case c.members.len() > s.settings.Consumer(g.id).MaxSize:
		return kafka.ErrGroupMaxSizeReached, "the group has more members than group.consumer.max.size"
	}
	return kafka.None, ""
}

// upgraded returns a classic group as one of KIP-848, with the records that make it
// one: its generation becomes the epoch, and every member has what it was assigned
// last, and what it came with and nobody was given: it may have it still. Of a partition
// that the leader gave to two the older member keeps it.
//
// Who has not been told of any generation has nothing to keep, and may not even know
// its id: it joins as who it is, and is not waited for.
func (s *Shard) upgraded(g *group) (*consumer, []machine.Record, error) {
	from, c := &g.classic, newConsumer()
	b := &beating{group: g.id, c: c}
	b.records = append(b.records, tombstone(key{kind: classicKind, group: g.id}))
	claims := map[string]places{}
	for _, old := range from.members.all() {
		if old.fresh {
			continue
		}
		claimed, err := s.upgradedMember(c, old, from.generation)
		if err != nil {
			return nil, nil, fmt.Errorf("member %s: %w", old.id, err)
		}
		claims[old.id] = claimed
	}
	for _, m := range c.members.all() {
		c.keep(m, c.free(claims[m.id]))
		b.put(key{kind: consumerMemberKind, member: m.id}, m.enrolment.encode())
	}
	c.epoch = int32(from.generation)
	if c.members.len() == 0 {
		return c, b.records, nil
	}
	c.target, c.hash = c.epoch, s.topicsHash(c, nil, nil)
	b.put(key{kind: consumerEpochKind}, epochValue{epoch: c.epoch, hash: c.hash}.encode())
	for _, m := range c.members.all() {
		b.put(key{kind: targetMemberKind, member: m.id}, encodePlaces(m.goal))
	}
	b.put(key{kind: targetEpochKind}, encodeTarget(c.target))
	for _, m := range c.members.all() {
		b.put(key{kind: currentMemberKind, member: m.id}, m.progress.encode())
	}
	return c, b.records, nil
}

// upgradedMember takes a classic member into a group of KIP-848, with what it was
// assigned, and returns what it has said that it owns.
func (s *Shard) upgradedMember(c *consumer, old *member, epoch Generation) (claimed places, err error) {
	said, err := decodeWish(old.protocols[0].Metadata)
	if err != nil {
		return nil, err
	}
	given, err := decodeGiven(old.assignment)
	if err != nil {
		return nil, err
	}
	m := &consumerMember{id: old.id, progress: progress{epoch: int32(epoch), previous: int32(epoch), state: settled}}
	c.members.put(m.id, m)
	c.enrol(m, enrolment{
		instance: old.instance, rack: said.rack, client: old.client, topics: said.topics, rebalance: max(old.rebalance, 0),
		classic: &classicSide{session: old.session, protocols: old.protocols},
	})
	c.keep(m, c.free(s.placesNamed(given)))
	m.goal = m.assigned
	return s.placesNamed(said.owned), nil
}

// free returns what is nobody's.
func (c *consumer) free(of places) (out places) {
	for _, p := range of {
		if _, taken := c.owners[p]; !taken {
			out = append(out, p)
		}
	}
	return out
}

// keep has a member keep more than it does.
func (c *consumer) keep(m *consumerMember, more places) {
	has := m.progress
	has.assigned = has.assigned.with(more)
	c.move(m, has)
}

// dissolve tells all who wait in a group that it is another now, and that they are to
// join again.
func (c *classic) dissolve(s *Shard) {
	for _, m := range c.members.all() {
		s.answerJoin(c, m, JoinResponse{Error: kafka.ErrRebalanceInProgress, Generation: NoGeneration, Member: m.id})
		s.answerSync(m, SyncResponse{Error: kafka.ErrRebalanceInProgress})
		s.timers.disarm(&m.silence)
	}
	for _, t := range c.pending.all() {
		s.timers.disarm(t)
	}
	c.stop(s)
}

// An upgrading is a heartbeat that makes a classic group one of KIP-848.
type upgrading struct{}

func (upgrading) committed(s *Shard, g *group)        { s.migrated(g, Upgrade) }
func (upgrading) refused(*Shard, *group, kafka.Error) {}
func (upgrading) late(*Shard, *group)                 {}
func (s *Shard) migrated(g *group, direction Migration) {
	if s.settings.Migrated != nil {
		s.settings.Migrated(g.id, direction)
	}
}

// maybeDowngrade makes a group of KIP-848 a classic one if only classic members are
// left, and they may. They join anew then. It waits until all of them are in the
// group's epoch: that is the generation then, and fences none of them from committing
// what it has done before it joins anew. Kafka does not wait.
func (s *Shard) maybeDowngrade(g *group) {
	c := g.consumer
	switch limits := s.settings.Limits(); {
	case c == nil || g.changing != nil || c.classics == 0 || c.classics < c.members.len():
		return
	case limits.Migration&Downgrade == 0 || c.classics > limits.MaxSize || !c.together():
		return
	}
	next, ok := s.downgraded(c)
	if !ok {
		return
	}
	var records []machine.Record
	then := &downgrading{next: next, protocols: map[string][]Protocol{}}
	for id, m := range c.members.all() {
		records = append(records, goneMember(g.id, id)...)
		then.protocols[id] = m.classic.protocols
	}
	records = append(records, goneConsumer(g.id)...)
	records = append(records, g.classic.record(g, next)...)
	s.change(g, records, then)
}

// together reports whether all members are in the group's epoch.
func (c *consumer) together() bool {
	for _, m := range c.members.all() {
		if m.epoch != c.epoch {
			return false
		}
	}
	return true
}

// downgraded returns a group of KIP-848 as the generation of a classic one: its epoch,
// in which all members are, is the generation, and they have what they have until they
// join again. That nobody leads tells who loads it that they are to.
func (s *Shard) downgraded(c *consumer) (next generation, ok bool) {
	common := &classic{}
	for id, m := range c.members.all() {
		one := &member{id: id, protocols: m.classic.protocols}
		common.members.put(id, one)
		common.count(one, +1)
	}
	if !common.agree() {
		return next, false
	}
	next = generation{protocolType: consumerType, protocol: common.elect(), number: Generation(c.epoch), since: s.at.Wall}
	for id, m := range c.members.all() {
		next.members = append(next.members, recordedMember{
			id: id, instance: m.instance, client: m.client, rebalance: m.rebalance, session: m.classic.session,
			subscription: common.members.get(id).metadata(next.protocol), assignment: s.given(m),
		})
	}
	return next, true
}

// agree reports whether the members have a protocol in common.
func (c *classic) agree() bool {
	for _, n := range c.supports { //klamm:unordered any of them decides
		if n == c.members.len() {
			return true
		}
	}
	return false
}

// A downgrading is a group of KIP-848 that becomes a classic one. The log has one
// protocol of each member; they have more.
type downgrading struct {
	next      generation
	protocols map[string][]Protocol
}

func (d *downgrading) committed(s *Shard, g *group) {
	c := &g.classic
	c.install(s, g, &d.next)
	for id, m := range c.members.all() {
		c.count(m, -1)
		m.protocols = d.protocols[id]
		c.count(m, +1)
	}
	c.loaded(s, g)
	s.migrated(g, Downgrade)
}

func (*downgrading) refused(*Shard, *group, kafka.Error) {}
func (*downgrading) late(*Shard, *group)                 {}
