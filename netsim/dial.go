package netsim

import (
	"fmt"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// Dial implements env.Net. Blocks.
func (h *host) Dial(address string, deadline kafka.Instant) (env.Conn, error) {
	if !h.node.Alive() {
		return nil, env.ErrClosed
	}
	h.boot()
	e, err := h.dial(address, deadline)
	if err != nil {
		return nil, fmt.Errorf("dial %s from %s: %w", address, h.name, err)
	}
	return e, nil
}

func (h *host) dial(address string, deadline kafka.Instant) (*end, error) {
	name, port, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if h.isSelf(name) {
		name = h.name
	}
	target := h.net.host(name)
	if target == nil {
		return nil, fmt.Errorf("no host %s: %w", name, env.ErrUnreachable)
	}
	e := h.connectTo(target, port)
	if err := e.shake(deadline); err != nil {
		e.release()
		return nil, err
	}
	return e, nil
}

// connectTo makes both ends of a connection and sends its SYN. The server's end is
// nobody's until that arrives.
func (h *host) connectTo(target *host, port int) *end {
	mine := h.pickPort()
	client := &end{host: h, port: mine, local: h.address(mine), remote: target.address(port)}
	server := &end{host: target, port: port, local: client.remote, remote: client.local}
	newConn(h.net, client, server)
	client.note(evDial, port, checksum([]byte(target.name)))
	client.out.signal(syn)
	return client
}

// shake waits for the end of the handshake.
func (e *end) shake(deadline kafka.Instant) error {
	patience := e.net.k.Now().Add(e.net.options.ConnectTimeout)
	for {
		if err := e.mayCall(deadline); err != nil {
			return err
		}
		switch {
		case e.err != nil:
			return e.err
		case e.established:
			return nil
		case e.net.k.Now() >= patience:
			return env.ErrUnreachable
		}
		if err := e.host.wait(&e.readers, "dial "+e.remote, deadline, patience); err != nil {
			return err
		}
	}
}
