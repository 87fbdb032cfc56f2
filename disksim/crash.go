package disksim

import (
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/sim"
)

// ProcessCrash is what the node's crash does to the disk: operations in flight
// have happened or not, files and locks are gone, the page cache stays. FS
// registers it with the node.
func (d *Disk) ProcessCrash() {
	for _, o := range d.inFlight {
		d.abort(o)
	}
	clear(d.inFlight)
	d.inFlight = d.inFlight[:0]
	for _, f := range d.open {
		d.v.Release(f.ino)
	}
	clear(d.open)
	d.open = d.open[:0]
	clear(d.locks)
	d.boot++
	d.swap()
}

// abort decides what became of an operation whose process died.
func (d *Disk) abort(o *op) {
	done := uint64(0)
	switch {
	case o.kind == opWrite:
		done = uint64(prefix(d.crashes, o.off, len(o.stage)))
		// A full disk may stop it even earlier, which nobody is left to hear.
		d.v.Write(o.ino, o.stage[:done], o.off)
	case o.kind.mutates() && o.kind != opSync && o.kind != opSyncDir, o.kind == opOpen:
		if done = d.crashes.Uint64N(2); done == 1 {
			_ = o.act() // nobody is left to hear
		}
	}
	d.k.Note(sim.NoteDisk, uint64(o.kind)<<8|2, done)
	d.recycle(o)
}

// prefix draws how many of n bytes written at off happened: nothing, everything,
// or up to the end of some page.
func prefix(r *rand.Rand, off int64, n int) int {
	first, end := off/media.PageSize, (off+int64(n)+media.PageSize-1)/media.PageSize
	pages := r.Int64N(max(end-first, 0) + 1)
	return int(max(0, min(int64(n), (first+pages)*media.PageSize-off)))
}

// PowerLoss draws what survives of what was not synced. The node has crashed.
func (d *Disk) PowerLoss(p media.Profile, m media.Modifiers) media.Crash {
	c := d.v.Draw(p, m, d.crashes)
	d.lose(c)
	return c
}

// Lose is PowerLoss with a chosen outcome: one that an earlier run printed, or
// one of Crashes. It fails, and nothing happened, if the outcome is not legal
// for what is pending now. The node has crashed.
func (d *Disk) Lose(c media.Crash) error {
	if err := d.v.CheckCrash(c); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	d.lose(c)
	return nil
}

func (d *Disk) lose(c media.Crash) {
	assert.That(len(d.open)+len(d.inFlight) == 0, "%s: power loss before the crash of its node", d.name)
	line := c.String()
	d.k.NoteText(sim.NoteDisk, line, uint64(len(c.Kept)))
	if d.k.Recording() {
		for i, e := range d.v.Effects() {
			d.k.Record("%s: %s kept=%x", d.name, e, c.Kept[i])
		}
	}
	d.v.PowerLoss(c)
	d.lastLoss = c
	d.faults.reboot()
}

// LastLoss returns the outcome of the last power loss.
func (d *Disk) LastLoss() media.Crash { return d.lastLoss }

// Crashes yields every outcome that a power loss could have now, and the volume it
// leaves, if at most media.MaxExhaustive effects are pending; else nothing.
// NewFrom makes a disk of one.
func (d *Disk) Crashes(p media.Profile) iter.Seq2[media.Crash, *media.Volume] {
	return func(yield func(media.Crash, *media.Volume) bool) {
		for c := range d.v.Crashes(p) {
			left := d.v.Clone()
			left.PowerLoss(c)
			if !yield(c, left) {
				return
			}
		}
	}
}

// NewFrom returns a disk that holds a volume, which is the disk's from then on.
func NewFrom(k *sim.Kernel, name string, o Options, v *media.Volume) *Disk {
	d := New(k, name, o)
	d.v = v
	d.writeBackUpTo = v.Seq()
	return d
}
