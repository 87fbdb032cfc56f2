package osenv

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A conn implements env.Conn on a TCP connection.
type conn struct {
	h           *Host
	tcp         *net.TCPConn
	local, peer string

	read, write side
	closed      bool

	vector  [][]byte    // WriteBuffers' copy of the caller's slice
	pending net.Buffers // what of vector is not written
}

// A side is one direction of a connection. Canceling a task that is inside
// pokes the side: a deadline long ago makes the system call return with what it
// has, and nothing is lost. The call that returns puts the true deadline back.
type side struct {
	h        *Host
	set      func(time.Time) error
	deadline kafka.Instant
	inside   *task
	poked    bool
}

func (s *side) poke() {
	s.poked = true
	_ = s.set(longAgo)
}

func (s *side) interrupt(*task) { s.poke() }

// until changes the deadline, also of a call that waits, unless that has to
// return anyway.
func (s *side) until(t kafka.Instant) {
	s.deadline = t
	if !s.poked {
		_ = s.set(s.h.real(t))
	}
}

// change is until for callers that often set what is set already.
func (s *side) change(t kafka.Instant) {
	if t != s.deadline {
		s.until(t)
	}
}

// newConn wraps a connection. Package net has switched Nagle's algorithm off:
// requests and answers are written whole.
func newConn(h *Host, tcp *net.TCPConn) *conn {
	c := &conn{h: h, tcp: tcp, local: tcp.LocalAddr().String(), peer: tcp.RemoteAddr().String()}
	c.read = side{h: h, set: tcp.SetReadDeadline, deadline: kafka.Never}
	c.write = side{h: h, set: tcp.SetWriteDeadline, deadline: kafka.Never}
	h.open[tcp] = struct{}{}
	return c
}

// begin lays down the baton for a call on one side.
func (c *conn) begin(s *side, call string) (*task, error) {
	t := c.h.current
	switch {
	case t.canceled:
		return nil, c.fail(call, env.ErrCanceled)
	case c.closed:
		return nil, c.fail(call, env.ErrClosed)
	}
	assert.That(s.inside == nil, "osenv: two tasks %s one connection at once", call)
	s.inside = t
	t.at = s
	c.h.leave()
	return t, nil
}

// finish takes the baton again and says what the system call's error means.
func (c *conn) finish(s *side, t *task, call string, err error) error {
	c.h.enter(t)
	t.at = nil
	s.inside = nil
	if c.closed {
		c.closeIfUnused()
	} else if s.poked {
		s.poked = false
		s.until(s.deadline)
	}
	switch {
	case err == nil || err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case c.closed:
		return c.fail(call, env.ErrClosed)
	case errors.Is(err, os.ErrDeadlineExceeded) && t.canceled:
		return c.fail(call, env.ErrCanceled)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.fail(call, env.ErrDeadline)
	}
	return connError(err)
}

func (c *conn) fail(call string, err error) error {
	return fmt.Errorf("%s %s->%s: %w", call, c.local, c.peer, err)
}

// Read implements env.Conn.
func (c *conn) Read(p []byte) (int, error) {
	t, err := c.begin(&c.read, "read")
	if err != nil {
		return 0, err
	}
	n, err := c.tcp.Read(p)
	return n, c.finish(&c.read, t, "read", err)
}

// Write implements env.Conn.
func (c *conn) Write(p []byte) (int, error) {
	t, err := c.begin(&c.write, "write")
	if err != nil {
		return 0, err
	}
	n, err := c.tcp.Write(p)
	return n, c.finish(&c.write, t, "write", err)
}

// WriteBuffers implements env.Conn. net.Buffers eats the slice it writes from,
// so it is given a copy.
func (c *conn) WriteBuffers(bufs [][]byte) (int64, error) {
	t, err := c.begin(&c.write, "write")
	if err != nil {
		return 0, err
	}
	c.vector = append(c.vector[:0], bufs...)
	c.pending = c.vector
	n, err := c.pending.WriteTo(c.tcp)
	clear(c.vector)
	c.pending = nil
	return n, c.finish(&c.write, t, "write", err)
}

// SendFile implements env.Conn.
func (c *conn) SendFile(f env.File, off, n int64) (int64, error) {
	own, ok := f.(*file)
	if !ok {
		return c.copyFile(f, off, n)
	}
	t, err := c.begin(&c.write, "send file")
	if err != nil {
		return 0, err
	}
	sent, err := sendFile(c.tcp, own, off, n)
	err = c.finish(&c.write, t, "send file", err)
	if sent == 0 && errors.Is(err, errors.ErrUnsupported) {
		return c.copyFile(f, off, n)
	}
	return sent, err
}

// copyFile sends what the system cannot send by itself.
func (c *conn) copyFile(f env.File, off, n int64) (sent int64, err error) {
	buf := make([]byte, min(n, 256<<10))
	for sent < n {
		got, err := f.ReadAt(buf[:min(n-sent, int64(len(buf)))], off+sent)
		if got > 0 {
			put, err := c.Write(buf[:got])
			sent += int64(put)
			if err != nil {
				return sent, err
			}
			continue // an error of the read comes again if it lasts
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// CloseWrite implements env.Conn.
func (c *conn) CloseWrite() error {
	if c.closed {
		return c.fail("close write", env.ErrClosed)
	}
	if err := c.tcp.CloseWrite(); err != nil {
		return connError(err)
	}
	return nil
}

// Close implements env.Conn. Closing the socket waits for the calls inside it,
// so the last of them closes it.
func (c *conn) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	for _, s := range []*side{&c.read, &c.write} {
		if s.inside != nil {
			s.poke()
		}
	}
	c.closeIfUnused()
	return nil
}

func (c *conn) closeIfUnused() {
	if c.read.inside == nil && c.write.inside == nil {
		delete(c.h.open, c.tcp)
		c.h.later(c)
	}
}

// release closes the socket, when the baton is down.
func (c *conn) release() { _ = c.tcp.Close() }

// SetReadDeadline implements env.Conn.
func (c *conn) SetReadDeadline(t kafka.Instant) { c.read.change(t) }

// SetWriteDeadline implements env.Conn.
func (c *conn) SetWriteDeadline(t kafka.Instant) { c.write.change(t) }

// LocalAddress implements env.Conn.
func (c *conn) LocalAddress() string { return c.local }

// PeerAddress implements env.Conn.
func (c *conn) PeerAddress() string { return c.peer }
