package quorum

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A Decision looks at the image and says what shall change. It must not block.
type Decision func(*meta.Image) ([]meta.Record, error)

// changes are the decisions that were asked for.
//
// They are made one after the other, each on the image that the one before left,
// and only while this member leads. One whose entry is under way when leadership
// is lost is lost sight of, not undone: it waits for what becomes of its index.
type changes struct {
	queue    []*change
	current  *change   // its entry is under way
	lost     []*change // theirs were when leadership was lost, or space
	standing standing
}

// maxChanges bounds how many decisions wait.
const maxChanges = 10_000

// A change is one decision on its way. The member's task carries it out: who
// asked may be canceled, but what was proposed has to be followed.
type change struct {
	decide  Decision
	members Membership // instead of decide: a change of the members
	settled env.Cond
	begun   bool
	done    bool
	err     error

	index, term uint64        // of its entry
	until       kafka.Instant // when a lost one is given up
}

func (c *change) finish(err error) {
	if c.done {
		return
	}
	c.done, c.err, c.decide, c.members = true, err, nil, nil
	c.settled.Broadcast()
}

// Change has decide look at the image of everything that was applied, and makes
// what it returns part of the log, all of it or nothing; when Change returns nil
// it is applied here. If decide returns an error, or nothing, Change returns that
// only once it is sure that no other leader has decided anything meanwhile.
//
// It takes ten election timeouts at most, or ten seconds if that is more, and so
// long only on a disk that hangs.
//
// It fails with NOT_CONTROLLER where this member is not active: nothing has
// happened, and the active controller may be asked. It fails with
// REQUEST_TIMED_OUT when leadership was lost or the disk is full and it is not
// known whether the change will happen, and with UNKNOWN_STORAGE_ERROR, of
// unknown outcome too, if this member failed. Blocks.
func (q *Quorum) Change(decide Decision) error {
	return q.change(&change{decide: decide, settled: q.w.NewCond("quorum/change")}, q.w.Now().Add(max(10*time.Second, 10*q.o.ElectionTimeout)))
}

// change queues a change and waits until it is answered. Blocks.
func (q *Quorum) change(c *change, deadline kafka.Instant) error {
	if q.broken != nil || q.closing || !q.leads() {
		return q.notController()
	}
	if len(q.changes.queue) >= maxChanges {
		return fmt.Errorf("controller %d: %d decisions wait: %w", q.o.ID, maxChanges, kafka.ErrThrottlingQuotaExceeded)
	}
	q.changes.queue = append(q.changes.queue, c)
	q.wake.Broadcast()
	for !c.done {
		err := c.settled.Wait(deadline)
		if err == nil || c.done {
			continue
		}
		if c.begun {
			return fmt.Errorf("controller %d: %w: %w", q.o.ID, err, kafka.ErrRequestTimedOut)
		}
		c.done = true // nobody waits: it is not begun
		return fmt.Errorf("controller %d: %w: %w", q.o.ID, err, kafka.ErrNotController)
	}
	return c.err
}

func (q *Quorum) notController() error {
	leader, term := q.Leader()
	return fmt.Errorf("controller %d, the leader of term %d is %d: %w", q.o.ID, term, leader, kafka.ErrNotController)
}

// takeChanges carries out decisions until one has an entry under way.
func (q *Quorum) takeChanges() {
	for q.changes.current == nil && len(q.changes.queue) > 0 && !q.node.HasReady() {
		c := q.changes.queue[0]
		switch {
		case c.done:
		case !q.leads():
			if s := q.node.BasicStatus(); s.RaftState == raft.StateLeader {
				return // it has still to apply what is from before its term
			}
			c.finish(q.notController())
		case q.image.Level() == 0 || c.members != nil && q.joint():
			return // lead will begin the cluster; raft leaves the joint configuration by itself
		case q.o.Dir.Full():
			c.finish(q.noSpace())
		default:
			q.decide(c)
		}
		q.changes.queue = q.changes.queue[1:]
	}
}

func (q *Quorum) noSpace() error {
	return fmt.Errorf("controller %d: no space for the metadata log: %w", q.o.ID, kafka.ErrThrottlingQuotaExceeded)
}

// refuseChanges answers those that are not begun.
func (q *Quorum) refuseChanges(err error) {
	for _, c := range q.changes.queue {
		c.finish(err)
	}
	q.changes.queue = nil
}

// decide has a change decided, and proposes what it came to in the same breath.
func (q *Quorum) decide(c *change) {
	c.begun = true
	if c.members != nil {
		q.changeMembers(c)
		return
	}
	records, err := c.decide(q.image)
	if err != nil || len(records) == 0 {
		q.answerWhenSure(c, err)
		return
	}
	q.propose(c, records)
}

// propose makes records an entry of raft's log.
func (q *Quorum) propose(c *change, records []meta.Record) {
	data := meta.EncodeAll(nil, records)
	if len(data) > maxEntry {
		c.finish(fmt.Errorf("a decision of %d bytes, at most %d: %w", len(data), maxEntry, kafka.ErrPolicyViolation))
		return
	}
	q.proposed(c, q.node.Propose(data))
}

// proposed notes that a change has its entry under way, if raft took it: the
// next one, since nothing else is on its way to the log.
func (q *Quorum) proposed(c *change, err error) {
	if err != nil {
		c.finish(fmt.Errorf("controller %d: %w: %w", q.o.ID, err, kafka.ErrNotController))
		return
	}
	last, err := q.storage.LastIndex()
	assert.NoError(err) // it is in memory
	c.index, c.term = last+1, q.node.BasicStatus().GetTerm()
	q.changes.current = c
	q.seeDecided(c.index)
}

// settleChanges answers the changes that an applied entry decides: the one it
// holds, and those that another entry has taken the place of.
func (q *Quorum) settleChanges(e entry) {
	for _, c := range append([]*change{q.changes.current}, q.changes.lost...) {
		switch {
		case c == nil || c.index != e.index:
		case c.term == e.term:
			c.finish(nil)
		default:
			q.w.Probe("a decision was replaced by another leader's")
			c.finish(fmt.Errorf("controller %d: entry %d is of term %d now: %w", q.o.ID, c.index, e.term, kafka.ErrNotController))
		}
	}
	q.forgetChanges()
}

// forgetChanges drops what is answered and can have no effect any more.
func (q *Quorum) forgetChanges() {
	past := func(c *change) bool { return c.index <= q.applied || c.done && c != q.changes.current }
	if c := q.changes.current; c != nil && past(c) {
		q.changes.current = nil
	}
	q.changes.lost = slices.DeleteFunc(q.changes.lost, past)
}

// loseLeadership sets aside the change whose entry this member cannot see through
// any more. Those that wait for their turn are answered when it comes.
func (q *Quorum) loseLeadership() {
	c := q.changes.current
	if c == nil || q.leads() && q.changes.standing.term == c.term {
		return
	}
	q.w.Probe("a controller lost leadership with a decision under way")
	q.changes.current = nil
	c.until = q.w.Now().Add(3 * q.o.ElectionTimeout)
	q.changes.lost = append(q.changes.lost, c)
}

// loseChange answers the change under way with an error of unknown outcome. Its
// entry stays under way, and no other is decided before.
func (q *Quorum) loseChange(err kafka.Error) {
	if c := q.changes.current; c != nil {
		c.finish(fmt.Errorf("controller %d: entry %d: %w", q.o.ID, c.index, err))
	}
}

// giveUpChanges answers those of unknown outcome that have waited long enough.
func (q *Quorum) giveUpChanges() {
	for _, c := range q.changes.lost {
		switch {
		case c.index <= q.applied: // a snapshot has passed it
			c.finish(fmt.Errorf("controller %d: entry %d is in a snapshot: %w", q.o.ID, c.index, kafka.ErrRequestTimedOut))
		case q.w.Now() >= c.until:
			c.finish(fmt.Errorf("controller %d: entry %d of term %d: %w", q.o.ID, c.index, c.term, kafka.ErrRequestTimedOut))
		}
	}
	q.forgetChanges()
}

// endChanges answers everything that waits: this member takes no part any more.
func (q *Quorum) endChanges() {
	q.refuseChanges(fmt.Errorf("controller %d: %w: %w", q.o.ID, q.broken, kafka.ErrNotController))
	unknown := kafka.ErrStorageError
	if q.closing {
		unknown = kafka.ErrRequestTimedOut
	}
	q.loseChange(unknown)
	for _, c := range q.changes.lost {
		c.finish(fmt.Errorf("controller %d: entry %d: %w", q.o.ID, c.index, unknown))
	}
}
