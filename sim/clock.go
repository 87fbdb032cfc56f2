package sim

import (
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// WallStart is the wall-clock time at instant 0: some moment in 2025, so that
// code which takes 0 or small numbers for a date is found out.
const WallStart = 1_750_000_000_000

const million = 1_000_000

// A clock is a node's view of time: monotonic time runs at a rate that may be
// off, and the wall clock is that plus an offset that may jump.
type clock struct {
	ppm     int64         // how many millionths the clock is too fast
	since   kafka.Instant // virtual time at which this rate began
	base    kafka.Instant // what monotonic time was then
	offset  int64         // milliseconds the wall clock is off
	frozen  bool
	stopped kafka.Timestamp // what a frozen wall clock shows
}

// scale multiplies d by (million + ppm) / million without overflow.
func scale(d, ppm int64) int64 { return d + d/million*ppm + d%million*ppm/million }

func (c *clock) monotonic(now kafka.Instant) kafka.Instant {
	return c.base + kafka.Instant(scale(int64(now-c.since), c.ppm))
}

func (c *clock) wall(now kafka.Instant) kafka.Timestamp {
	if c.frozen {
		return c.stopped
	}
	return kafka.Timestamp(WallStart + int64(c.monotonic(now))/int64(time.Millisecond) + c.offset)
}

// kernel returns the first virtual time at which the node's monotonic clock shows
// t or later, if its rate stays as it is.
func (c *clock) kernel(t kafka.Instant) kafka.Instant {
	if t == kafka.Never {
		return t
	}
	d := int64(t - c.base)
	whole := d / (million + c.ppm) * million
	at := c.since + kafka.Instant(whole+d%(million+c.ppm)*million/(million+c.ppm))
	for c.monotonic(at) < t {
		at++ // the divisions rounded down
	}
	return at
}

// KernelTime converts the node's monotonic time into the kernel's. Rates change:
// after waiting until then, look at the node's clock again.
func (n *Node) KernelTime(t kafka.Instant) kafka.Instant { return n.clock.kernel(t) }

// Monotonic returns what the node's monotonic clock shows, without a trace in the
// hash chain: for the simulator itself.
func (n *Node) Monotonic() kafka.Instant { return n.clock.monotonic(n.k.now) }

// WallTime returns what the node's wall clock shows, likewise.
func (n *Node) WallTime() kafka.Timestamp { return n.clock.wall(n.k.now) }

// SetDrift makes the node's clocks run ppm millionths too fast from now on;
// negative is too slow.
func (n *Node) SetDrift(ppm int64) {
	c := &n.clock
	c.base, c.since = c.monotonic(n.k.now), n.k.now
	c.ppm = max(ppm, 1-million)
	n.k.NoteText(NoteFault, n.name, uint64(ppm))
}

// JumpWall moves the node's wall clock by d, in either direction.
func (n *Node) JumpWall(d time.Duration) {
	n.clock.offset += d.Milliseconds()
	n.clock.stopped += kafka.Timestamp(d.Milliseconds())
	n.k.NoteText(NoteFault, n.name, uint64(d))
}

// FreezeWall stops the node's wall clock.
func (n *Node) FreezeWall() {
	n.clock.stopped, n.clock.frozen = n.WallTime(), true
	n.k.NoteText(NoteFault, n.name, 1)
}

// ThawWall lets a frozen wall clock show the time again.
func (n *Node) ThawWall() { n.clock.frozen = false }

// Clock returns the node's clocks.
func (n *Node) Clock() env.Clock { return nodeClock{n} }

type nodeClock struct{ n *Node }

// preemptedMax bounds how long a task loses the processor between two looks at the
// clock.
const preemptedMax = 2 * time.Millisecond

// preempt lets the node's clocks go on between two steps of one task, now and then:
// a task that looks at the clock twice must not take the two for one.
func (n *Node) preempt() {
	if o := n.k.options.PreemptOneIn; o != 0 && n.k.pick.Uint64()%o == 0 {
		n.clock.base += kafka.Instant(n.k.pick.Uint64() % uint64(preemptedMax))
	}
}

func (c nodeClock) Now() kafka.Instant {
	c.n.preempt()
	now := c.n.Monotonic()
	c.n.k.chain.add(NoteClock, uint64(now), 0)
	if c.n.k.Recording() {
		c.n.k.Record("clock %s monotonic %d", c.n.name, now)
	}
	return now
}

func (c nodeClock) Wall() kafka.Timestamp {
	now := c.n.WallTime()
	c.n.k.chain.add(NoteClock, uint64(now), 1)
	if c.n.k.Recording() {
		c.n.k.Record("clock %s wall %d", c.n.name, now)
	}
	return now
}

func (c nodeClock) Sleep(d time.Duration) error {
	end := c.n.Monotonic().Add(d)
	var nobody Queue
	for {
		if nobody.Wait(c.n.k, "sleep", c.n.KernelTime(end), CanCancel) == Canceled {
			return env.ErrCanceled
		}
		if c.n.Monotonic() >= end {
			return nil
		}
	}
}
