package sim

import (
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// Tasks returns the node's tasks as its World sees them.
func (n *Node) Tasks() env.Tasks { return nodeTasks{n} }

type nodeTasks struct{ n *Node }

func (s nodeTasks) Go(name string, f func()) env.Task { return s.n.Go(name, f) }

func (s nodeTasks) NewCond(label string) env.Cond { return &cond{node: s.n, label: label} }

// offloadMax bounds how long offloaded work takes.
const offloadMax = 200 * time.Microsecond

// Offload runs f at once and lets time pass: f owns its memory, so nobody can
// tell when in between it ran.
func (s nodeTasks) Offload(f func()) {
	k := s.n.k
	k.mustRun()
	f()
	d := time.Duration(k.pick.Uint64() % uint64(offloadMax))
	if d%4 != 0 {
		k.Yield()
		return
	}
	k.Block("offload", d*time.Duration(s.n.slowness))
}

type cond struct {
	node  *Node
	label string
	queue Queue
}

func (c *cond) Wait(deadline kafka.Instant) error {
	k := c.node.k
	if k.mustRun().canceled {
		return env.ErrCanceled
	}
	for c.node.Monotonic() < deadline {
		switch c.queue.Wait(k, c.label, c.node.KernelTime(deadline), CanCancel) {
		case Woken:
			return nil
		case Canceled:
			return env.ErrCanceled
		}
		// The timer fired; the clock may have been slowed meanwhile.
	}
	return env.ErrDeadline
}

func (c *cond) Broadcast() { c.queue.WakeAll(c.node.k) }
