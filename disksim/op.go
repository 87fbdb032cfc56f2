package disksim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/sim"
)

// An opKind is one of the calls of env.FS and env.File.
type opKind uint8

const (
	opOpen opKind = iota
	opMkdir
	opRemove
	opRename
	opReadDir
	opStat
	opSyncDir
	opUsage
	opLock
	opRead
	opWrite
	opTruncate
	opAllocate
	opSync
	opSize
	opClose
)

var opNames = [...]string{
	"disk open", "disk mkdir", "disk remove", "disk rename", "disk readdir", "disk stat", "disk syncdir",
	"disk usage", "disk lock", "disk read", "disk write", "disk truncate", "disk allocate", "disk sync",
	"disk size", "disk close",
}

func (o opKind) String() string { return opNames[o] }

// mutates reports whether the operation changes the disk.
func (o opKind) mutates() bool {
	switch o {
	case opMkdir, opRemove, opRename, opWrite, opTruncate, opAllocate, opSync, opSyncDir:
		return true
	}
	return false
}

// An op is one call that is under way. It stands in Disk.inFlight while its task
// is parked, so that a crash in the middle can decide what became of it.
type op struct {
	kind  opKind
	slot  int // its place in Disk.inFlight
	path  string
	ino   *media.Inode // nil for operations on names
	off   int64
	size  int64  // bytes
	upTo  uint64 // opSync, opSyncDir: what was issued before
	stage []byte // opWrite: a copy of the caller's buffer
	act   func() error
}

// begin enters an operation into the books.
func (d *Disk) begin(kind opKind, path string, ino *media.Inode) *op {
	var o *op
	if n := len(d.spareOps); n > 0 {
		o = d.spareOps[n-1]
		d.spareOps = d.spareOps[:n-1]
	} else {
		o = &op{}
	}
	o.kind, o.path, o.ino, o.slot = kind, path, ino, len(d.inFlight)
	o.off, o.size, o.upTo = 0, 0, d.v.Seq()
	if ino != nil {
		d.v.Hold(ino) // another task may close the file meanwhile
	}
	d.inFlight = append(d.inFlight, o)
	return o
}

// wait lets the operation's time pass. If the node crashes meanwhile it does not
// return, and ProcessCrash finds the operation in flight. Blocks.
func (d *Disk) wait(o *op) {
	if d.faults.armed() {
		d.stall(o)
	}
	cost := d.latency(o.kind).draw(d.times, (o.size+media.PageSize-1)/media.PageSize)
	cost *= time.Duration(d.node.Slowness())
	if d.faults.armed() {
		cost = d.slowed(o, cost)
	}
	d.k.Block(opNames[o.kind], cost)
	last := len(d.inFlight) - 1
	d.inFlight[last].slot = o.slot
	d.inFlight[o.slot] = d.inFlight[last]
	d.inFlight[last] = nil
	d.inFlight = d.inFlight[:last]
	d.writeBack()
}

func (d *Disk) latency(kind opKind) *Latency {
	t := &d.options.Times
	switch kind {
	case opRead:
		return &t.Read
	case opWrite, opTruncate, opAllocate:
		return &t.Write
	case opSync, opSyncDir:
		return &t.Sync
	}
	return &t.Meta
}

// end notes the operation and its result, and recycles it. It returns err with
// the name of the object.
func (d *Disk) end(o *op, n int64, err error) error {
	code := uint64(o.kind) << 8
	if err != nil {
		code |= 1
	}
	var id uint64
	if o.ino != nil {
		id = o.ino.ID()
	}
	d.k.Note(sim.NoteDisk, code|id<<16, uint64(o.off)<<20^uint64(n))
	if d.k.Recording() {
		d.k.Record("%s: %s %s off=%d n=%d: %v", d.name, o.kind, o.path, o.off, n, err)
	}
	if err != nil && err != io.EOF {
		if errors.Is(err, env.ErrNoSpace) && d.faults.has(FaultFull) {
			d.hit(FaultFull, o.path)
		}
		err = fmt.Errorf("%s: %s %s: %w", d.name, opNames[o.kind][len("disk "):], o.path, err)
	}
	d.recycle(o)
	return err
}

// maxStage is the largest staging buffer that is kept for the next write.
const maxStage = 1 << 20

func (d *Disk) recycle(o *op) {
	if o.ino != nil {
		d.v.Release(o.ino)
	}
	o.ino, o.act = nil, nil
	if cap(o.stage) > maxStage {
		o.stage = nil
	}
	d.spareOps = append(d.spareOps, o)
}

// freeze takes a copy of the buffer of a write: that is what a crash in the
// middle writes a part of, and what the caller's buffer must still hold after.
func (o *op) freeze(p []byte) { o.stage = append(o.stage[:0], p...) }

func (o *op) checkFrozen(p []byte) {
	if !bytes.Equal(o.stage, p) {
		assert.That(false, "%s: the buffer of a write at %d changed during the call", o.path, o.off)
	}
}

// checkOverlap stops a node that writes the same bytes twice at once.
func (d *Disk) checkOverlap(o *op) {
	for _, other := range d.inFlight {
		if other != o && other.kind == opWrite && other.ino == o.ino &&
			other.off < o.off+o.size && o.off < other.off+other.size {
			assert.That(false, "%s: writes overlap: %d bytes at %d and %d bytes at %d",
				o.path, o.size, o.off, other.size, other.off)
		}
	}
}

// garbage is what scribble writes: bytes that nobody can mean.
var garbage = bytes.Repeat([]byte{0xdb}, 8<<10)

// scribble fills the buffer of a read with garbage, so that who looks at it before
// the call returns sees that. Of a large buffer it fills the ends.
func scribble(p []byte) {
	n := copy(p, garbage)
	copy(p[max(n, len(p)-len(garbage)):], garbage)
}

// gone reports whether the caller is a task of a crashed node, or one that is
// unwinding: what it does has no effect.
func (d *Disk) gone(boot uint64) bool {
	if !d.node.Alive() || boot != d.boot {
		return true
	}
	t := d.k.Current()
	return t != nil && t.Dead()
}

// errGone is what such a task is told.
var errGone = env.ErrClosed
