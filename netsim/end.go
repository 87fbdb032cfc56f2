package netsim

import (
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A conn is one connection: two ends and the two flows between them.
type conn struct {
	id             uint64
	client, server *end
	slot           int      // its place in Network.conns
	severed        *Applied // the fault by which nothing that either end sends arrives; nil: none
}

// joins reports whether the connection is between two hosts, either way.
func (c *conn) joins(a, b *host) bool {
	return (c.client.host == a && c.server.host == b) || (c.client.host == b && c.server.host == a)
}

// An end is one end of a connection: the socket, and the env.Conn of its program.
//
// It is gone once its program closed it, it broke, or its machine lost power. What
// arrives at an end that is gone is answered with a reset.
type end struct {
	net   *Network
	host  *host
	port  int
	conn  *conn
	out   *flow // what it sends
	in    *flow // what it is sent
	local string
	// remote is the peer's address.
	remote string

	received line // delivered and not read
	unread   int  // bytes in received
	readers  sim.Queue
	writers  sim.Queue

	readDeadline  kafka.Instant
	writeDeadline kafka.Instant
	readAfter     kafka.Instant // a slow receiver reads no earlier

	established bool
	eof         bool // the peer ended its stream
	ended       bool // this end ended its stream
	closed      bool // Close was called, or the process died
	vanished    bool // the machine lost power
	answered    bool // a reset was sent
	err         error

	reading, writing bool   // a call is under way
	label            string // what stall reports call the wait of its reader
	one              [1][]byte
}

func newConn(n *Network, client, server *end) *conn {
	n.lastConn++
	c := &conn{id: n.lastConn, client: client, server: server, slot: len(n.conns)}
	n.conns = append(n.conns, c)
	for _, e := range []*end{client, server} {
		e.net, e.conn = n, c
		e.readDeadline, e.writeDeadline = kafka.Never, kafka.Never
	}
	client.out = newFlow(client, server)
	server.out = newFlow(server, client)
	client.in, server.in = server.out, client.out
	return c
}

func (e *end) peer() *end {
	if e == e.conn.client {
		return e.conn.server
	}
	return e.conn.client
}

// gone reports whether there is no socket any more.
func (e *end) gone() bool { return e.closed || e.vanished || e.err != nil }

// forget takes a connection off the network's list once both ends are gone.
func (c *conn) forget() {
	n := c.client.net
	// A client that is gone has no SYN under way, so a server's end without one
	// will never be.
	if c.slot < 0 || !c.client.gone() || !(c.server.gone() || c.server.embryo()) {
		return
	}
	last := n.conns[len(n.conns)-1]
	n.conns[c.slot], last.slot = last, c.slot
	n.conns[len(n.conns)-1] = nil
	n.conns = n.conns[:len(n.conns)-1]
	c.slot = -1
}

// embryo reports whether this is a server's end whose SYN has not arrived.
func (e *end) embryo() bool { return e == e.conn.server && !e.established }

func (e *end) wake() {
	e.readers.WakeAll(e.net.k)
	e.writers.WakeAll(e.net.k)
}

// connect ends the handshake at this end.
func (e *end) connect() {
	if e.established || e.gone() {
		return
	}
	e.established = true
	e.note(evConnected, 0, 0)
	e.wake()
}

func (e *end) receive(s segment) {
	e.received.push(s)
	e.unread += len(s.buf)
	e.readers.WakeAll(e.net.k)
}

// finished learns that the peer ended its stream.
func (e *end) finished() {
	if e.gone() {
		if !e.closed || e.vanished {
			e.answerReset()
		}
		return
	}
	e.eof = true
	e.note(evDelivered, 0, uint32(fin))
	e.readers.WakeAll(e.net.k)
}

// reset learns that the peer has no such connection. Whether bytes that were
// received and not read are lost too differs between kernels, so it is drawn.
func (e *end) reset() {
	if e.gone() {
		return
	}
	if e.in.link.stream.Uint64()&1 == 0 {
		e.discard()
	}
	err := env.ErrReset
	if !e.established {
		err = env.ErrRefused
	}
	e.fail(evReset, err)
}

// timeOut breaks an end whose peer does not answer. The peer is not told.
func (e *end) timeOut() {
	if e.gone() && !e.closed {
		return
	}
	if e.closed {
		e.out.purge()
		return
	}
	if e.established {
		e.fail(evTimedOut, env.ErrReset)
	}
}

// fail breaks an end; nothing it sent and that has not arrived will.
func (e *end) fail(ev event, err error) {
	e.note(ev, 0, 0)
	e.err = err
	e.out.purge()
	e.in.unplug()
	e.wake()
	e.conn.forget()
}

func (e *end) discard() {
	e.received.drain(&e.net.pool)
	e.unread = 0
}

// answerReset tells the peer that there is no such connection.
func (e *end) answerReset() {
	if e.answered {
		return
	}
	e.answered, e.ended = true, true
	e.out.purge()
	e.out.signal(rst)
}

// release is Close, and what a kernel does for a process that died.
func (e *end) release() {
	if e.closed {
		return
	}
	wasGone := e.gone()
	e.closed = true
	e.note(evClosed, 0, 0)
	if !wasGone {
		e.leave()
	}
	e.discard()
	e.in.unplug()
	e.wake()
	e.conn.forget()
}

// leave tells the peer that this end is going: the end of the stream, or a reset
// when received bytes were never read, as Linux has it (RFC 2525, 2.17), or when
// the handshake was not over.
func (e *end) leave() {
	switch {
	case e.unread > 0 || !e.established:
		e.answerReset()
	case !e.ended:
		e.ended = true
		e.out.signal(fin)
	}
}

// vanish is power loss.
func (e *end) vanish() {
	if e.vanished || e.embryo() {
		return
	}
	e.vanished = true
	e.discard()
	if e.established {
		e.out.cut()
	} else {
		e.out.purge()
	}
	e.in.unplug()
	e.conn.forget()
	p := e.peer()
	if !p.gone() && p.host != e.host {
		e.net.k.After(e.net.options.KeepAlive, p.timeOut)
	}
}
