package netsim

import (
	"github.com/klammlog/klamm/node/kafka"
)

// A flow is one direction of one connection: the segments on their way, in
// order. One event of the kernel at a time is scheduled for its first segment, so
// that a segment costs no closure and no task.
//
// Segments arrive in the order of the line: one that is due waits for those before
// it, as bytes behind a lost segment do.
type flow struct {
	link *link // the way it takes
	back *link // the way its acknowledgements take
	from *end
	to   *end

	line     line
	queued   int           // bytes in line
	owed     int           // bytes that arrived, whose acknowledgement is held
	lastSent kafka.Instant // when the last segment was pushed
	joinable bool          // it carries data and was not cut short

	armed  kafka.Instant // when the next event that counts is due; never: none
	full   bool          // the first segment waits for room at the reader
	stuck  bool          // the first segment waits for a link, or for a host that is gone
	rounds uint64        // numbers the times it got stuck
	debts  uint64        // numbers the times its acknowledgements did
	pump   func()        // f.deliver, made once
}

func newFlow(from, to *end) *flow {
	n := from.net
	f := &flow{from: from, to: to, armed: kafka.Never}
	f.link, f.back = n.link(from.host, to.host), n.link(to.host, from.host)
	f.pump = f.deliver
	return f
}

// room returns how many more bytes a writer may add.
func (f *flow) room() int { return max(f.link.buffer-f.queued-f.owed, 0) }

// send puts bytes on their way, cut into segments.
func (f *flow) send(b []byte) {
	f.from.note(evSent, len(b), checksum(b))
	if t := f.from.net.options.Tap; t != nil {
		t.Sent(f.stream(), b)
	}
	f.queued += len(b)
	for len(b) > 0 {
		if n := f.join(b); n > 0 {
			b = b[n:]
			continue
		}
		n := min(len(b), f.link.segment)
		whole := n
		if f.link.pieces.hits(f.link.stream) {
			n = 1 + f.link.stream.IntN(n)
			f.link.shapers[Partial].hit(n)
		}
		buf := append(f.from.net.pool.get(n), b[:n]...)
		f.push(data, buf, f.link.arrival(n))
		f.joinable = n == whole
		b = b[n:]
	}
}

// join adds bytes to the last segment if that was sent at this very instant, and
// returns how many. Several small writes in a row travel together, as they do when
// a kernel finds them in its send buffer.
func (f *flow) join(b []byte) int {
	if !f.joinable || f.line.len() == 0 || f.lastSent != f.from.net.k.Now() || f.link.shape.Bandwidth > 0 {
		return 0
	}
	last := f.line.last()
	n := min(len(b), cap(last.buf)-len(last.buf))
	last.buf = append(last.buf, b[:n]...)
	return n
}

// signal puts a segment without bytes on its way.
func (f *flow) signal(kind segmentKind) { f.push(kind, nil, f.link.arrival(0)) }

func (f *flow) push(kind segmentKind, buf []byte, due kafka.Instant) {
	f.lastSent, f.joinable = f.from.net.k.Now(), false
	f.line.push(segment{buf: buf, due: due, kind: kind})
	f.arm()
}

// arm schedules the arrival of the first segment.
func (f *flow) arm() {
	if f.stuck || f.full || f.line.len() == 0 {
		return
	}
	if due := max(f.line.head().due, f.from.net.k.Now()); due < f.armed {
		f.armed = due
		f.from.net.k.At(due, f.pump)
	}
}

// deliver hands over all segments that are due.
func (f *flow) deliver() {
	now := f.from.net.k.Now()
	if f.armed != now {
		return // an earlier event has taken this one's place
	}
	f.armed = kafka.Never
	for f.line.len() > 0 && !f.stuck && !f.full {
		if f.line.head().due > now || !f.mayPass() {
			break
		}
		f.arrive(f.line.head())
	}
	f.arm()
}

// mayPass reports whether the way is free for the first segment, and otherwise
// leaves the flow with whoever will free it.
func (f *flow) mayPass() bool {
	switch {
	case f.from.conn.severed != nil:
		f.from.conn.severed.hit(f.queued)
	case !f.to.host.admits(f.line.head().kind):
		f.to.host.waiting = append(f.to.host.waiting, f)
	case !f.link.open():
		f.link.hold(f)
	default:
		return true
	}
	f.from.note(evHeld, f.queued, 0)
	f.becomeStuck()
	return false
}

// becomeStuck gives the sender a drawn time to get through.
func (f *flow) becomeStuck() {
	f.stuck = true
	f.rounds++
	round := f.rounds
	f.giveUpIf(func() bool { return f.stuck && f.rounds == round })
}

// giveUpIf breaks the sender's end after a drawn time if it is still waiting then.
func (f *flow) giveUpIf(waiting func() bool) {
	o := &f.from.net.options
	f.from.net.k.After(between(f.link.stream, o.GiveUpMin, o.GiveUpMax), func() {
		if waiting() {
			f.from.timeOut()
		}
	})
}

// oweAck notes that the acknowledgement of size bytes is held.
func (f *flow) oweAck(size int) {
	if f.owed == 0 {
		f.debts++
		round := f.debts
		f.giveUpIf(func() bool { return f.owed > 0 && f.debts == round })
		f.back.owed = append(f.back.owed, f)
	}
	f.owed += size
	for _, a := range f.back.blockers {
		a.hit(size)
	}
}

// retry lets a stuck flow go on when its sender's timer next fires.
func (f *flow) retry() {
	if !f.stuck {
		return
	}
	f.stuck = false
	o := &f.from.net.options
	f.delay(f.from.net.k.Now().Add(f.link.shape.Latency + upTo(f.link.stream, o.MaxRTO)))
	f.arm()
}

// delay lets nothing arrive before an instant.
func (f *flow) delay(due kafka.Instant) {
	for i := f.line.first; i < len(f.line.items); i++ {
		f.line.items[i].due = max(f.line.items[i].due, due)
	}
}

// hasten lets everything arrive by an instant.
func (f *flow) hasten(due kafka.Instant) {
	for i := f.line.first; i < len(f.line.items); i++ {
		f.line.items[i].due = min(f.line.items[i].due, due)
	}
	f.arm()
}

// arrive hands the first segment to the machine it was sent to.
func (f *flow) arrive(s *segment) {
	switch s.kind {
	case syn:
		f.to.host.knock(f, s)
	case synAck:
		f.line.pop()
		f.to.connect()
	case rst:
		f.line.pop()
		f.to.reset()
	case fin:
		f.line.pop()
		f.to.finished()
	case data:
		f.arriveData(s)
	}
}

func (f *flow) arriveData(s *segment) {
	if f.to.gone() {
		f.purge()
		f.to.answerReset()
		return
	}
	f.to.connect() // bytes say as much as an acknowledged SYN
	size := len(s.buf)
	if f.to.unread > 0 && f.to.unread+size > f.from.net.options.Window {
		f.full = true
		return
	}
	f.to.note(evDelivered, size, 0)
	if t := f.from.net.options.Tap; t != nil {
		t.Arrived(f.stream(), size)
	}
	f.to.receive(f.line.pop())
	f.queued -= size
	if !f.back.open() {
		f.oweAck(size)
	}
	f.wakeWriter()
}

// readerMadeRoom lets a flow go on whose segment found no room. The news takes
// the way back, and the segment the way there.
func (f *flow) readerMadeRoom() {
	if !f.full || f.to.unread > f.from.net.options.Window/2 {
		return
	}
	f.full = false
	f.delay(f.from.net.k.Now().Add(f.back.shape.Latency + f.link.shape.Latency))
	f.arm()
}

// unplug lets a segment go on that waits for room at an end that is gone, to see
// what becomes of it there.
func (f *flow) unplug() {
	if f.full {
		f.full = false
		f.arm()
	}
}

// wakeWriter wakes a writer once a quarter of the buffer is free: waking it for
// every segment would cost a switch for each.
func (f *flow) wakeWriter() {
	if f.from.writers.Len() > 0 && (4*f.room() >= f.link.buffer || f.queued == 0) {
		f.from.writers.WakeAll(f.from.net.k)
	}
}

// purge drops everything that is on its way.
func (f *flow) purge() {
	f.line.drain(&f.from.net.pool)
	f.queued, f.owed = 0, 0
	f.stuck, f.full = false, false
}

// cut drops a drawn rest of what is on its way, and all of it if it is stuck: the
// sender's memory is gone, what is on the wire arrives.
func (f *flow) cut() {
	if f.stuck || f.full {
		f.purge()
		return
	}
	keep := f.link.stream.IntN(f.line.len() + 1)
	for i := f.line.first + keep; i < len(f.line.items); i++ {
		s := &f.line.items[i]
		f.queued -= len(s.buf)
		f.from.net.pool.put(s.buf)
		*s = segment{}
	}
	f.line.items = f.line.items[:f.line.first+keep]
}
