package group

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A group is what is known under one group id: offsets, and the members of one of
// the protocols, or none.
type group struct {
	id       string
	classic  classic
	consumer *consumer // nil: not a group of KIP-848
	offsets  table[string, *topicOffsets]

	recorded bool    // the log has a record of the group itself
	flying   int     // appends on their way
	changing *flight // the one of them that changes the members
	queue    []waiting
	ripe     []*timer // due, but the group was changing
	chores   []chore  // the shard's own, before all that arrive later
	patience timer    // of the first in the queue
}

// group returns the group of an id, and makes it if it is not there.
func (s *Shard) group(id string) *group {
	if g := s.groups.get(id); g != nil {
		return g
	}
	g := &group{id: id}
	g.patience = timer{group: g, fire: func() { s.tired(g) }}
	g.classic.init(s, g)
	s.groups.put(id, g)
	return g
}

// ready reports whether what arrives now can be decided now.
func (g *group) ready(n need) bool {
	return n == nothing || len(g.queue)+len(g.chores) == 0 && g.idle(n)
}

// idle reports whether what a decision reads is not about to change.
func (g *group) idle(n need) bool {
	switch n {
	case members:
		return g.changing == nil
	case offsets:
		return g.flying == 0
	}
	return true
}

// vacant reports whether the group has no members of either protocol.
func (g *group) vacant() bool {
	return g.classic.empty() && (g.consumer == nil || g.consumer.members.len() == 0)
}

// tidy forgets a group that is nothing any more.
func (s *Shard) tidy(g *group) {
	if g.recorded || g.consumer != nil || g.flying > 0 || len(g.queue)+len(g.chores) > 0 || g.offsets.len() > 0 || !g.classic.empty() {
		return
	}
	if s.groups.get(g.id) == g {
		s.timers.disarm(&g.patience)
		g.classic.stop(s)
		s.groups.drop(g.id)
	}
}

// Replay has a committed record take effect. It fails if the record is malformed. A
// kind of record that is not known is skipped, and counted.
func (s *Shard) Replay(r machine.Record, at kafka.Timestamp) error {
	k, known, err := decodeKey(r.Key)
	if err != nil {
		return err
	}
	if !known {
		s.stats.Skipped++
		return nil
	}
	if err := s.apply(k, r.Value, at); err != nil {
		return fmt.Errorf("%v at %d: %w", k, at, err)
	}
	return nil
}

func (s *Shard) apply(k key, value []byte, at kafka.Timestamp) error {
	switch k.kind {
	case offsetKind, offsetKindOld:
		return s.applyOffset(k, value)
	case classicKind:
		s.moves++
		return s.applyGeneration(k, value)
	case consumerEpochKind, consumerMemberKind, targetEpochKind, targetMemberKind, currentMemberKind:
		s.moves++
		return s.applyConsumer(k, value, at)
	}
	s.stats.Skipped++
	return nil
}

// Loaded ends the replay. Every member has its whole session before it, whatever it
// had left before the coordinator moved, and no offset expires before a whole
// interval between checks has passed.
func (s *Shard) Loaded(at machine.Moment) {
	s.at = at
	s.loading = false
	for _, g := range s.groups.all() {
		g.classic.loaded(s, g)
		if g.consumer != nil {
			s.consumerLoaded(g)
			s.maybeDowngrade(g)
		}
		s.tidy(g)
	}
	s.expiry.fire = s.checkRetention
	s.timers.arm(&s.expiry, at.Now.Add(s.settings.Limits().RetentionCheck))
}
