package quorum

import (
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// reads are the questions whether what was applied here is the newest. Raft
// answers them by an index, after a majority has confirmed the leader: whoever
// has applied that index has applied everything that was committed when it was
// asked (raft thesis, section 6.4).
type reads struct {
	waiting []*read
	asked   uint64 // number of the last question
}

// A read is one question, which may have to be put several times: questions get
// lost with messages and leaders.
type read struct {
	settled  env.Cond
	number   uint64        // of the question that carries it, 0 before it was put
	putAt    kafka.Instant // when
	answered bool
	index    uint64 // the answer
	done     bool
	err      error

	change *change // it waits for this, and nobody else does
	term   uint64  // the change was decided in
	result error   // and came to
}

// Barrier waits until everything that was committed when it was called is applied
// here. It fails with env.ErrDeadline or env.ErrCanceled, or if this member
// failed. Blocks.
func (q *Quorum) Barrier(deadline kafka.Instant) error {
	if q.broken != nil {
		return fmt.Errorf("controller %d: %w", q.o.ID, q.broken)
	}
	r := &read{settled: q.w.NewCond("quorum/barrier")}
	q.reads.waiting = append(q.reads.waiting, r)
	q.wake.Broadcast()
	for !r.done {
		if err := r.settled.Wait(deadline); err != nil && !r.done {
			q.reads.waiting = slices.DeleteFunc(q.reads.waiting, func(o *read) bool { return o == r })
			return fmt.Errorf("controller %d: read barrier: %w", q.o.ID, err)
		}
	}
	return r.err
}

// answerWhenSure answers a change that changed nothing once it is sure that this
// member was the leader when it was decided.
func (q *Quorum) answerWhenSure(c *change, result error) {
	q.reads.waiting = append(q.reads.waiting, &read{settled: c.settled, change: c, result: result, term: q.node.BasicStatus().GetTerm()})
	q.issueReads()
}

// issueReads puts the questions that were not put yet, all as one.
func (q *Quorum) issueReads() {
	fresh := false
	for _, r := range q.reads.waiting {
		if r.number == 0 && !r.answered {
			r.number, r.putAt = q.reads.asked+1, q.w.Now()
			fresh = true
		}
	}
	if fresh {
		q.reads.asked++
		q.sight.changes++
		q.node.ReadIndex(binary.BigEndian.AppendUint64(nil, q.reads.asked))
	}
}

// retryReads has questions put again that were not answered for a while.
func (q *Quorum) retryReads() {
	before := q.w.Now().Add(-q.o.ElectionTimeout / 2)
	for _, r := range q.reads.waiting {
		if !r.answered && r.number != 0 && r.putAt < before {
			r.number = 0
		}
	}
}

// takeReads notes what raft answered.
func (q *Quorum) takeReads(states []raft.ReadState) {
	for _, s := range states {
		number := binary.BigEndian.Uint64(s.RequestCtx)
		q.sight.sure = Sure{number, s.Index}
		q.sight.changes++
		for _, r := range q.reads.waiting {
			if r.number == number {
				r.answered, r.index = true, s.Index
			}
		}
	}
}

// answerReads answers those who waited for what is applied now.
func (q *Quorum) answerReads() {
	s := q.node.BasicStatus()
	q.reads.waiting = slices.DeleteFunc(q.reads.waiting, func(r *read) bool {
		switch {
		case r.change != nil && (s.RaftState != raft.StateLeader || s.GetTerm() != r.term):
			q.w.Probe("a decision without effect was not answered: leadership was lost")
			r.change.finish(q.notController())
		case !r.answered || r.index > q.applied:
			return false
		case r.change != nil:
			r.change.finish(r.result)
		default:
			r.done = true
			r.settled.Broadcast()
		}
		return true
	})
}

// endReads answers everything that waits: this member takes no part any more.
func (q *Quorum) endReads() {
	for _, r := range q.reads.waiting {
		if r.change != nil {
			r.change.finish(fmt.Errorf("controller %d: %w: %w", q.o.ID, q.broken, kafka.ErrNotController))
			continue
		}
		r.done, r.err = true, fmt.Errorf("controller %d: %w", q.o.ID, q.broken)
		r.settled.Broadcast()
	}
	q.reads.waiting = nil
}
