package envtest

import (
	"errors"
	"io"

	"github.com/klammlog/klamm/node/env"
)

var hostChecks = []Check{
	{"two hosts talk to each other", hostsTalk},
	{"a killed host's connections end", killEndsConnections},
	{"a killed host no longer listens", killEndsListeners},
}

// serveOn makes a host echo until it is killed, and returns its address.
func serveOn(h Harness, host string) (address string, err error) {
	err = h.Run(Part{host, func(w *env.World) error {
		l, err := w.Net.Listen(h.Address(host))
		if err != nil {
			return err
		}
		address = l.Address()
		w.Go("accept", func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				w.Go("echo", func() { echo(c) })
			}
		})
		return nil
	}})
	return address, err
}

// echo answers every byte until the stream ends.
func echo(c env.Conn) {
	defer c.Close()
	p := make([]byte, 4096)
	for {
		n, err := c.Read(p)
		if err != nil {
			return
		}
		if _, err := c.Write(p[:n]); err != nil {
			return
		}
	}
}

func hostsTalk(h Harness) error {
	address, err := serveOn(h, "server")
	if err != nil {
		return err
	}
	client := func(t *trial) error {
		c, err := t.Net.Dial(address, t.soon())
		if err != nil {
			return err
		}
		c.SetReadDeadline(t.soon())
		want := pattern(1, 300_000)
		t.start("writer", func() error { return first(send(c, want), c.CloseWrite()) })
		got, err := t.collect(c, 10_000)
		return errors.Join(err, same("echo", got, want), t.finish(), c.Close())
	}
	return h.Run(part(h, "client 1", client), part(h, "client 2", client))
}

func killEndsConnections(h Harness) error {
	address, err := serveOn(h, "server")
	if err != nil {
		return err
	}
	var c env.Conn
	err = h.Run(part(h, "client", func(t *trial) error {
		c, err = t.Net.Dial(address, t.soon())
		if err != nil {
			return err
		}
		return first(send(c, []byte("hello")), expect(c, []byte("hello")))
	}))
	if err := first(err, h.Kill("server")); err != nil {
		return err
	}
	return h.Run(part(h, "client", func(t *trial) error {
		c.SetReadDeadline(t.soon())
		n, err := c.Read(make([]byte, 1))
		if n == 0 && err == io.EOF {
			return c.Close()
		}
		return first(wants("Read", err, env.ErrReset), c.Close())
	}))
}

func killEndsListeners(h Harness) error {
	address, err := serveOn(h, "server")
	if err := first(err, h.Kill("server")); err != nil {
		return err
	}
	err = h.Run(part(h, "client", func(t *trial) error {
		_, err := t.Net.Dial(address, t.soon())
		return wants("Dial", err, env.ErrRefused)
	}))
	if err != nil {
		return err
	}
	return h.Run(part(h, "server", func(t *trial) error {
		l, err := t.Net.Listen(address)
		if err != nil {
			return err
		}
		return l.Close()
	}))
}
