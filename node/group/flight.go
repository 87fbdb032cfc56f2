package group

import (
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A flight is an append on its way: it came out of Take or will, and nobody knows
// yet whether it will be committed.
type flight struct {
	id       machine.AppendID
	group    *group
	records  []machine.Record
	waiters  []waiter
	then     outcome
	deadline kafka.Instant
}

// A waiter is a request that is answered when a flight lands.
type waiter struct {
	ticket  machine.Ticket
	request request
	answer  any // if it is committed
}

// An outcome is how a decision goes on.
type outcome interface {
	committed(s *Shard, g *group)
	refused(s *Shard, g *group, code kafka.Error)

	// late is called when the flight takes longer than requests wait. It is still on
	// its way.
	late(s *Shard, g *group)
}

// flights are what is on its way, in the order of the log. All of them wait equally
// long, so that those that are late are the first.
type flights struct {
	queue []*flight
	late  int
	last  machine.AppendID
	timer timer
}

// append has records of a group appended. What else it changes is the caller's.
func (s *Shard) append(g *group, records []machine.Record) *flight {
	s.flights.last++
	f := &flight{
		id: s.flights.last, group: g, records: records,
		deadline: s.at.Now.Add(s.settings.Limits().CommitTimeout),
	}
	s.flights.queue = append(s.flights.queue, f)
	g.flying++
	s.out.Appends = append(s.out.Appends, machine.Append{ID: f.id, Records: records})
	s.watch()
	return f
}

// change has records appended that change who is a member of a group. Until they
// are committed nothing that reads the members is decided.
func (s *Shard) change(g *group, records []machine.Record, then outcome) *flight {
	assert.That(g.changing == nil, "group %s changes while it changes", g.id)
	f := s.append(g, records)
	f.then = then
	g.changing = f
	return f
}

// answers has a request answered when the flight lands.
func (f *flight) answers(t machine.Ticket, r request, answer any) {
	f.waiters = append(f.waiters, waiter{t, r, answer})
}

// fail answers all that wait for a flight with an error.
func (f *flight) fail(s *Shard, code kafka.Error) {
	for _, w := range f.waiters {
		s.answer(w.ticket, w.request.failed(code))
	}
	f.waiters = nil
}

// watch sets the timer to the first flight that is not late.
func (s *Shard) watch() {
	fs := &s.flights
	if fs.timer.fire == nil {
		fs.timer.fire = s.overdue
	}
	if fs.late < len(fs.queue) {
		s.timers.arm(&fs.timer, fs.queue[fs.late].deadline)
		return
	}
	s.timers.disarm(&fs.timer)
}

// overdue answers those that have waited long enough for an append. It may still be
// committed.
func (s *Shard) overdue() {
	fs := &s.flights
	for fs.late < len(fs.queue) && fs.queue[fs.late].deadline <= s.at.Now {
		f := fs.queue[fs.late]
		fs.late++
		f.fail(s, kafka.ErrRequestTimedOut)
		if f.then != nil {
			f.then.late(s, f.group)
		}
	}
	s.watch()
}

// Committed says that an append is committed: its effect is there for all to see.
func (s *Shard) Committed(at machine.Moment, id machine.AppendID) {
	s.at = at
	f := s.land(id)
	for _, r := range f.records {
		assert.NoError(s.Replay(r, at.Wall))
	}
	if f.then != nil {
		f.then.committed(s, f.group)
	}
	for _, w := range f.waiters {
		s.answer(w.ticket, w.answer)
	}
	s.maybeDowngrade(f.group)
	s.resume(f.group)
}

// Refused says that an append was not made, and will not be.
func (s *Shard) Refused(at machine.Moment, id machine.AppendID, code kafka.Error) {
	s.at = at
	f := s.land(id)
	f.fail(s, code)
	if f.then != nil {
		f.then.refused(s, f.group, code)
	}
	s.resume(f.group)
}

// land takes the first flight off the queue.
func (s *Shard) land(id machine.AppendID) *flight {
	fs := &s.flights
	assert.That(len(fs.queue) > 0 && fs.queue[0].id == id, "%v: append %d lands out of turn", s, id)
	f := fs.queue[0]
	fs.queue[0] = nil
	fs.queue = fs.queue[1:]
	if len(fs.queue) == 0 {
		fs.queue = nil
	}
	fs.late = max(fs.late-1, 0)
	s.watch()
	g := f.group
	g.flying--
	if g.changing == f {
		g.changing = nil
	}
	return f
}
