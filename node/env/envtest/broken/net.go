package broken

import (
	"errors"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// network replaces the methods that are not nil, and passes every connection
// and listener through conn and listener.
type network struct {
	env.Net
	listen   func(address string) (env.Listener, error)
	dial     func(address string, deadline kafka.Instant) (env.Conn, error)
	conn     func(env.Conn) env.Conn
	listener func(env.Listener) env.Listener
}

func (n network) Listen(address string) (env.Listener, error) {
	listen := n.Net.Listen
	if n.listen != nil {
		listen = n.listen
	}
	l, err := listen(address)
	if err != nil {
		return nil, err
	}
	if n.listener != nil {
		l = n.listener(l)
	}
	return listener{Listener: l, conn: n.conn}, nil
}

func (n network) Dial(address string, deadline kafka.Instant) (env.Conn, error) {
	dial := n.Net.Dial
	if n.dial != nil {
		dial = n.dial
	}
	c, err := dial(address, deadline)
	if err == nil && n.conn != nil {
		c = n.conn(c)
	}
	return c, err
}

// listener replaces the methods that are not nil.
type listener struct {
	env.Listener
	accept func() (env.Conn, error)
	close  func() error
	conn   func(env.Conn) env.Conn
}

func (l listener) Accept() (env.Conn, error) {
	accept := l.Listener.Accept
	if l.accept != nil {
		accept = l.accept
	}
	c, err := accept()
	if err == nil && l.conn != nil {
		c = l.conn(c)
	}
	return c, err
}

func (l listener) Close() error {
	if l.close != nil {
		return l.close()
	}
	return l.Listener.Close()
}

// eachListener describes a world in which change is made to every Listener.
func eachListener(name string, change func(good env.Listener) env.Listener, noticed ...string) World {
	return world(name, func(w *env.World) { w.Net = network{Net: w.Net, listener: change} }, noticed...)
}

// dialing describes a world in which the error of Dial goes through change.
func dialing(name string, change func(error) error, noticed ...string) World {
	return world(name, func(w *env.World) {
		good := w.Net
		w.Net = network{Net: good, dial: func(address string, deadline kafka.Instant) (env.Conn, error) {
			c, err := good.Dial(address, deadline)
			return c, change(err)
		}}
	}, noticed...)
}

var netWorlds = []World{
	dialing("a refused connection is an unreachable host", func(err error) error {
		if errors.Is(err, env.ErrRefused) {
			return env.ErrUnreachable
		}
		return err
	}, "dialing where nobody listens is refused", "a killed host no longer listens"),

	dialing("a canceled dial is one past its deadline", func(err error) error {
		if errors.Is(err, env.ErrCanceled) {
			return env.ErrDeadline
		}
		return err
	}, "a canceled task cannot dial"),

	world("Dial ignores its deadline", func(w *env.World) {
		good := w.Net
		w.Net = network{Net: good, dial: func(address string, _ kafka.Instant) (env.Conn, error) {
			return good.Dial(address, kafka.Never)
		}}
	}, "dialing after the deadline fails"),

	world("an address in use is replaced by another", func(w *env.World) {
		good := w.Net
		w.Net = network{Net: good, listen: func(address string) (env.Listener, error) {
			l, err := good.Listen(address)
			if errors.Is(err, env.ErrAddrInUse) {
				return good.Listen(address[:strings.LastIndex(address, ":")] + ":0")
			}
			return l, err
		}}
	}, "an address can be listened on once"),

	eachListener("a closed listener listens", func(good env.Listener) env.Listener {
		return listener{Listener: good, close: func() error { return nil }}
	}, "an address is free again after Close", "Close wakes a blocked Accept",
		"dialing where nobody listens is refused"),

	eachListener("every third connection is dropped", func(good env.Listener) env.Listener {
		count := 0
		return listener{Listener: good, accept: func() (env.Conn, error) {
			c, err := good.Accept()
			if count++; err == nil && count%3 == 0 {
				_ = c.Close()
			}
			return c, err
		}}
	}, "one listener accepts many connections"),

	eachListener("a closed listener closes its connections", func(good env.Listener) env.Listener {
		var accepted []env.Conn
		return listener{
			Listener: good,
			accept: func() (env.Conn, error) {
				c, err := good.Accept()
				accepted = append(accepted, c)
				return c, err
			},
			close: func() error {
				for _, c := range accepted {
					_ = c.Close()
				}
				return good.Close()
			},
		}
	}, "accepted connections outlive their listener"),

	eachListener("one canceled Accept cancels all later ones", func(good env.Listener) env.Listener {
		var sticky error
		return listener{Listener: good, accept: func() (env.Conn, error) {
			if sticky != nil {
				return nil, sticky
			}
			c, err := good.Accept()
			if errors.Is(err, env.ErrCanceled) {
				sticky = err
			}
			return c, err
		}}
	}, "canceling ends Accept"),

	world("hosts do not reach each other", func(w *env.World) {
		good, mine := w.Net, make(map[string]bool)
		w.Net = network{
			Net: good,
			listener: func(l env.Listener) env.Listener {
				mine[l.Address()] = true
				return l
			},
			dial: func(address string, deadline kafka.Instant) (env.Conn, error) {
				if !mine[address] {
					return nil, env.ErrRefused
				}
				return good.Dial(address, deadline)
			},
		}
	}, "two hosts talk to each other"),
}

// longAgo is an instant that has passed.
func longAgo(w *env.World) kafka.Instant { return w.Now() - kafka.Instant(time.Millisecond) }
