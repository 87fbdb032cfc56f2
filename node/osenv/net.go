package osenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A peer that has gone without a word is noticed after about a minute.
var keepAlive = net.KeepAliveConfig{
	Enable:   true,
	Idle:     30 * time.Second,
	Interval: 10 * time.Second,
	Count:    3,
}

// network implements env.Net on TCP.
type network struct{ h *Host }

func (n network) Listen(address string) (env.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, netError(err)
	}
	ln := &listener{h: n.h, tcp: l.(*net.TCPListener), address: l.Addr().String()}
	n.h.open[l] = struct{}{}
	return ln, nil
}

func (n network) Dial(address string, deadline kafka.Instant) (env.Conn, error) {
	h := n.h
	t := h.current
	if t.canceled {
		return nil, fmt.Errorf("dial %s: %w", address, env.ErrCanceled)
	}
	if deadline <= h.now() {
		return nil, fmt.Errorf("dial %s: %w", address, env.ErrDeadline)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t.at = dialing(cancel)
	h.leave()
	dialer := net.Dialer{Deadline: h.real(deadline), KeepAliveConfig: keepAlive}
	c, err := dialer.DialContext(ctx, "tcp", address)
	h.enter(t)
	t.at = nil
	switch {
	case err == nil:
		return newConn(h, c.(*net.TCPConn)), nil
	case t.canceled:
		return nil, fmt.Errorf("dial %s: %w", address, env.ErrCanceled)
	case isTimeout(err) && deadline <= h.now():
		return nil, fmt.Errorf("dial %s: %w", address, env.ErrDeadline)
	}
	return nil, netError(err)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// dialing is where a task waits for its connection.
type dialing context.CancelFunc

func (d dialing) interrupt(*task) { d() }

// A listener implements env.Listener.
type listener struct {
	h       *Host
	tcp     *net.TCPListener
	address string

	inside []*task // in Accept
	poked  bool    // its deadline is longAgo, to make canceled tasks return
	closed bool
}

// Accept implements env.Listener.
func (l *listener) Accept() (env.Conn, error) {
	t := l.h.current
	for {
		switch {
		case t.canceled:
			return nil, fmt.Errorf("accept %s: %w", l.address, env.ErrCanceled)
		case l.closed:
			return nil, fmt.Errorf("accept %s: %w", l.address, env.ErrClosed)
		}
		c, err := l.accept(t)
		switch {
		case err == nil:
			return newConn(l.h, c), nil
		case t.canceled || l.closed || errors.Is(err, os.ErrDeadlineExceeded):
			// Told above; or the poke was meant for another task.
		default:
			return nil, netError(err)
		}
	}
}

func (l *listener) accept(t *task) (*net.TCPConn, error) {
	l.inside = append(l.inside, t)
	t.at = l
	l.h.leave()
	c, err := l.tcp.AcceptTCP()
	l.h.enter(t)
	t.at = nil
	l.inside = slices.DeleteFunc(l.inside, func(other *task) bool { return other == t })
	if l.poked && !slices.ContainsFunc(l.inside, func(other *task) bool { return other.canceled }) {
		l.poked = false
		_ = l.tcp.SetDeadline(time.Time{})
	}
	return c, err
}

func (l *listener) interrupt(*task) {
	l.poked = true
	_ = l.tcp.SetDeadline(longAgo)
}

// Address implements env.Listener.
func (l *listener) Address() string { return l.address }

// Close implements env.Listener. The socket is closed at once, so that the
// address is free again when Close returns.
func (l *listener) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	delete(l.h.open, l.tcp)
	return netError(l.tcp.Close())
}
