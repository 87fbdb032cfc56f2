package netsim

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/sim"
)

// A Network joins the hosts of one universe.
type Network struct {
	k        *sim.Kernel
	options  Options
	hosts    []*host // in the order of Host
	links    []*link // in the order of first use
	conns    []*conn // that still have an end, in no order that has a meaning
	lastConn uint64
	faults   *rand.Rand // what faults draw when they happen
	pool     pool

	applied []*Applied // all there ever were
	active  []*Applied // those that have begun and not ended
	healed  uint64     // counts Heal: faults of before no longer begin
}

// New returns a network without hosts.
func New(k *sim.Kernel, o Options) *Network {
	return &Network{k: k, options: o.filled(), faults: k.Rand("net/faults")}
}

// Host puts a node on the network under a name, and returns what its programs
// see. The Net goes on after the node's restart; asking for it again returns the
// same. The node's crash closes its sockets as a kernel does when a process dies.
// A host whose name has a space, a comma or '=' in it cannot be named in a Fault.
func (n *Network) Host(node *sim.Node, name string) env.Net {
	if h := n.host(name); h != nil {
		assert.That(h.node == node, "hosts of %s and %s are both named %s", h.node.Name(), node.Name(), name)
		return h
	}
	assert.That(name != "" && !strings.Contains(name, ":"), "host name %q", name)
	h := &host{net: n, node: node, name: name, port: firstPort, up: true}
	n.hosts = append(n.hosts, h)
	node.OnCrash(h.processDied)
	return h
}

// validName reports whether a fault can name a host so.
func validName(name string) bool {
	return name != "" && name != anyone && !strings.ContainsAny(name, " ,=:\t\n")
}

// Hosts returns the names of the hosts, in the order they were added.
func (n *Network) Hosts() []string {
	names := make([]string, len(n.hosts))
	for i, h := range n.hosts {
		names[i] = h.name
	}
	return names
}

// Connections returns how many connections have an end that is neither closed
// nor broken.
func (n *Network) Connections() int { return len(n.conns) }

func (n *Network) host(name string) *host {
	for _, h := range n.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

func (n *Network) mustHost(name string) *host {
	h := n.host(name)
	assert.That(h != nil, "no host named %s", name)
	return h
}

// link returns the direction between two hosts.
func (n *Network) link(from, to *host) *link {
	for _, l := range from.links {
		if l.to == to {
			return l
		}
	}
	l := newLink(n, from, to)
	from.links = append(from.links, l)
	n.links = append(n.links, l)
	return l
}

// list returns the connections by age, for those who change them meanwhile.
func (n *Network) list() []*conn {
	conns := slices.Clone(n.conns)
	slices.SortFunc(conns, func(a, b *conn) int { return int(a.id) - int(b.id) })
	return conns
}

// MachineDown cuts a host's power: all its connections are gone without a word,
// and so is what its kernel had not sent. Its node is to be crashed after, in the
// same step. The host is back with MachineUp, or when a
// program on it first listens or dials.
func (n *Network) MachineDown(name string) {
	h := n.mustHost(name)
	h.up = false
	for _, c := range n.list() {
		for _, e := range []*end{c.client, c.server} {
			if e.host == h {
				e.vanish()
			}
		}
	}
	n.k.NoteText(sim.NoteNet, name, uint64(evMachineDown))
}

// MachineUp gives a host its power back. What others have sent to it meanwhile
// arrives when their timers next fire, and is answered with a reset. A host
// that is up stays so.
func (n *Network) MachineUp(name string) {
	h := n.mustHost(name)
	if h.up {
		return
	}
	h.up = true
	n.k.NoteText(sim.NoteNet, name, uint64(evMachineUp))
	h.release()
}
