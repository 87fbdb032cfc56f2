package netsim

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A listener is a port that takes connections: env.Listener.
type listener struct {
	host    *host
	port    int
	address string
	backlog []*end // connected, not accepted
	waiting sim.Queue
	closed  bool
}

// push adds a connection that is made.
func (l *listener) push(e *end) {
	l.backlog = append(l.backlog, e)
	if a := l.host.stalls; a != nil {
		a.hit(1)
		return
	}
	l.waiting.WakeAll(l.host.net.k)
}

// Accept implements env.Listener. Blocks.
func (l *listener) Accept() (env.Conn, error) {
	if !l.host.node.Alive() {
		return nil, env.ErrClosed
	}
	for {
		switch t := l.host.net.k.Current(); {
		case l.closed:
			return nil, l.failed(env.ErrClosed)
		case t != nil && t.Canceled():
			return nil, l.failed(env.ErrCanceled)
		case len(l.backlog) > 0 && l.host.stalls == nil:
			e := l.backlog[0]
			l.backlog = slices.Delete(l.backlog, 0, 1)
			e.note(evAccepted, 0, 0)
			return e, nil
		}
		if err := l.host.wait(&l.waiting, "accept "+l.address, kafka.Never, kafka.Never); err != nil {
			return nil, l.failed(err)
		}
	}
}

func (l *listener) failed(err error) error { return fmt.Errorf("accept %s: %w", l.address, err) }

// Address implements env.Listener.
func (l *listener) Address() string { return l.address }

// Close implements env.Listener.
func (l *listener) Close() error {
	if l.host.node.Alive() {
		l.release()
	}
	return nil
}

// release frees the port. Connections that nobody accepted are reset, as Linux
// has it.
func (l *listener) release() {
	if l.closed {
		return
	}
	l.closed = true
	if i := slices.Index(l.host.listeners, l); i >= 0 {
		l.host.listeners = slices.Delete(l.host.listeners, i, i+1)
	}
	for _, e := range l.backlog {
		if !e.gone() {
			e.answerReset()
			e.release()
		}
	}
	l.backlog = nil
	l.waiting.WakeAll(l.host.net.k)
}
