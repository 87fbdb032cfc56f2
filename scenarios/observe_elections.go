package scenarios

import (
	"slices"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A parting is an unclean election that is not over: two brokers may act as leaders.
type parting struct {
	epoch kafka.LeaderEpoch
	at    kafka.Offset // up to where the new leader has what the old one has
}

// checkElection compares who leads now with who led last, and has the election
// marked in the history: who judges it must know in which partitions, and what an
// unclean one may have taken.
func (o *clusterObserver) checkElection(s *subject, d decision) {
	old := &s.decided
	first := s.led == meta.NoLeader
	if d.Leader == meta.NoLeader || d.LeaderEpoch == old.LeaderEpoch && !first {
		return
	}
	last := s.led
	s.led = d.Leader
	switch {
	case first:
		return
	case last == d.Leader && d.LeaderEpoch == old.LeaderEpoch+1:
		return
	}
	o.note(history.Election, s.place, kafka.NoOffset, d.Leader)
	if !o.promised.Unclean || has(old.ISR, d.Leader) || has(old.ELR, d.Leader) {
		return
	}
	// What the others had is gone, as promised.
	s.since, s.exposed, s.tipAt = d.LeaderEpoch, 0, 0
	s.partings = append(s.partings, parting{d.LeaderEpoch, o.common(s.place, last, d.Leader)})
}

func (o *clusterObserver) note(kind history.MarkKind, p place, at kafka.Offset, leader kafka.NodeID) {
	if o.mark != nil {
		o.mark(kind, p, at, leader)
	}
}

// common returns up to where two nodes have the same log; 0 if one of the logs
// cannot be read.
func (o *clusterObserver) common(p place, a, b kafka.NodeID) kafka.Offset {
	var copies []*logCopy
	for _, id := range []kafka.NodeID{a, b} {
		w := o.window(id)
		if w == nil || w.copyOf == nil || o.isExcused(w) {
			return 0
		}
		w.refresh()
		copies = append(copies, w.copy(p))
	}
	if at := differ(copies[0], copies[1]); at != kafka.NoOffset {
		return at
	}
	return copies[0].end()
}

// settle marks the unclean elections that are over: the elected leads, and nobody
// in an older epoch.
func (o *clusterObserver) settle(s *subject) {
	s.partings = slices.DeleteFunc(s.partings, func(p parting) bool {
		led := false
		for _, w := range o.windows {
			v, lives := w.lives[s.place]
			switch {
			case !lives || v.Role != leadingReplica:
			case v.LeaderEpoch < p.epoch:
				return false
			default:
				led = true
			}
		}
		if led {
			o.note(history.UncleanLeader, s.place, p.at, s.led)
		}
		return led
	})
}
