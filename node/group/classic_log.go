package group

import (
	"fmt"

	"github.com/klammlog/klamm/node/machine"
)

// recorded returns the generation as the log is to know it.
func (c *classic) recorded() generation {
	g := generation{
		protocolType: c.protocolType, protocol: c.protocol, number: c.generation,
		leader: c.leader, since: c.since,
		members: make([]recordedMember, 0, c.members.len()),
	}
	for _, m := range c.members.all() {
		g.members = append(g.members, recordedMember{
			id: m.id, instance: m.instance, client: m.client, rebalance: m.rebalance, session: m.session,
			subscription: m.metadata(c.protocol), assignment: m.assignment,
		})
	}
	return g
}

// record makes the record of a generation.
func (c *classic) record(g *group, next generation) []machine.Record {
	return []machine.Record{{Key: key{kind: classicKind, group: g.id}.encode(), Value: next.encode()}}
}

// applyGeneration takes over what the log says. While the shard loads, that is all
// there is. Later only what this shard decided itself is committed, and its members
// are here with all that waits for them: the decision goes on with them.
func (s *Shard) applyGeneration(k key, value []byte) error {
	if value == nil {
		if g := s.groups.get(k.group); g != nil {
			g.classic.dissolve(s)
			g.classic = classic{}
			g.classic.init(s, g)
			g.recorded = false
		}
		return nil
	}
	next, err := decodeGeneration(value)
	if err != nil {
		return err
	}
	if err := next.check(); err != nil {
		return err
	}
	g := s.group(k.group)
	g.recorded = true
	g.classic.since = next.since
	if s.loading {
		g.classic.install(s, g, &next)
	}
	return nil
}

// check says what is wrong with a generation that nobody can have written.
func (g *generation) check() error {
	ids, instances := map[string]bool{}, map[string]bool{}
	for i := range g.members {
		m := &g.members[i]
		if m.id == "" || ids[m.id] || m.instance != "" && instances[m.instance] {
			return fmt.Errorf("member %q with instance id %q: %w", m.id, m.instance, errMalformed)
		}
		ids[m.id], instances[m.instance] = true, true
	}
	if len(g.members) > 0 && g.protocol == "" {
		return fmt.Errorf("%d members without a protocol: %w", len(g.members), errMalformed)
	}
	return nil
}

// install makes a group what the log says it is.
func (c *classic) install(s *Shard, g *group, next *generation) {
	*c = classic{
		protocolType: next.protocolType, protocol: next.protocol, generation: next.number,
		leader: next.leader, since: next.since,
	}
	c.init(s, g)
	c.since = next.since
	for i := range next.members {
		r := &next.members[i]
		c.add(s, g, &member{
			id: r.id, instance: r.instance, client: r.client, session: r.session, rebalance: r.rebalance,
			protocols: []Protocol{{Name: next.protocol, Metadata: r.subscription}}, assignment: r.assignment,
		})
		c.state = stable
	}
	c.handed = next.leader == "" && len(next.members) > 0
	if !c.members.has(c.leader) {
		c.leader = ""
		for id := range c.members.all() {
			c.leader = id
			break
		}
	}
	c.learn()
}

// loaded gives every member its session, and has a group rebalance that is too large
// now, or that was one of KIP-848: its members have what the coordinator gave them.
func (c *classic) loaded(s *Shard, g *group) {
	for _, m := range c.members.all() {
		c.alive(s, m)
	}
	if c.state == stable && (c.handed || c.members.len() > s.settings.Limits().MaxSize) {
		c.handed = false
		s.prepare(g)
	}
}
