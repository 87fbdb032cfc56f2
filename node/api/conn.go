package api

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A conn is one connection: a task that reads requests and takes them up in
// order, and one that answers them in the same order. Waiting happens in the
// second, so that requests overlap only where they wait.
type conn struct {
	s      *Server
	net    env.Conn
	client *Client
	read   reader
	out    []byte // the writer's buffer

	ofNode    bool // a node's connection, not a client's
	requests  *budget
	answers   *budget
	held      int64 // of both budgets
	receiving stall // in the middle of a frame
	sending   stall // in the middle of an answer

	queue   []*Call  // taken up and not answered, in order
	more    env.Cond // the queue has grown, or the reader has ended
	fewer   env.Cond // the queue has shrunk, or the writer has ended
	tasks   *env.Group
	reading env.Task // the reader
	running int      // of the two tasks
	ended   error    // why no further request is taken up
}

// errStopping: the node stops; what was taken up is still answered.
var errStopping = errors.New("node is stopping")

func (s *Server) newConn(net env.Conn, l *listener) *conn {
	c := &conn{
		s:      s,
		net:    net,
		ofNode: s.forNodes(l), requests: &s.budget, answers: &s.answers,
		client: &Client{Principal: Anonymous, Listener: l.name, via: l.via, Peer: net.PeerAddress()},
		read:   reader{conn: net, pool: &s.pool, busy: &s.ahead},
		more:   s.w.NewCond("api/more"),
		fewer:  s.w.NewCond("api/fewer"),
		tasks:  env.NewGroup(s.w, "api/conn"),
	}
	if c.ofNode {
		c.requests, c.answers = &s.nodeRequests, &s.nodeAnswers
	}
	return c
}

// start starts the connection's tasks.
func (c *conn) start() {
	c.running = 2
	c.reading = c.tasks.Go("api/read "+c.client.Peer, func() {
		defer c.leave()
		c.end(c.readLoop())
	})
	c.tasks.Go("api/write "+c.client.Peer, func() {
		defer c.leave()
		if err := c.writeLoop(); err != nil {
			c.end(err)
		}
	})
}

// end ends the connection. What waits is canceled, unless the node is stopping:
// then the writer answers what was taken up.
func (c *conn) end(why error) {
	if c.ended == nil {
		c.ended = why
		c.report(why)
	}
	if !errors.Is(why, errStopping) {
		c.tasks.Cancel()
		_ = c.net.Close()
	}
	c.more.Broadcast()
	c.fewer.Broadcast()
}

// report tells about ends that somebody may wonder about.
func (c *conn) report(why error) {
	if errors.Is(why, errFrame) {
		c.s.stats.BadRequests++
		c.s.w.Probe("a connection was closed for what it sent")
	}
	if errors.Is(why, errFrame) || errors.Is(why, errSlow) {
		c.s.w.Log.Info("connection closed", "conn", c.client.Peer, "err", why)
		return
	}
	c.s.w.Log.Debug("connection ended", "conn", c.client.Peer, "err", why)
}

// leave lets go of everything once both tasks are over.
func (c *conn) leave() {
	c.running--
	if c.running > 0 {
		return
	}
	for _, call := range c.queue {
		call.answer.drop()
		call.frame.release()
	}
	c.queue = nil
	_ = c.net.Close()
	c.read.release()
	c.s.forget(c)
}

// readLoop takes up requests until the connection ends.
func (c *conn) readLoop() error {
	for {
		if err := c.waitBelow(int(config.MaxRequestsInFlight.In(c.s.config))); err != nil {
			return err
		}
		if err := c.waitReadable(); err != nil {
			return err
		}
		call, err := c.readCall()
		if err != nil {
			return err
		}
		if err := c.takeUp(call); err != nil {
			call.frame.release()
			return err
		}
	}
}

// waitBelow waits until fewer than n calls are unanswered. Blocks.
func (c *conn) waitBelow(n int) error {
	for c.ended == nil && len(c.queue) >= n {
		if err := c.fewer.Wait(kafka.Never); err != nil {
			return c.interrupted(err)
		}
	}
	return c.ended
}

// waitReadable waits for the first byte of a request. A connection that waits
// for an answer is not idle. Blocks.
func (c *conn) waitReadable() error {
	for c.read.at == c.read.end {
		c.net.SetReadDeadline(c.s.idleDeadline())
		err := c.read.fill()
		if errors.Is(err, env.ErrDeadline) && len(c.queue) > 0 {
			continue
		}
		if err != nil {
			return c.interrupted(err)
		}
	}
	return nil
}

// interrupted tells a stop from the other reasons for being canceled.
func (c *conn) interrupted(err error) error {
	if errors.Is(err, env.ErrCanceled) && c.s.stopping[c.client.via] {
		return errStopping
	}
	return err
}

// readCall reads a frame and its header. The key is read first, for it says how
// large a frame may be and what it counts. Blocks.
func (c *conn) readCall() (*Call, error) {
	size, err := c.read.size(config.SocketRequestMaxBytes.In(c.s.config))
	if err != nil {
		return nil, c.interrupted(err)
	}
	var key [2]byte
	if err := c.read.full(key[:]); err != nil {
		return nil, c.interrupted(err)
	}
	worth, err := c.s.frameWorth(int16(binary.BigEndian.Uint16(key[:])), size)
	if err != nil {
		return nil, err
	}
	taken, err := c.requests.take(worth)
	if err != nil {
		return nil, c.interrupted(err)
	}
	c.held += taken
	f := &frame{c: c, bytes: c.s.pool.get(size), taken: taken, users: 1}
	copy(f.bytes, key[:])
	c.net.SetReadDeadline(c.s.idleDeadline())
	c.receiving.begin(c.s.w)
	err = c.read.full(f.bytes[len(key):])
	c.receiving.end()
	if err != nil {
		f.release()
		return nil, c.interrupted(err)
	}
	c.s.stats.ReceivedBytes += uint64(4 + size)
	call, err := c.newCall(f)
	if err != nil {
		f.release()
	}
	return call, err
}

// frameWorth returns what a frame counts against the budget. Records count what
// they are; all else many times that, for a list of small things is that much
// larger once it is decoded.
func (s *Server) frameWorth(key int16, size int) (int64, error) {
	if h := s.handler(key); h != nil && h.plain {
		return int64(size), nil
	}
	most := maxOther
	if key == int16(peer.ForwardKey) {
		most += maxForwarding
	}
	if size > most {
		return 0, fmt.Errorf("%w: key %d with %d bytes, at most %d", errFrame, key, size, most)
	}
	return int64(size) * decodedTimes, nil
}

// largestWorth returns the most that a frame of a client counts.
func (s *Server) largestWorth() int64 {
	records := config.SocketRequestMaxBytes.In(s.config)
	other := int64(min(records, maxOther+maxForwarding)) * decodedTimes
	return min(max(int64(records), other), s.budget.limit)
}

func (c *conn) newCall(f *frame) (*Call, error) {
	h, err := parseHeader(f.bytes, c.s.flexible)
	if err != nil {
		return nil, err
	}
	call := &Call{
		Key: h.key, Version: h.version, Correlation: h.correlation, ClientID: h.clientID,
		Client: c.client, Arrived: c.s.w.Now(), handler: c.s.handler(h.key), body: h.body, frame: f,
	}
	unserved := call.handler == nil || !call.handler.on.serves(c.client.via) || h.version < call.handler.min || h.version > call.handler.max
	if unserved && h.key != int16(kmsg.ApiVersions) {
		return nil, fmt.Errorf("%w: key %d version %d is not served", errFrame, h.key, h.version)
	}
	return call, nil
}

// takeUp has a call take effect and queues it for its answer. Blocks.
func (c *conn) takeUp(call *Call) error {
	c.s.stats.Requests++
	c.s.counts.request(call.Key)
	c.trace("request", call)
	var err error
	if call.answer, err = call.handler.begin(c.s, call); err != nil {
		return err
	}
	if call.answer == nil {
		call.frame.release()
		return nil
	}
	c.queue = append(c.queue, call)
	c.more.Broadcast()
	if call.handler.order == alone {
		// An error is found again, by who takes up the next.
		_ = c.waitBelow(1)
	}
	return nil
}

// writeLoop answers the calls in order until the reader has ended and nothing is
// left.
func (c *conn) writeLoop() error {
	for {
		for len(c.queue) == 0 {
			if c.ended != nil {
				return io.EOF
			}
			if err := c.more.Wait(kafka.Never); err != nil {
				return err
			}
		}
		call := c.queue[0]
		if err := call.answer.send(c, call); err != nil {
			return err
		}
		c.trace("answer", call)
		c.queue = c.queue[1:]
		call.frame.release()
		c.fewer.Broadcast()
	}
}

// writeAtOnce is how much of an answer is written in one go. A client has the idle
// time for each, so that one with a slow line gets a large answer too.
const writeAtOnce = 1 << 20

// write writes an answer and keeps its memory for the next. Blocks.
func (c *conn) write(b []byte) error {
	c.sending.begin(c.s.w)
	defer c.sending.end()
	for rest := b; len(rest) > 0; {
		n := min(len(rest), writeAtOnce)
		c.net.SetWriteDeadline(c.s.idleDeadline())
		if _, err := c.net.Write(rest[:n]); err != nil {
			return err
		}
		c.s.stats.SentBytes += uint64(n)
		rest = rest[n:]
	}
	c.keep(b)
	return nil
}

// keep keeps a small answer's memory for the next: there may be thousands of
// connections.
func (c *conn) keep(b []byte) {
	if cap(b) <= 16<<10 {
		c.out = b[:0]
	}
}

func (c *conn) trace(event string, call *Call) {
	if c.s.w.Sight.Tracing() {
		c.s.w.Sight.Trace(event, slog.String("conn", c.client.Peer), slog.String("client", call.ClientID),
			slog.String("api", peer.NameForKey(call.Key)), slog.Int("version", int(call.Version)),
			slog.Int("correlation", int(call.Correlation)))
	}
}
