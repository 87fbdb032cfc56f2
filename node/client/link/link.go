// Package link carries requests to one broker and its answers back.
//
// A Link keeps at most one connection, made when the first request wants it and
// again, after a back-off, when it broke. Requests are pipelined in the order
// they were started, and answers must come in that order: an answer is matched
// with the oldest open request and with nothing else. Whatever does not fit (a
// correlation id, a length, bytes nobody asked for, an answer that does not
// decode) closes the connection, and every open request learns that its outcome
// is unknown.
//
// It retries nothing. Every failed request says whether it may have reached the
// broker: ErrNotSent or ErrNoAnswer. The caller must not read that as more than
// it says.
package link

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/backoff"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// Config says how a Link behaves. DefaultConfig fills in what Kafka's clients
// do.
type Config struct {
	Address        string // host:port
	ClientID       string
	Software       string        // what ApiVersions tells the broker about us
	Version        string        //
	DialTimeout    time.Duration // socket.connection.setup.timeout.ms: connecting and negotiating
	RequestTimeout time.Duration // request.timeout.ms: a broker that does not answer for so long has lost the connection
	BackoffMin     time.Duration // reconnect.backoff.ms
	BackoffMax     time.Duration // reconnect.backoff.max.ms
	MaxIdle        time.Duration // connections.max.idle.ms
	MaxFrame       int           // bytes of an answer
	MaxQueued      int           // requests that wait to be written
	Silence        *Silence      // shared by the links of one client; nil: this link goes by itself
}

// A Silence is when a connection of a client was last given up because nothing was heard
// on it. Where a host or a network has changed its address, all connections are dead at
// once, and each would take request.timeout.ms to find out, one behind the other.
type Silence struct{ at kafka.Instant }

// DefaultConfig returns the settings of Kafka's clients for one address.
func DefaultConfig(address string) Config {
	return Config{
		Address:        address,
		ClientID:       "klamm",
		Software:       "klamm",
		Version:        "1",
		DialTimeout:    10 * time.Second,
		RequestTimeout: 30 * time.Second,
		BackoffMin:     50 * time.Millisecond,
		BackoffMax:     time.Second,
		MaxIdle:        9 * time.Minute,
		MaxFrame:       128 << 20,
		MaxQueued:      1024,
	}
}

// A Link is the way to one broker.
//
// Invariants, checked by Check:
//
//  1. a call is in the queue, or among the session's open calls, or done
//  2. the open calls have rising correlation ids
//  3. without a session there are no open calls
type Link struct {
	w       *env.World
	c       Config
	changed env.Cond // the queue, the session, or closed
	tasks   *env.Group
	started bool
	closed  bool
	queue   []*Call
	session *session
	next    int32 // correlation id

	failures  int           // connection attempts that failed since one succeeded
	notBefore kafka.Instant // when the next attempt may begin
}

// New returns a Link. It connects when the first request wants it.
func New(w *env.World, c Config) *Link {
	label := "link " + c.Address
	return &Link{w: w, c: c, changed: w.NewCond(label), tasks: env.NewGroup(w, label)}
}

// Address returns the broker's address.
func (l *Link) Address() string { return l.c.Address }

// Start queues a request and returns its Call; calls are written in the order of
// Start. It does not block. The request belongs to the link until the call is
// done.
func (l *Link) Start(req kmsg.Request, o Options) *Call {
	call := &Call{link: l, req: req, o: o, done: l.w.NewCond("answer " + l.c.Address)}
	switch {
	case l.closed:
		call.fail(notSent(call, env.ErrClosed))
		return call
	case len(l.queue) >= l.c.MaxQueued || l.w.Buggify("the queue of requests to a broker is full"):
		l.w.Probe("a request found the queue to its broker full")
		call.fail(notSent(call, fmt.Errorf("%d requests wait: %w", len(l.queue), errQueueFull)))
		return call
	}
	l.queue = append(l.queue, call)
	if !l.started {
		l.started = true
		l.tasks.Go("link "+l.c.Address, l.run)
	}
	l.changed.Broadcast()
	return call
}

// Do is Start and Wait. Blocks.
func (l *Link) Do(req kmsg.Request, o Options, deadline kafka.Instant) (kmsg.Response, error) {
	return l.Start(req, o).Wait(deadline)
}

// Close closes the connection, fails the calls that are not done, and waits for
// the link's tasks. Blocks.
func (l *Link) Close(deadline kafka.Instant) error {
	if !l.closed {
		l.closed = true
		l.drop(env.ErrClosed)
		l.tasks.Cancel()
		l.changed.Broadcast()
	}
	return l.tasks.Wait(deadline)
}

// run connects when there is something to send, and sends it. It ends where
// there is neither a connection nor a wish for one, until the next Start.
func (l *Link) run() {
	defer func() {
		l.started = false
		l.drop(env.ErrClosed)
	}()
	for !l.closed {
		switch {
		case len(l.queue) == 0 && l.session == nil:
			return
		case len(l.queue) == 0:
			if l.changed.Wait(kafka.Never) != nil {
				return
			}
		case l.session == nil:
			l.connect()
		case l.w.Now() < l.session.mutedTill:
			if err := l.changed.Wait(l.session.mutedTill); err != nil && !errors.Is(err, env.ErrDeadline) {
				return
			}
		case l.session.doubtful():
			l.w.Probe("a connection was made anew because another had gone silent")
			l.session.end(errDoubtful)
		default:
			l.write(l.session)
		}
	}
}

// drop ends the session and fails everything that is queued.
func (l *Link) drop(why error) {
	if l.session != nil {
		l.session.end(why)
	}
	l.failQueue(why)
}

func (l *Link) failQueue(why error) {
	queue := l.queue
	l.queue = nil
	for _, call := range queue {
		call.fail(notSent(call, why))
	}
}

// connect makes a session, or fails what is queued and begins a back-off.
func (l *Link) connect() {
	if now := l.w.Now(); now < l.notBefore {
		if err := l.w.Sleep(l.notBefore.Sub(now)); err != nil {
			l.closed = true
			return
		}
		return // second look: closed, or everybody has given up
	}
	s, err := l.dial()
	if err != nil {
		l.backOff()
		l.failQueue(err)
		return
	}
	l.failures = 0
	if l.closed {
		s.conn.Close()
		return
	}
	l.session = s
	l.tasks.Go("answers "+l.c.Address, s.read)
}

// backOff sets the earliest time of the next attempt.
func (l *Link) backOff() {
	l.failures++
	wait := backoff.Backoff{Min: l.c.BackoffMin, Max: l.c.BackoffMax}
	l.notBefore = l.w.Now().Add(wait.After(l.failures, l.w.Rand("link "+l.c.Address)))
}

// write takes the oldest call from the queue and writes it.
func (l *Link) write(s *session) {
	call := l.queue[0]
	l.queue = l.queue[1:]
	version, err := s.versions.choose(call.req, call.o)
	if err != nil {
		call.fail(notSent(call, err))
		return
	}
	call.req.SetVersion(version)
	call.correlation = l.next
	l.next = (l.next + 1) & 0x7fffffff
	call.overdue = l.w.Now().Add(l.c.RequestTimeout + call.o.Patience)
	err = s.send(call)
	if err == nil && l.w.Buggify("a client gives up a healthy connection") {
		err = env.ErrReset
	}
	if err != nil {
		s.end(err)
	}
}

// Check returns the first broken invariant.
func (l *Link) Check() error {
	for i, call := range l.queue {
		if call.state != queued {
			return fmt.Errorf("link %s: call %d in the queue is %s", l.c.Address, i, call.state)
		}
	}
	if l.session == nil {
		return nil
	}
	for i, call := range l.session.open {
		if call.state != sent && call.state != abandoned {
			return fmt.Errorf("link %s: open call %d is %s", l.c.Address, i, call.state)
		}
		if i > 0 && call.correlation <= l.session.open[i-1].correlation && call.correlation != 0 {
			return fmt.Errorf("link %s: correlation id %d after %d", l.c.Address,
				call.correlation, l.session.open[i-1].correlation)
		}
	}
	return nil
}
