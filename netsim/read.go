package netsim

import (
	"io"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A failure is an error with the connection it is about. The text is made only
// when somebody reads it.
type failure struct {
	call string
	e    *end
	err  error
}

func (f *failure) Error() string {
	return f.call + " " + f.e.local + ">" + f.e.remote + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

func (e *end) failed(call string, err error) error { return &failure{call, e, err} }

// Read implements env.Conn. Blocks.
func (e *end) Read(p []byte) (int, error) {
	if err := e.mayBegin(); err != nil {
		return 0, err
	}
	if e.reading { // arguments of assert.That would cost two allocations a call
		assert.That(false, "two tasks read %s>%s at once", e.local, e.remote)
	}
	e.reading = true
	n, err := e.read(p)
	e.reading = false
	if err != nil && err != io.EOF {
		return n, e.failed("read", err)
	}
	return n, err
}

// mayBegin returns why a call has no effect at all. A canceled task may call while
// another is at it: it is turned away before it does anything.
func (e *end) mayBegin() error {
	if !e.host.node.Alive() {
		return env.ErrClosed
	}
	if e.canceled() {
		return env.ErrCanceled
	}
	return nil
}

func (e *end) canceled() bool {
	t := e.net.k.Current()
	return t != nil && t.Canceled()
}

func (e *end) read(p []byte) (int, error) {
	if e.yields() {
		e.yieldReader(p)
	}
	for {
		if err := e.mayCall(e.readDeadline); err != nil {
			return 0, err
		}
		now := e.net.k.Now()
		until := kafka.Never
		switch {
		case len(p) == 0:
			return 0, nil
		case e.unread > 0 && e.readAfter <= now:
			return e.take(p), nil
		case e.unread > 0:
			until = e.readAfter
		case e.err != nil:
			return 0, e.err
		case e.eof:
			return 0, io.EOF
		}
		if err := e.waitToRead(p, until); err != nil {
			return 0, err
		}
	}
}

// mayCall returns why a call must not go on: the deadline, in the node's time, or
// the end's or the task's state.
func (e *end) mayCall(deadline kafka.Instant) error {
	if e.closed {
		return env.ErrClosed
	}
	if e.canceled() {
		return env.ErrCanceled
	}
	if deadline != kafka.Never && e.host.node.Monotonic() >= deadline {
		return env.ErrDeadline
	}
	return nil
}

// yields draws whether a call lets other tasks run although it need not wait: on
// a real machine every call of the network may.
func (e *end) yields() bool { return e.net.options.Yield.hits(e.out.link.app) }

func (e *end) yieldReader(p []byte) {
	scribble(p)
	e.net.k.Yield()
	checkScribble(p, e)
}

func (e *end) waitToRead(p []byte, until kafka.Instant) error {
	if e.label == "" {
		e.label = e.local + "<" + e.remote
	}
	scribble(p)
	err := e.host.wait(&e.readers, e.label, e.readDeadline, until)
	checkScribble(p, e)
	return err
}

// wait parks the running task until the queue is woken, the node's clock shows
// deadline, or the kernel's shows until; the caller looks again. It fails with
// ErrCanceled.
func (h *host) wait(q *sim.Queue, label string, deadline, until kafka.Instant) error {
	k := h.net.k
	if deadline != kafka.Never {
		// Clocks drift and their rates change, so the wake may come early: the
		// caller compares again. The extra nanosecond makes sure that time passes.
		until = min(until, max(h.node.KernelTime(deadline), k.Now()+1))
	}
	if q.Wait(k, label, until, sim.CanCancel) == sim.Canceled {
		return env.ErrCanceled
	}
	return nil
}

// take copies received bytes to the reader.
func (e *end) take(p []byte) int {
	want := e.portion(min(len(p), e.unread))
	n := 0
	for n < want {
		s := e.received.head()
		m := copy(p[n:want], s.buf[s.read:])
		n += m
		s.read += m
		if s.read == len(s.buf) {
			e.net.pool.put(e.received.pop().buf)
		}
	}
	e.unread -= n
	e.note(evRead, n, 0)
	e.in.readerMadeRoom()
	return n
}

// portion draws how many of n bytes a read returns.
func (e *end) portion(n int) int {
	l := e.in.link
	if l.short.hits(l.app) {
		n = 1 + l.app.IntN(n)
		l.shapers[Partial].hit(n)
	}
	if a := e.host.slow; a != nil {
		n = min(n, int(max(a.Fault.Rate/slowReadsPerSecond, 1)))
		d := time.Duration(int64(n) * int64(time.Second) / a.Fault.Rate)
		e.readAfter = e.net.k.Now().Add(d)
		a.hit(n)
	}
	return n
}

// slowReadsPerSecond is into how many reads a slow receiver divides a second.
const slowReadsPerSecond = 50

// SetReadDeadline implements env.Conn.
func (e *end) SetReadDeadline(t kafka.Instant) {
	e.readDeadline = t
	e.readers.WakeAll(e.net.k)
}

// SetWriteDeadline implements env.Conn.
func (e *end) SetWriteDeadline(t kafka.Instant) {
	e.writeDeadline = t
	e.writers.WakeAll(e.net.k)
}

// LocalAddress implements env.Conn.
func (e *end) LocalAddress() string { return e.local }

// PeerAddress implements env.Conn.
func (e *end) PeerAddress() string { return e.remote }
