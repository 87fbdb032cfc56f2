package quorum

import (
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A ticker is the clock that raft counts by. Its tick is one to two tenths of the
// election timeout, drawn anew whenever the term, the leader or this member's
// role changes: so two members that lost their leader at the same moment do not
// stand for election at the same moment, and if they did, not again (ADR 9).
type ticker struct {
	length time.Duration
	next   kafka.Instant
	seen   standing // for which length was drawn
}

// A standing is what an election changes.
type standing struct {
	term, leader uint64
	role         uint64
}

func (q *Quorum) standing() standing {
	s := q.node.BasicStatus()
	return standing{term: s.GetTerm(), leader: s.Lead, role: uint64(s.RaftState)}
}

func (t *ticker) redraw(q *Quorum) {
	now := q.standing()
	if t.length > 0 && now == t.seen {
		return
	}
	t.seen = now
	tenth := q.o.ElectionTimeout / electionTicks
	t.length = tenth + time.Duration(q.w.Rand("quorum/tick").Int64N(int64(tenth)))
	t.next = q.w.Now().Add(t.length)
}

// maybeTick ticks if it is time. However late it is, it ticks once: a member that
// was stopped for a while shall read its messages before it believes that
// nobody wrote.
func (q *Quorum) maybeTick() {
	now := q.w.Now()
	if q.alone() || now < q.tick.next {
		return
	}
	q.tick.next = now.Add(q.tick.length)
	q.node.Tick()
	q.retryReads()
	q.giveUpChanges()
	q.giveUpSnapshots()
}

// alone reports whether this member leads a quorum of one that nobody joins: it
// needs no ticks.
func (q *Quorum) alone() bool {
	s := q.node.BasicStatus()
	return s.Lead == q.id && len(q.conf.GetVoters()) == 1 && len(q.conf.GetVotersOutgoing()) == 0 &&
		len(q.conf.GetLearners()) == 0 && len(q.conf.GetLearnersNext()) == 0
}

// nextTick is when the task wakes if nothing happens.
func (q *Quorum) nextTick() kafka.Instant {
	if q.alone() {
		return q.log.due
	}
	return min(q.tick.next, q.log.due)
}
