package netsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/sim"
)

const (
	firstPort = 32768 // of those a kernel picks
	lastPort  = 60999
)

// A host is one machine on the network: its kernel's half of the sockets, and the
// env.Net of its programs.
type host struct {
	net       *Network
	node      *sim.Node
	name      string
	up        bool
	port      int     // the next one to pick
	links     []*link // those that begin here
	listeners []*listener
	waiting   []*flow // stuck because the machine is down or its name has moved

	// The fault of each kind under which the host is; nil: none.
	refuses *Applied
	stalls  *Applied
	slow    *Applied
	moved   *Applied
}

// admits reports whether a segment finds the machine. One whose name has moved is
// not found by those who dial the name; it can dial others from where it is.
func (h *host) admits(kind segmentKind) bool {
	if h.up && h.moved != nil && kind == syn {
		h.moved.hit(0)
		return false
	}
	return h.up
}

// release lets segments in that were sent while the machine was not reachable.
func (h *host) release() {
	waiting := h.waiting
	h.waiting = nil
	for _, f := range waiting {
		f.retry()
	}
}

// boot notices that a node runs on a machine that was down: somebody restarted it.
func (h *host) boot() {
	if !h.up {
		h.net.MachineUp(h.name)
	}
}

// processDied closes the sockets of a process that is no more.
func (h *host) processDied() {
	for _, l := range slices.Clone(h.listeners) {
		l.release()
	}
	if !h.up {
		return
	}
	for _, c := range h.net.list() {
		for _, e := range []*end{c.client, c.server} {
			if e.host == h && !e.embryo() {
				e.release()
			}
		}
	}
}

// pickPort returns a port nobody listens on.
func (h *host) pickPort() int {
	for {
		port := h.port
		h.port++
		if h.port > lastPort {
			h.port = firstPort
		}
		if h.listener(port) == nil {
			return port
		}
	}
}

func (h *host) listener(port int) *listener {
	for _, l := range h.listeners {
		if l.port == port {
			return l
		}
	}
	return nil
}

func (h *host) address(port int) string { return h.name + ":" + strconv.Itoa(port) }

// parseAddress splits "host:port".
func parseAddress(address string) (name string, port int, err error) {
	i := strings.LastIndexByte(address, ':')
	if i < 0 {
		return "", 0, fmt.Errorf("address %q: want host:port", address)
	}
	port, err = strconv.Atoi(address[i+1:])
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("address %q: want a port from 0 to 65535", address)
	}
	return address[:i], port, nil
}

// isSelf reports whether a name means the host that uses it.
func (h *host) isSelf(name string) bool {
	return name == h.name || name == "localhost" || name == "127.0.0.1" || name == ""
}

// Listen implements env.Net.
func (h *host) Listen(address string) (env.Listener, error) {
	if !h.node.Alive() {
		return nil, env.ErrClosed
	}
	h.boot()
	name, port, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if !h.isSelf(name) && name != "0.0.0.0" {
		return nil, fmt.Errorf("listen %s: not an address of %s: %w", address, h.name, env.ErrUnreachable)
	}
	if port == 0 {
		port = h.pickPort()
	}
	if h.listener(port) != nil {
		return nil, fmt.Errorf("listen %s: %w", address, env.ErrAddrInUse)
	}
	l := &listener{host: h, port: port, address: h.address(port)}
	h.listeners = append(h.listeners, l)
	return l, nil
}

// knock is the arrival of a SYN.
func (h *host) knock(f *flow, s *segment) {
	server := f.to
	l := h.listener(server.port)
	switch {
	case server.gone():
		f.line.pop()
	case h.refuses != nil || l == nil || !h.node.Alive():
		h.refuses.hit(1)
		f.line.pop()
		server.err = env.ErrRefused
		server.answerReset()
		server.conn.forget()
	case len(l.backlog) >= h.net.options.Backlog:
		// Linux ignores it, and the client asks again.
		s.due = h.net.k.Now().Add(5 * h.net.options.RTO)
	default:
		f.line.pop()
		server.connect()
		server.out.signal(synAck)
		l.push(server)
	}
}
