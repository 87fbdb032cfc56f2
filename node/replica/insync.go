package replica

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// Limits say when a follower is no longer in sync.
type Limits struct {
	// Time is replica.lag.time.max.ms: how long a follower may be without
	// everything that the leader has.
	Time time.Duration

	// Messages is replica.lag.max.messages: how many records a follower may be
	// behind; 0 is no limit. Kafka gave it up (KIP-16): one large append puts every
	// healthy follower out of a set with a small limit, and with a large one a
	// follower that stands still stays in for as long as little is written.
	Messages int64

	// Session is broker.session.timeout.ms: for how long from the beginning of a
	// leadership on somebody may be sure to lead who led before. A member that has not
	// fetched in this leadership stays for that time, so that nothing is committed
	// behind its back.
	Session time.Duration
}

// A Member is a replica. One that is to be let in has the epoch of its broker as the
// leader saw it in its fetches (KIP-903); one that stays, or the leader, NoEpoch.
type Member struct {
	ID    kafka.NodeID
	Epoch int64
}

// A Proposal is the in-sync set that the leader asks the controller for.
type Proposal struct {
	LeaderEpoch    kafka.LeaderEpoch
	PartitionEpoch int32 // it holds for this one only
	ISR            []Member
}

// Propose returns what to ask the controller for, if the in-sync set is not as it
// should be and nothing is under way. From then on the leader acts on the larger
// set. eligible says whether the controller would take a replica in: its broker
// is registered with that epoch, not fenced and not shutting down (KIP-841).
//
// An earlier proposal whose outcome is not known is asked for again first, as it
// was.
func (l *Leader) Propose(limits Limits, now kafka.Instant, eligible func(Member) bool) (Proposal, bool) {
	if l.inFlight {
		return Proposal{}, false
	}
	if l.pending == nil {
		wish := l.wish(limits, now, eligible)
		if len(wish) == len(l.state.ISR) && wish[len(wish)-1].ID == l.state.ISR[len(wish)-1] {
			return Proposal{}, false // who stays comes first: nobody left, nobody came
		}
		l.pending = wish
	}
	l.inFlight = true
	return Proposal{LeaderEpoch: l.epoch, PartitionEpoch: l.state.Epoch, ISR: l.pending}, true
}

// Wants reports whether Propose would have something to ask for. It changes
// nothing.
func (l *Leader) Wants(limits Limits, now kafka.Instant, eligible func(Member) bool) bool {
	if l.inFlight {
		return false
	}
	if l.pending != nil {
		return true
	}
	for i := range l.followers {
		f := &l.followers[i]
		if slices.Contains(l.state.ISR, f.id) != l.belongs(f, limits, now, eligible) {
			return true
		}
	}
	return false
}

// wish returns the set as it should be: first who was in and stays, in that order.
func (l *Leader) wish(limits Limits, now kafka.Instant, eligible func(Member) bool) []Member {
	var out []Member
	for _, id := range l.state.ISR {
		f := l.find(id)
		if f == nil || l.belongs(f, limits, now, eligible) {
			out = append(out, Member{ID: id, Epoch: NoEpoch})
		}
	}
	for i := range l.followers {
		f := &l.followers[i]
		if !slices.Contains(l.state.ISR, f.id) && l.belongs(f, limits, now, eligible) {
			out = append(out, Member{ID: f.id, Epoch: f.epoch})
		}
	}
	return out
}

// belongs reports whether a follower should be in the set. Who is in stays as long
// as it had everything not too long ago, or may not know yet who leads. Who is not has to have what is committed,
// and all that was there when the leader began, since that may be committed too. Who is to
// be removed, and can be, does not belong to it.
func (l *Leader) belongs(f *follower, limits Limits, now kafka.Instant, eligible func(Member) bool) bool {
	behind := f.held < l.own.Written
	late := behind && now.Sub(f.caught) > limits.Time
	late = late || limits.Messages > 0 && int64(l.own.Written-max(f.held, 0)) > limits.Messages
	removed := slices.Contains(l.state.Removing, f.id) && l.releases(limits, now)
	if slices.Contains(l.state.ISR, f.id) {
		return !removed && (!late || l.unaware(f, limits, now))
	}
	if late || removed {
		return false
	}
	return f.known && f.held >= l.high && f.held >= l.began && eligible(Member{ID: f.id, Epoch: f.epoch})
}

// unaware reports whether a follower may not know yet who leads.
func (l *Leader) unaware(f *follower, limits Limits, now kafka.Instant) bool {
	return f.epoch == NoEpoch && now.Sub(l.since) < limits.Session
}

// releases reports whether those that a reassignment removes may go, all at once: those
// that it adds are in sync, the leader stays, and every one in the set that is to go knows
// who leads.
func (l *Leader) releases(limits Limits, now kafka.Instant) bool {
	s := &l.state
	if slices.Contains(s.Removing, l.self) {
		return false
	}
	for _, id := range s.Adding {
		if !slices.Contains(s.ISR, id) {
			return false
		}
	}
	for i := range l.followers {
		f := &l.followers[i]
		if slices.Contains(s.Removing, f.id) && slices.Contains(s.ISR, f.id) && l.unaware(f, limits, now) {
			return false
		}
	}
	return true
}

// Answered takes in what the controller answered to a proposal: the state of the
// partition, whoever brought it about, without the replicas and what is to become of
// them. It reports whether the high watermark moved.
func (l *Leader) Answered(p Proposal, epoch kafka.LeaderEpoch, s State, now kafka.Instant) (moved bool) {
	l.settle(p)
	if epoch != l.epoch {
		return false // another leadership: the metadata will tell
	}
	s.Replicas, s.Adding, s.Removing = l.state.Replicas, l.state.Adding, l.state.Removing
	return l.Update(s, now)
}

// Update takes in what the metadata says about the partition. What is not newer
// than what is known is nothing, but that it may name the replicas, which an answer
// does not. When the partition epoch has moved, a proposal for the earlier one was
// either carried out or never will be. It reports whether the high watermark
// moved.
func (l *Leader) Update(s State, now kafka.Instant) (moved bool) {
	switch {
	case s.Epoch < l.state.Epoch:
		return false
	case s.Epoch > l.state.Epoch:
		l.adopt(s, now)
	case slices.Equal(s.Replicas, l.state.Replicas) && slices.Equal(s.Adding, l.state.Adding) && slices.Equal(s.Removing, l.state.Removing):
		return false
	default:
		l.state.Replicas, l.state.Adding, l.state.Removing = s.Replicas, s.Adding, s.Removing
		l.seat(l.state.ISR, now)
	}
	return l.advance()
}

// Unanswered says that nobody knows what became of a proposal: it is asked for
// again, and the leader goes on acting on the larger set.
func (l *Leader) Unanswered(p Proposal, now kafka.Instant) {
	if l.settle(p) {
		l.unknown, l.unknownAt = true, now
	}
}

// Refused says that the controller refused a proposal. The leader gives it up if it
// can be sure that no earlier request for the same will be carried out: there was
// none, or whoever was to be let in has a new life by now, or a request on its way
// must have arrived within patience. Otherwise it goes on acting on the larger set.
// It reports whether the high watermark moved.
func (l *Leader) Refused(p Proposal, code kafka.Error, patience time.Duration, now kafka.Instant) (moved bool) {
	if !l.settle(p) {
		return false
	}
	switch code {
	case kafka.ErrIneligibleReplica, kafka.ErrOperationNotAttempted, kafka.ErrInvalidRequest:
		if l.unknown && now.Sub(l.unknownAt) <= patience && !l.outlived() {
			return false
		}
		l.pending, l.unknown = nil, false
		return l.advance()
	}
	// The partition epoch or the leader has changed: the metadata will tell.
	return false
}

// outlived reports whether the proposal can be carried out no more, because every
// broker that was to be let in has a new life.
func (l *Leader) outlived() bool {
	for _, m := range l.pending {
		if slices.Contains(l.state.ISR, m.ID) {
			continue
		}
		if f := l.find(m.ID); f != nil && f.epoch <= m.Epoch {
			return false
		}
	}
	return true
}

// settle ends a proposal's flight, and reports whether it is the one that is
// pending.
func (l *Leader) settle(p Proposal) bool {
	l.inFlight = false
	return l.pending != nil && p.PartitionEpoch == l.state.Epoch && p.LeaderEpoch == l.epoch
}
