// Package api translates: frames of Kafka's protocol into calls of the broker,
// and what comes of them into answers.
//
// One file for each API key says on top which versions are served, how they
// differ and where we deviate from Kafka; table.go lists them all. Requests of
// one connection take effect in the order they arrive and are answered in that
// order; only their waits overlap.
//
// It takes no size or count on trust: frames are bounded and admitted against a
// budget of the whole node before they are read, and what a client sends wrong
// ends its connection and nobody else's.
package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/api/session"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
)

// A Server serves connections.
type Server struct {
	w      *env.World
	config *config.View // in force now: the broker's, once there is one

	// What answers requests; each is nil on a node without that part, and until it
	// is there.
	broker     *broker.Broker
	groups     *Groups
	controller Controller
	forwarder  Forwarder
	source     Source
	quorum     *quorum.Quorum

	handlers []*handler // by key
	pool     pool
	budget   budget // of requests
	answers  budget

	// Of nodes among each other.
	nodeRequests, nodeAnswers budget

	grown     int64 // bytes by which records of requests under way grew
	ahead     int   // buffers of those connections that read far ahead
	listeners []*listener
	conns     []*conn        // in the order they were accepted
	clients   int            // of conns
	perIP     map[string]int // of the clients'
	nodes     int            // of conns, those of nodes
	accepting *env.Group
	emptied   env.Cond     // a connection has ended on a side that stops
	stopping  [ofBoth]bool // by side: nothing new is taken up there
	creating  int          // topics that are being created because somebody asked for them
	stats     Stats
	counts    counts
	sessions  *session.Cache // of fetches
}

// Stats are counts since the start, and what is open now.
type Stats struct {
	Connections, Accepted, Refused uint64
	Dropped                        uint64 // slow ones, because others waited for memory
	ReceivedBytes, SentBytes       uint64 // of requests and answers
	Requests, BadRequests          uint64
	QueuedBytes, AnswerBytes       int64 // of the two budgets
	PooledBytes                    int64
}

type listener struct {
	name string
	via  side // ofBrokers or ofControllers
	net  env.Listener
	open bool // what comes by it is served

	accepting bool // connections are taken from it
}

// Listen opens the configured listeners. Connections wait until somebody serves
// them, or until TurnAway. It does not block.
func Listen(w *env.World, view *config.View) (*Server, error) {
	s := &Server{
		w:        w,
		config:   view,
		handlers: handlersByKey(),
		budget:   budget{w: w, limit: config.QueuedMaxRequestBytes.In(view), lends: true},
		answers:  budget{w: w, limit: config.QueuedMaxRequestBytes.In(view)},

		nodeRequests: budget{w: w, limit: config.QueuedMaxRequestBytes.In(view)},
		nodeAnswers:  budget{w: w, limit: config.QueuedMaxRequestBytes.In(view)},

		perIP:     map[string]int{},
		accepting: env.NewGroup(w, "api/accept"),
		emptied:   w.NewCond("api/emptied"),
		sessions:  newSessions(w, view),
	}
	for _, b := range s.budgets() {
		b.short = func(how help) { s.dropSlow(b, how) }
	}
	for _, l := range config.ListenersIn(view, config.Listeners) {
		net, err := w.Net.Listen(l.Address())
		if err != nil {
			s.closeListeners()
			return nil, fmt.Errorf("listener %s://%s: %w", l.Name, l.Address(), err)
		}
		s.listeners = append(s.listeners, &listener{name: l.Name, via: sideOf(view, l.Name), net: net})
	}
	return s, nil
}

// sideOf says what a listener is for.
func sideOf(v *config.View, name string) side {
	if config.IsControllers(v, name) {
		return ofControllers
	}
	return ofBrokers
}

// budgets returns those of requests and answers, of clients and of nodes.
func (s *Server) budgets() []*budget {
	return []*budget{&s.budget, &s.answers, &s.nodeRequests, &s.nodeAnswers}
}

// Address returns where clients can dial the first listener.
func (s *Server) Address() string { return s.listeners[0].net.Address() }

// Endpoints returns what clients are told: advertised.listeners, or where the
// node listens. Listeners of controllers are not told.
func (s *Server) Endpoints() []meta.Endpoint {
	var out []meta.Endpoint
	for _, l := range config.ListenersIn(s.config, config.AdvertisedListeners) {
		out = append(out, meta.Endpoint{Listener: l.Name, Host: l.Host, Port: l.Port})
	}
	if len(out) > 0 {
		return out
	}
	for _, l := range s.listeners {
		if l.via == ofControllers {
			continue
		}
		at, err := config.ParseListener(l.name + "://" + l.net.Address())
		if err != nil {
			s.w.Log.Error("listener has an address that cannot be advertised", "address", l.net.Address(), "err", err)
			continue
		}
		if at.Host == "" || at.Host == "::" || at.Host == "0.0.0.0" {
			at.Host = "localhost" // every address is none to be told
		}
		out = append(out, meta.Endpoint{Listener: at.Name, Host: at.Host, Port: at.Port})
	}
	return out
}

// SetSource says what metadata the node has. It is told first.
func (s *Server) SetSource(m Source) { s.source = m }

// SetForwarder says how the active controller is reached when it is not here.
func (s *Server) SetForwarder(f Forwarder) { s.forwarder = f }

// SetController says what answers where this node is the active controller.
func (s *Server) SetController(c Controller) { s.controller = c }

// SetQuorum begins to serve a member of the quorum, on the listeners of
// controllers.
func (s *Server) SetQuorum(q *quorum.Quorum) {
	s.quorum = q
	s.open(ofControllers)
}

// SetBroker begins to serve a broker, on its listeners.
func (s *Server) SetBroker(b *broker.Broker) {
	s.broker = b
	s.config = b.Config()
	b.OnConfig(func(v *config.View) { s.config = v })
	s.open(ofBrokers)
}

// TurnAway closes connections right away that come before there is anybody to
// serve them: who tries several nodes goes on to the next, and does not wait here.
func (s *Server) TurnAway() {
	for _, l := range s.listeners {
		s.startAccepting(l)
	}
}

// open begins to serve the connections of the listeners of one side.
func (s *Server) open(via side) {
	for _, l := range s.listeners {
		if l.via == via {
			l.open = true
			s.startAccepting(l)
		}
	}
}

// startAccepting accepts connections of a listener from here on. Those that came
// before have waited.
func (s *Server) startAccepting(l *listener) {
	if l.accepting {
		return
	}
	l.accepting = true
	s.accepting.Go("api/accept "+l.net.Address(), func() { s.acceptLoop(l) })
}

func (s *Server) acceptLoop(l *listener) {
	for {
		net, err := l.net.Accept()
		if errors.Is(err, env.ErrClosed) || errors.Is(err, env.ErrCanceled) {
			return
		}
		if err != nil { // too many files, most likely: it passes
			s.w.Log.Warn("connection not accepted", "listener", l.net.Address(), "err", err)
			if s.w.Sleep(100*time.Millisecond) != nil {
				return
			}
			continue
		}
		s.accept(net, l)
	}
}

// accept takes a connection, or closes it if there are too many.
func (s *Server) accept(net env.Conn, l *listener) {
	if !l.open {
		s.w.Probe("a client came before the node served")
		_ = net.Close()
		return
	}
	if s.stopping[l.via] || s.fullFor(l, net.PeerAddress()) {
		s.stats.Refused++
		s.w.Probe("a connection was one too many")
		_ = net.Close()
		return
	}
	s.stats.Accepted++
	c := s.newConn(net, l)
	s.remember(c)
	c.start()
}

func (s *Server) forget(c *conn) {
	if i := slices.Index(s.conns, c); i >= 0 {
		s.conns = slices.Delete(s.conns, i, i+1)
		s.uncount(c)
	}
	if s.stopping[c.client.via] {
		s.emptied.Broadcast()
	}
}

// idleDeadline returns when a connection on which nothing moves is closed: up to a
// 64th of the time later than it has to be, so that a busy connection has the
// same deadline for many requests, and need not change it for each.
func (s *Server) idleDeadline() kafka.Instant {
	idle := config.ConnectionsMaxIdle.Duration(s.config)
	if idle < 0 {
		return kafka.Never
	}
	at, step := s.w.Now().Add(idle), kafka.Instant(max(idle/64, 1))
	if at > kafka.Never-step {
		return kafka.Never
	}
	return (at + step - 1) / step * step
}

// StopBrokers takes no further connections and requests of clients and of other
// brokers, answers those that were taken up, and closes their connections, at the
// deadline at the latest. What controllers ask is answered as before. Blocks.
func (s *Server) StopBrokers(deadline kafka.Instant) error { return s.stop(ofBrokers, deadline) }

// Stop ends the service as StopBrokers does, of controllers too. Blocks.
func (s *Server) Stop(deadline kafka.Instant) error {
	err := s.stop(ofBrokers, deadline)
	return errors.Join(err, s.stop(ofControllers, deadline))
}

func (s *Server) stop(via side, deadline kafka.Instant) error {
	s.stopping[via] = true
	for _, l := range s.listeners {
		if l.via == via {
			_ = l.net.Close()
		}
	}
	for _, c := range s.connsOf(via) {
		c.stop()
	}
	if s.broker != nil && via == ofBrokers {
		s.broker.Hurry()
	}
	err := s.waitEmpty(via, deadline)
	if err == nil {
		return nil
	}
	for _, c := range s.connsOf(via) {
		c.end(env.ErrClosed)
	}
	return errors.Join(err, s.waitEmpty(via, s.w.Now().Add(time.Second)))
}

// connsOf returns the connections that came by the listeners of one side, in the
// order they were accepted.
func (s *Server) connsOf(via side) []*conn {
	return slices.DeleteFunc(slices.Clone(s.conns), func(c *conn) bool { return c.client.via != via })
}

func (s *Server) waitEmpty(via side, deadline kafka.Instant) error {
	for {
		n := len(s.connsOf(via))
		if n == 0 {
			return nil
		}
		if err := s.emptied.Wait(deadline); err != nil {
			return fmt.Errorf("%d connections are open: %w", n, err)
		}
	}
}

// stop ends the reading of a connection.
func (c *conn) stop() { c.reading.Cancel() }

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.net.Close()
	}
}

// Stats returns the counts.
func (s *Server) Stats() Stats {
	out := s.stats
	out.Connections = uint64(len(s.conns))
	out.QueuedBytes, out.AnswerBytes = s.budget.used, s.answers.used
	out.PooledBytes = int64(s.pool.kept)
	return out
}

// Check returns the first limit that is not kept.
func (s *Server) Check() error {
	var broken []string
	for i, b := range s.budgets() {
		if err := b.check(); err != nil {
			broken = append(broken, fmt.Sprintf("budget %d: %v", i, err))
		}
	}
	if err := s.sessions.Check(); err != nil {
		broken = append(broken, err.Error())
	}
	if s.pool.kept > poolLimit {
		broken = append(broken, fmt.Sprintf("%d bytes pooled, limit %d", s.pool.kept, poolLimit))
	}
	for _, c := range s.conns {
		if n := int64(len(c.queue)); n > config.MaxRequestsInFlight.In(s.config) {
			broken = append(broken, fmt.Sprintf("%s: %d requests in flight", c.client.Peer, n))
		}
	}
	if broken != nil {
		return errors.New("api: " + strings.Join(broken, "; "))
	}
	return nil
}
