package api

import (
	"strings"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// What one client may take from the others is bounded: connections, by count and
// by address; memory, by the two budgets; and the time that it may hold memory
// while it neither sends nor reads, which has a bound while others wait for it.

// slowAfter is how long a connection may hold memory and make the node wait, with
// a second more for each 8 MiB, when there is not enough for all. A client with
// a slow line, sending something large, is left alone as long as nobody needs its
// memory.
const slowAfter = 10 * time.Second

// Nodes have limits of their own, as large: clients must not be able to keep
// controllers from hearing each other. Nodes come by the listeners of controllers,
// and by that for brokers among each other if clients have another.

// forNodes reports whether nodes come by a listener, and no clients.
func (s *Server) forNodes(l *listener) bool {
	if l.via == ofControllers {
		return true
	}
	return len(config.BrokerListeners(s.config)) > 1 && l.name == config.InterBrokerListener(s.config)
}

// fullFor reports whether a connection by a listener is one too many.
func (s *Server) fullFor(l *listener, address string) bool {
	if s.forNodes(l) {
		return int64(s.nodes) >= config.MaxConnections.In(s.config)
	}
	return s.full(address)
}

// full reports whether a client's connection from an address is one too many.
func (s *Server) full(address string) bool {
	return int64(s.clients) >= config.MaxConnections.In(s.config) ||
		int64(s.perIP[hostOf(address)]) >= config.MaxConnectionsPerIP.In(s.config)
}

// hostOf returns an address without its port.
func hostOf(address string) string {
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		return address[:i]
	}
	return address
}

// remember counts a connection.
func (s *Server) remember(c *conn) {
	s.conns = append(s.conns, c)
	if c.ofNode {
		s.nodes++
		return
	}
	s.clients++
	s.perIP[hostOf(c.client.Peer)]++
}

// uncount takes a connection off its address's count.
func (s *Server) uncount(c *conn) {
	if c.ofNode {
		s.nodes--
		return
	}
	s.clients--
	host := hostOf(c.client.Peer)
	if s.perIP[host]--; s.perIP[host] == 0 {
		delete(s.perIP, host)
	}
}

// A stall is a wait for a client in the middle of a request or of an answer.
type stall struct {
	since   kafka.Instant
	waiting bool
}

func (st *stall) begin(w *env.World) { *st = stall{since: w.Now(), waiting: true} }
func (st *stall) end()               { st.waiting = false }

// slow reports whether a connection has held memory for too long while it made the
// node wait.
func (c *conn) slow(now kafka.Instant, how help) bool {
	patience := slowAfter + time.Duration(c.held>>23)*time.Second
	if how == atOnce {
		patience = 0
	}
	for _, st := range []stall{c.receiving, c.sending} {
		if c.held > 0 && st.waiting && now.Sub(st.since) > patience {
			return true
		}
	}
	return false
}

// dropSlow ends the connections that hold memory of a budget, or of its companion,
// and make the node wait, because others wait for memory.
func (s *Server) dropSlow(short *budget, how help) {
	now := s.w.Now()
	for _, c := range s.conns {
		if c.ended == nil && (c.requests == short || c.answers == short) && c.slow(now, how) {
			s.w.Probe("a slow connection was closed because others waited for memory")
			s.stats.Dropped++
			c.end(errSlow)
		}
	}
}

// takeForAnswer waits until there is room for an answer of n bytes and returns what
// is to be given back. Blocks.
func (c *conn) takeForAnswer(n int64) (int64, error) {
	got, err := c.answers.take(n)
	c.held += got
	return got, err
}

// giveForAnswer returns the room of an answer that was written, or not.
func (c *conn) giveForAnswer(n int64) {
	c.held -= n
	c.answers.give(n)
}
