package quorum

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/klammlog/klamm/node/kafka"
)

// A ticker is the clock that raft counts by: a tick is a tenth of the election
// timeout. Three things differ when a member has heard of no leader (ADR 9):
//
//   - after an election timeout it forgets the leader, and grants others its vote
//   - the tick after which raft may have it stand for election comes between one
//     and nine tenths of a timeout later, drawn anew each time: so two members that
//     lost their leader at the same moment do not stand at the same moment, and if
//     they did, not again
//   - those that raft adds to that by itself are a tenth as long, so that they do
//     not count: it stands before two timeouts are over
type ticker struct {
	next  kafka.Instant
	quiet int // turns of this clock since a leader was heard of, or somebody stood
	seen  standing
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

// tenth is how long a tick lasts.
func (q *Quorum) tenth() time.Duration { return q.o.ElectionTimeout / electionTicks }

// restart counts from the beginning, as raft does. What is due within a tick
// remains so: a leader that is heard of all the time stops no clock.
func (t *ticker) restart(q *Quorum) {
	t.quiet = 0
	t.next = min(t.next, q.w.Now().Add(q.tenth()))
}

// follow restarts the count where raft restarts its own: with each change of term,
// leader or role. That a leader is forgotten is none.
func (t *ticker) follow(q *Quorum) {
	now := q.standing()
	if now == t.seen {
		return
	}
	forgotten := standing{term: t.seen.term, role: t.seen.role}
	t.seen = now
	if now != forgotten {
		t.restart(q)
	}
}

// heard restarts the count after a message that raft was given: the leader lives.
func (t *ticker) heard(q *Quorum, m *pb.Message) {
	s := q.node.BasicStatus()
	switch m.GetType() {
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		if m.GetTerm() == s.GetTerm() && m.GetFrom() == s.Lead {
			t.restart(q)
		}
	}
}

// sent restarts the count when this member stands for election, or has voted.
func (t *ticker) sent(q *Quorum, m *pb.Message) {
	switch m.GetType() {
	case pb.MsgPreVote, pb.MsgVote:
		t.restart(q)
	case pb.MsgVoteResp:
		if !m.GetReject() {
			t.restart(q)
		}
	}
}

// maybeTick ticks if it is time. However late it is, it ticks once: a member that
// was stopped for a while shall read its messages before it believes that
// nobody wrote.
func (q *Quorum) maybeTick() {
	now := q.w.Now()
	if q.alone() || now < q.tick.next {
		return
	}
	t := &q.tick
	leading := q.node.BasicStatus().Lead == q.id
	if leading {
		q.sight.ticks++
	} else {
		t.quiet++
	}
	switch tenth := q.tenth(); {
	case t.quiet == electionTicks:
		_ = q.node.ForgetLeader() // never fails: it is a message to itself
		t.next = now.Add(tenth + time.Duration(q.w.Rand("quorum/tick").Int64N(int64(8*tenth))))
	case t.quiet > electionTicks && t.quiet <= 2*electionTicks:
		q.node.Tick()
		t.next = now.Add(tenth / electionTicks)
	default: // heard of not long ago; or raft does not have it stand, a learner
		q.node.Tick()
		t.next = now.Add(tenth)
	}
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
