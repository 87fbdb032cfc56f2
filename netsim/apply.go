package netsim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// An Applied is a fault in a network, and what came of it.
type Applied struct {
	Fault Fault
	Hits  int64 // how often it did something: held a segment, delayed one, reset a connection
	Bytes int64 // of how many bytes, where it is about bytes
	Begun bool
	Ended bool

	cutOff []string // a swizzle's hosts of the moment
}

// TookEffect reports whether the fault made any difference: whether anything
// was under way that it could hit. A run in which none did proves nothing.
func (a *Applied) TookEffect() bool { return a.Hits > 0 }

// hit counts an effect. Where no fault is at work there is none to count.
func (a *Applied) hit(bytes int) {
	if a != nil {
		a.Hits++
		a.Bytes += int64(bytes)
	}
}

// Apply makes a fault happen at its time. It fails if the fault is malformed or
// names a host that the network does not have.
func (n *Network) Apply(f Fault) (*Applied, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	for _, name := range slices.Concat(f.A, f.B, []string{f.Via}) {
		if name != "" && n.host(name) == nil {
			return nil, fmt.Errorf("fault %q: no host %s", f, name)
		}
	}
	a := &Applied{Fault: f}
	n.applied = append(n.applied, a)
	if f.At <= n.k.Now() {
		n.begin(a)
		return a, nil
	}
	n.later(f.At, func() { n.begin(a) })
	return a, nil
}

// later does something at an instant, unless the network is healed before.
func (n *Network) later(t kafka.Instant, do func()) {
	round := n.healed
	n.k.At(t, func() {
		if n.healed == round {
			do()
		}
	})
}

// Heal ends every fault for good, those that have not begun included.
// Connections that a fault has left half-open stay so until they notice.
func (n *Network) Heal() {
	n.healed++
	for _, a := range slices.Clone(n.active) {
		n.end(a)
	}
}

// Applied returns all faults there were, in the order they were applied.
func (n *Network) Applied() []*Applied { return n.applied }

// An Effect sums up one family.
type Effect struct {
	Family    Family
	Applied   int   // faults that began
	Effective int   // of them, those that took effect
	Hits      int64 // see Applied
	Bytes     int64
}

// Effects sums up what the faults of each family did, for those that were
// applied, sorted by name.
func (n *Network) Effects() []Effect {
	var sums [families]Effect
	for _, a := range n.applied {
		if !a.Begun {
			continue
		}
		s := &sums[a.Fault.Family]
		s.Applied++
		s.Hits += a.Hits
		s.Bytes += a.Bytes
		if a.TookEffect() {
			s.Effective++
		}
	}
	var out []Effect
	for family, s := range sums {
		if s.Applied > 0 {
			s.Family = Family(family)
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Effect) int { return strings.Compare(a.Family.String(), b.Family.String()) })
	return out
}

func (n *Network) begin(a *Applied) {
	f := &a.Fault
	a.Begun = true
	n.k.NoteText(sim.NoteFault, f.String(), 1)
	switch f.Family {
	case Reset, HalfOpen:
		n.strike(a)
		a.Ended = true
		return
	case NameMoved:
		n.strike(a)
	case Swizzle:
		n.swizzle(a)
	}
	n.active = append(n.active, a)
	n.refresh()
	if f.For > 0 {
		n.later(n.k.Now().Add(f.For), func() { n.end(a) })
	}
}

func (n *Network) end(a *Applied) {
	i := slices.Index(n.active, a)
	if i < 0 {
		return
	}
	n.active = slices.Delete(n.active, i, i+1)
	a.Ended = true
	n.k.NoteText(sim.NoteFault, a.Fault.String(), 2)
	n.refresh()
}

// refresh works out anew what the faults of the moment make of hosts and links.
func (n *Network) refresh() {
	for _, h := range n.hosts {
		h.refresh()
	}
	for _, l := range n.links {
		l.refresh()
	}
}

// strike hits the connections that are there.
func (n *Network) strike(a *Applied) {
	f := &a.Fault
	for _, c := range n.list() {
		for _, pair := range [][2]*end{{c.client, c.server}, {c.server, c.client}} {
			first, second := pair[0], pair[1]
			if !among(f.A, first.host.name) || !among(f.B, second.host.name) || first.gone() && second.gone() {
				continue
			}
			if f.Family == NameMoved || f.Share.hits(n.faults) {
				n.strikeOne(a, first, second)
			}
			break
		}
	}
}

func (n *Network) strikeOne(a *Applied, first, second *end) {
	a.hit(first.out.queued + second.out.queued)
	if a.Fault.Family == Reset {
		for _, e := range []*end{first, second} {
			if !e.gone() && !e.embryo() {
				e.discard()
				e.fail(evReset, env.ErrReset)
			}
		}
		return
	}
	first.conn.severed = a
	if a.Fault.Family == HalfOpen && !first.gone() {
		first.fail(evReset, env.ErrReset)
	}
	for _, e := range []*end{first, second} {
		n.k.After(n.options.KeepAlive, e.timeOut)
	}
}

// swizzle cuts the hosts off one by one in the first half of its time, and lets
// them go one by one in the second.
func (n *Network) swizzle(a *Applied) {
	f := &a.Fault
	step := f.For / time.Duration(2*len(f.A))
	start := n.k.Now()
	for i, name := range f.A {
		n.later(start.Add(time.Duration(i)*step), func() {
			a.cutOff = append(a.cutOff, name)
			n.refresh()
		})
	}
	for i, name := range f.B {
		n.later(start.Add(time.Duration(len(f.A)+i)*step), func() {
			a.cutOff = slices.DeleteFunc(a.cutOff, func(h string) bool { return h == name })
			n.refresh()
		})
	}
}
