package group

import (
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A request is one of the request types.
type request interface {
	// groupID names the group it is about.
	groupID() string

	// failed is its answer with an error.
	failed(code kafka.Error) any

	// needs says what must have been committed before it can be decided.
	needs() need
}

// A need is what a decision reads, and so what it waits for.
type need uint8

const (
	nothing need = iota // reads what is committed, whatever that is now
	members             // waits while members change
	offsets             // waits for every append of the group, commits too
)

// A waiting request stands in its group's queue.
type waiting struct {
	ticket   machine.Ticket
	request  request
	deadline kafka.Instant
}

// maxName bounds ids and names that clients choose: they become part of keys, whose
// texts have a length of 16 bits.
const maxName = 16_000

// enter decides a request, or has it wait until it can be decided.
func (s *Shard) enter(t machine.Ticket, r request) {
	if s.loading {
		s.answer(t, r.failed(kafka.ErrCoordinatorLoadInProgress))
		return
	}
	if id := r.groupID(); id == "" || len(id) > maxName {
		s.answer(t, r.failed(kafka.ErrInvalidGroupID))
		return
	}
	if g := s.groups.get(r.groupID()); g != nil && !g.ready(r.needs()) {
		s.enqueue(g, t, r)
		return
	}
	s.decide(t, r)
}

// decide gives a request to who answers it.
func (s *Shard) decide(t machine.Ticket, r request) {
	switch r := r.(type) {
	case JoinRequest:
		s.join(t, r)
	case SyncRequest:
		s.sync(t, r)
	case LeaveRequest:
		s.leave(t, r)
	case CommitRequest:
		s.commit(t, r)
	case FetchOffsetsRequest:
		s.fetch(t, r)
	case DeleteOffsetsRequest:
		s.deleteOffsets(t, r)
	case DeleteGroupRequest:
		s.deleteGroup(t, r)
	case DescribeGroupRequest:
		s.describe(t, r)
	case ConsumerHeartbeatRequest:
		s.beat(t, r)
	case ConsumerDescribeRequest:
		s.describeConsumer(t, r)
	default:
		assert.That(false, "a request of type %T", r)
	}
}

// enqueue has a request wait its turn. A member that asks lives.
func (s *Shard) enqueue(g *group, t machine.Ticket, r request) {
	if len(g.queue) >= maxQueue {
		s.answer(t, r.failed(kafka.ErrCoordinatorLoadInProgress))
		return
	}
	s.heard(g, r)
	w := waiting{ticket: t, request: r, deadline: s.at.Now.Add(s.settings.Limits().CommitTimeout)}
	g.queue = append(g.queue, w)
	if len(g.queue) == 1 {
		s.timers.arm(&g.patience, w.deadline)
	}
}

// A chore is what the shard asks of itself. It reads the offsets of a group, and so
// waits for all its appends; requests that come later wait behind it.
type chore interface{ chore(s *Shard, g *group) }

// do has a chore done, now or when the group's appends have landed.
func (s *Shard) do(g *group, c chore) {
	if len(g.queue)+len(g.chores) == 0 && g.flying == 0 {
		c.chore(s, g)
		s.tidy(g)
		return
	}
	g.chores = append(g.chores, c)
}

// tired answers those whose turn has not come in time: nothing was decided. Who
// stood behind them may have waited for less.
func (s *Shard) tired(g *group) {
	for len(g.queue) > 0 && g.queue[0].deadline <= s.at.Now {
		w := g.queue[0]
		g.queue = g.queue[1:]
		s.answer(w.ticket, w.request.failed(kafka.ErrCoordinatorNotAvailable))
	}
	s.resume(g)
}

func (s *Shard) rearm(g *group) {
	if len(g.queue) == 0 {
		g.queue = nil
		s.timers.disarm(&g.patience)
		return
	}
	s.timers.disarm(&g.patience)
	s.timers.arm(&g.patience, g.queue[0].deadline)
}

// resume goes on with what waited for a group's append: first what time has
// brought, then the queue. Who asked meanwhile has not been silent, so that nobody
// is lost to a slow append alone.
func (s *Shard) resume(g *group) {
	for len(g.ripe) > 0 && g.changing == nil {
		t := g.ripe[0]
		g.ripe = g.ripe[1:]
		if t.ripe {
			t.ripe = false
			t.fire()
		}
	}
	for len(g.chores) > 0 && g.flying == 0 {
		do := g.chores[0]
		g.chores = g.chores[1:]
		do.chore(s, g)
	}
	for len(g.queue) > 0 && len(g.chores) == 0 {
		w := g.queue[0]
		if !g.idle(w.request.needs()) {
			break
		}
		g.queue = g.queue[1:]
		if s.groups.get(g.id) == g {
			s.decide(w.ticket, w.request)
		} else {
			s.enter(w.ticket, w.request)
		}
	}
	s.rearm(g)
	s.tidy(g)
}

// Advance has happen what is due: silent members are lost, rebalances end, offsets
// expire, and who has waited long enough for an append is told so.
func (s *Shard) Advance(at machine.Moment) {
	s.at = at
	for {
		t := s.timers.pop(at.Now)
		if t == nil {
			return
		}
		if g := t.group; g != nil && g.changing != nil && t != &g.patience {
			t.ripe = true
			g.ripe = append(g.ripe, t)
			continue
		}
		t.fire()
	}
}

// Next returns when Advance wants to be called; false: not before something else
// happens.
func (s *Shard) Next() (kafka.Instant, bool) { return s.timers.next() }

// Take returns what has come out since the last call. It is the caller's until the
// next call.
func (s *Shard) Take() machine.Effects {
	out := s.out
	clear(s.taken.Appends)
	clear(s.taken.Answers)
	s.out = machine.Effects{Appends: s.taken.Appends[:0], Answers: s.taken.Answers[:0]}
	s.taken = out
	return out
}

// answer gives a ticket its answer. Ticket 0 is nobody's.
func (s *Shard) answer(t machine.Ticket, value any) {
	if t != 0 {
		s.out.Answers = append(s.out.Answers, machine.Answer{Ticket: t, Value: value})
	}
}

// Unload answers every ticket with code, and those whose append is on its way, of
// which nobody here will learn whether it was committed, with a code of unknown
// outcome. What nobody has taken yet is not to be appended any more. The shard is of
// no use afterwards.
func (s *Shard) Unload(code kafka.Error) {
	for _, f := range s.flights.queue {
		f.fail(s, kafka.ErrRequestTimedOut)
		if f.then != nil {
			f.then.late(s, f.group)
		}
	}
	for _, g := range s.groups.all() {
		g.classic.abandon(s, code)
		for _, w := range g.queue {
			s.answer(w.ticket, w.request.failed(code))
		}
	}
	s.groups, s.timers, s.flights = table[string, *group]{}, timers{}, flights{last: s.flights.last}
	s.out.Appends = nil
	s.loading = true
}
