package client

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A handover is what the group has decided about partitions, for Poll to carry out.
type handover struct {
	kind       handoverKind
	generation int32                  // in which it was decided
	membership int                    // and which membership that is of
	partitions []kafka.TopicPartition // sorted; nil: all that Poll has by then
	places     []Place                // of those assigned: where their committed offsets are
}

type handoverKind uint8

const (
	assigned handoverKind = iota
	revoked               // still the member's until it says that it has let go
	lost                  // another's already
)

// hand gives Poll something to carry out. Partitions of which none are concerned are
// not worth it.
func (m *GroupConsumer) hand(kind handoverKind, partitions []kafka.TopicPartition, places []Place) {
	if len(partitions) == 0 {
		return
	}
	m.handovers = append(m.handovers, handover{kind: kind, generation: m.generation, membership: m.membership, partitions: partitions, places: places})
	m.reader.news.Broadcast()
}

// letGo has Poll give up all that it has when it comes to it: what is on its way to it
// now is among that.
func (m *GroupConsumer) letGo(kind handoverKind) {
	if len(m.owned) == 0 && !m.busy() {
		return
	}
	m.handovers = append(m.handovers, handover{kind: kind, generation: m.generation, membership: m.membership})
	m.reader.news.Broadcast()
}

// carryOut does what is to be done between records. Blocks where callbacks do.
func (m *GroupConsumer) carryOut() error {
	for len(m.handovers) > 0 && !m.closed {
		h := m.handovers[0]
		m.handovers = m.handovers[1:]
		if h.partitions == nil {
			h.partitions = slices.Clone(m.owned)
		}
		m.handing, m.carrying = h.generation, true
		if h.kind == assigned {
			m.taking = h.partitions
		}
		var err error
		switch {
		case len(h.partitions) == 0:
		case h.kind == assigned:
			err = m.takeOver(h)
		case h.kind == revoked:
			m.giveBack(h)
		case h.kind == lost:
			m.lose(h)
		}
		m.carrying, m.taking = false, nil
		m.wake.Broadcast()
		if err != nil {
			return err
		}
	}
	return nil
}

// busy reports whether Poll has something to carry out, or is at it.
func (m *GroupConsumer) busy() bool { return len(m.handovers) > 0 || m.carrying }

// has returns what the member owns and what is on its way to Poll, sorted: nobody else may
// have that, for nothing holds Poll back from taking it over.
func (m *GroupConsumer) has() []kafka.TopicPartition {
	out := union(m.owned, m.taking)
	for _, h := range m.handovers {
		if h.kind == assigned {
			out = union(out, h.partitions)
		}
	}
	return out
}

// takeOver begins to read partitions. Blocks.
func (m *GroupConsumer) takeOver(h handover) error {
	places, err := m.begin(h)
	if err != nil {
		// Without knowing where to begin nothing is read: the member gives up.
		m.over = fmt.Errorf("member of group %s: where to begin: %w", m.c.Group, err)
		return m.over
	}
	if h.membership != m.membership {
		// Second look: while it was asked where to begin the group has gone on without
		// this member.
		m.w.Probe("a member was fenced while it took partitions over")
		return nil
	}
	m.reader.Add(places...)
	m.owned = union(m.owned, h.partitions)
	m.stats.Assigned += uint64(len(h.partitions))
	if m.c.OnAssigned != nil {
		m.c.OnAssigned(slices.Clone(h.partitions))
	}
	return nil
}

// begin returns where to begin with partitions that have come: where From says, or
// where the group has committed. Blocks where From does.
func (m *GroupConsumer) begin(h handover) ([]Place, error) {
	var own []Place
	if m.c.From != nil {
		var err error
		if own, err = m.c.From(slices.Clone(h.partitions)); err != nil {
			return nil, err
		}
	}
	var out []Place
	for _, tp := range h.partitions {
		of := func(p Place) bool { return p.Partition == tp }
		i, k := slices.IndexFunc(own, of), slices.IndexFunc(h.places, of)
		switch {
		case i >= 0:
			out = append(out, own[i])
		case k >= 0:
			out = append(out, h.places[k])
		default:
			return nil, fmt.Errorf("%s: %w", tp, ErrNoOffset)
		}
	}
	return out, nil
}

// giveBack commits what was processed, with auto-commit, and stops reading.
// Blocks.
func (m *GroupConsumer) giveBack(h handover) {
	if m.c.AutoCommit > 0 {
		if err := m.commitProcessed(h.partitions, m.w.Now().Add(m.client.c.RequestTimeout)); err != nil {
			m.w.Log.Warn("offsets were not committed before partitions were given back", "group", m.c.Group, "err", err)
		}
	}
	m.stats.Revoked += uint64(len(h.partitions))
	if m.c.OnRevoked != nil {
		m.c.OnRevoked(slices.Clone(h.partitions))
	}
	m.stop(h.partitions)
}

// lose stops reading what is another's.
func (m *GroupConsumer) lose(h handover) {
	m.w.Probe("a member lost its partitions")
	m.stats.Lost += uint64(len(h.partitions))
	m.stop(h.partitions)
	switch {
	case m.c.OnLost != nil:
		m.c.OnLost(slices.Clone(h.partitions))
	case m.c.OnRevoked != nil:
		m.c.OnRevoked(slices.Clone(h.partitions))
	}
}

func (m *GroupConsumer) stop(partitions []kafka.TopicPartition) {
	m.reader.Drop(partitions...)
	m.owned = minus(m.owned, partitions)
	for _, tp := range partitions {
		delete(m.processed, tp)
	}
}

// union and minus are of sorted partitions.
func union(a, b []kafka.TopicPartition) []kafka.TopicPartition {
	out := slices.Concat(a, b)
	slices.SortFunc(out, comparePartitions)
	return slices.Compact(out)
}

func minus(a, b []kafka.TopicPartition) []kafka.TopicPartition {
	var out []kafka.TopicPartition
	for _, tp := range a {
		if _, found := slices.BinarySearchFunc(b, tp, comparePartitions); !found {
			out = append(out, tp)
		}
	}
	return out
}
