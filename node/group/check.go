package group

import "fmt"

// Check returns the first broken invariant. While the shard loads there are none.
func (s *Shard) Check() error {
	if s.loading {
		return nil
	}
	flying := map[*group]int{}
	for i, f := range s.flights.queue {
		flying[f.group]++
		if i > 0 && f.id <= s.flights.queue[i-1].id {
			return fmt.Errorf("append %d is on its way behind append %d", f.id, s.flights.queue[i-1].id)
		}
		if c := f.group.changing; c != nil && c.id < f.id {
			return fmt.Errorf("group %s: append %d was decided while append %d changes its members", f.group.id, f.id, c.id)
		}
	}
	for id, g := range s.groups.all() {
		if g.flying != flying[g] {
			return fmt.Errorf("group %s counts %d appends on their way, there are %d", id, g.flying, flying[g])
		}
		if err := g.check(); err != nil {
			return fmt.Errorf("group %s: %w", id, err)
		}
		if err := g.classic.check(); err != nil {
			return fmt.Errorf("group %s, generation %d, %s: %w", id, g.classic.generation, g.classic.state, err)
		}
		if g.consumer != nil {
			if err := g.consumer.check(); err != nil {
				return fmt.Errorf("group %s, epoch %d: %w", id, g.consumer.epoch, err)
			}
		}
	}
	return nil
}

func (g *group) check() error {
	switch {
	case g.changing != nil && g.flying == 0:
		return fmt.Errorf("it changes with nothing on its way")
	case len(g.chores) > 0 && g.flying == 0:
		return fmt.Errorf("%d chores wait for nothing", len(g.chores))
	case len(g.queue) > 0 && len(g.chores) == 0 && g.idle(g.queue[0].request.needs()):
		return fmt.Errorf("%d requests wait for nothing", len(g.queue))
	case len(g.ripe) > 0 && g.changing == nil:
		return fmt.Errorf("%d timers wait for nothing", len(g.ripe))
	}
	return nil
}

func (c *classic) check() error {
	joining, unsynced := 0, 0
	for id, m := range c.members.all() {
		if m.join != 0 {
			joining++
		}
		if m.unsynced {
			unsynced++
		}
		switch {
		case m.instance != "" && c.static[m.instance] != id:
			return fmt.Errorf("member %s is not the holder of its instance id %s", id, m.instance)
		case m.join != 0 && c.state != preparing:
			return fmt.Errorf("member %s waits for a rebalance that there is not", id)
		case m.join == 0 && m.sync == 0 && !m.silence.set() && !m.silence.ripe:
			return fmt.Errorf("member %s may be silent for ever", id)
		case m.sync != 0 && c.state != completing:
			return fmt.Errorf("member %s waits for an assignment that nobody makes", id)
		}
	}
	switch {
	case joining != c.joining || unsynced != c.unsynced:
		return fmt.Errorf("%d members join, %d counted; %d have not synced, %d counted", joining, c.joining, unsynced, c.unsynced)
	case (c.members.len() == 0) != (c.leader == ""):
		return fmt.Errorf("%d members led by %q", c.members.len(), c.leader)
	case c.leader != "" && !c.members.has(c.leader):
		return fmt.Errorf("its leader %s is not a member", c.leader)
	case c.state == empty && c.members.len() > 0:
		return fmt.Errorf("it is empty with %d members", c.members.len())
	case c.state != empty && c.state != preparing && c.members.len() == 0:
		return fmt.Errorf("it has no members")
	case c.unsynced > 0 && !c.syncing.set() && !c.syncing.ripe:
		return fmt.Errorf("nobody waits for %d members to sync", c.unsynced)
	case c.state == preparing && !c.join.set() && !c.join.ripe:
		return fmt.Errorf("it waits for members for ever")
	}
	return nil
}
