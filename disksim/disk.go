// Package disksim simulates disks in virtual time: it makes a node's disk calls
// wait, go wrong, and survive crashes as much as disks really promise.
//
// The fault model:
//
//   - process crash: the page cache survives. An operation in flight has happened
//     or not; of a write any number of whole pages, from the front, has.
//   - power loss: of what was not synced a legal subset survives, drawn or chosen;
//     package media has the rules and the profiles. Every choice is noted in the
//     kernel's chain and can be printed, stored and repeated.
//   - run-time faults: short reads and writes, EIO once or for good, the ways in
//     which a sync fails, a full or read-only disk, stalls, rot, and others; see
//     FaultKind. A Fault is a value that prints as one line.
//   - time: every operation takes a drawn time, during which other tasks run. It
//     takes effect at its end; a read sees any part of a write that is under way.
//
// It also catches misuse: overlapping writes of one file and buffers changed
// during a call fail an assertion; use of a closed file is refused and counted;
// buffers of reads are scribbled over until the call returns.
//
// The rule for callers: a Disk belongs to one node, whose crashes it outlives.
// PowerLoss, and what replaces the whole disk, comes after the node's Crash.
package disksim

import (
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// Options say what kind of disk it is. Zero fields take the defaults.
type Options struct {
	Capacity int64 // bytes; default 1 TiB
	MaxOpen  int   // files open at once before ErrTooManyFiles; default 100,000

	Times Times // zero: every operation takes no time, but is a switching point

	// WriteBackEvery moves to the disk by itself what is older than this, at
	// most twice; default 5 s. Only what a sync covered is guaranteed.
	WriteBackEvery time.Duration

	// MaxPending bounds how many effects are not durable, by writing back
	// earlier; default 1024.
	MaxPending int
}

func (o Options) withDefaults() Options {
	if o.Capacity == 0 {
		o.Capacity = 1 << 40
	}
	if o.MaxOpen == 0 {
		o.MaxOpen = 100_000
	}
	if o.WriteBackEvery == 0 {
		o.WriteBackEvery = 5 * time.Second
	}
	if o.MaxPending == 0 {
		o.MaxPending = 1024
	}
	return o
}

// A Disk is one simulated disk with one file system.
type Disk struct {
	k       *sim.Kernel
	name    string
	options Options
	v       *media.Volume
	node    *sim.Node
	boot    uint64 // counts process crashes: handles of an earlier one are void
	times   *rand.Rand
	order   *rand.Rand // of ReadDir
	crashes *rand.Rand

	open     []*file
	inFlight []*op
	spareOps []*op
	locks    map[string]*lock
	lastLoss media.Crash

	writeBackAt   kafka.Instant
	writeBackUpTo uint64

	faults faults
	misuse Misuse
}

// Misuse counts calls that a correct node does not make.
type Misuse struct {
	UsedAfterClose int // of a file, or of one from before a crash
}

// New returns an empty disk. The name, "n1/0", is the key of its random streams.
func New(k *sim.Kernel, name string, o Options) *Disk {
	o = o.withDefaults()
	return &Disk{
		k: k, name: name, options: o,
		v:       media.New(o.Capacity),
		times:   k.Rand("disk/" + name + "/times"),
		order:   k.Rand("disk/" + name + "/order"),
		crashes: k.Rand("disk/" + name + "/crash"),
		locks:   map[string]*lock{},
		faults:  newFaults(),
	}
}

// Name returns the disk's name.
func (d *Disk) Name() string { return d.name }

// Misuse returns what the node did wrong so far.
func (d *Disk) Misuse() Misuse { return d.misuse }

// attach makes the disk that node's, and hears of its crashes from then on.
func (d *Disk) attach(node *sim.Node) {
	assert.That(d.node == nil || d.node == node, "disk %s belongs to %s", d.name, nodeName(d.node))
	if d.node == nil {
		d.node = node
		node.OnCrash(d.ProcessCrash)
	}
}

func nodeName(n *sim.Node) string {
	if n == nil {
		return "nobody"
	}
	return n.Name()
}

// writeBack moves old effects to the durable image, in two generations: each
// call makes durable what was issued before the call before.
func (d *Disk) writeBack() {
	if d.k.Now() < d.writeBackAt && d.v.Seq()-d.writeBackUpTo <= uint64(d.options.MaxPending/2) {
		return
	}
	if d.v.Pending() > 0 {
		d.v.WriteBack(d.writeBackUpTo)
	}
	d.writeBackUpTo = d.v.Seq()
	d.writeBackAt = d.k.Now().Add(d.options.WriteBackEvery)
}
