package disksim

import (
	"fmt"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
)

// A file is an open file: env.File.
type file struct {
	d     *Disk
	ino   *media.Inode
	path  string // when it was opened
	write bool
	slot  int // its place in Disk.open
	boot  uint64
	shut  bool

	// A failed sync that this descriptor has not been told of yet.
	owed error
}

func (d *Disk) newFile(ino *media.Inode, path string, flag env.Flag) *file {
	f := &file{d: d, ino: ino, path: path, write: flag&env.Write != 0, slot: len(d.open), boot: d.boot}
	d.open = append(d.open, f)
	d.v.Hold(ino)
	return f
}

// ready tells why a call cannot begin.
func (f *file) ready() error {
	if f.shut || f.d.gone(f.boot) {
		return f.unusable()
	}
	return nil
}

func (f *file) unusable() error {
	if f.d.node.Alive() {
		f.d.misuse.UsedAfterClose++
	}
	return fmt.Errorf("%s: %s: %w", f.d.name, f.path, errGone)
}

func (f *file) checkOffset(off int64) {
	if off < 0 { // arguments of an assertion cost an allocation each
		assert.That(false, "%s: offset %d", f.path, off)
	}
}

// ReadAt implements env.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.ready(); err != nil {
		return 0, err
	}
	f.checkOffset(off)
	o := f.d.begin(opRead, f.path, f.ino)
	o.off, o.size = off, int64(len(p))
	scribble(p)
	f.d.wait(o)
	n, err := f.d.read(o, p)
	return n, f.d.end(o, int64(n), err)
}

func (d *Disk) read(o *op, p []byte) (int, error) {
	// Unreadable sectors come first: no fault makes them readable.
	if d.v.Bad(o.ino, o.off, len(p)) {
		d.hit(FaultBadSector, o.path)
		return 0, env.ErrIO
	}
	if d.faults.armed() {
		if r := d.strikeRead(o, p); r.struck {
			return r.n, r.err
		}
	}
	n, err := d.v.Read(o.ino, p, o.off)
	if len(d.inFlight) > 0 {
		d.showInFlight(o, p[:n])
	}
	return n, err
}

// showInFlight lets a read see any part of the writes that are under way on the
// same bytes.
func (d *Disk) showInFlight(o *op, p []byte) {
	for _, w := range d.inFlight {
		if w.kind != opWrite || w.ino != o.ino || w.off >= o.off+int64(len(p)) || w.off+w.size <= o.off {
			continue
		}
		seen := w.stage[:prefix(d.order, w.off, len(w.stage))]
		if w.off >= o.off {
			copy(p[w.off-o.off:], seen)
		} else if skip := o.off - w.off; skip < int64(len(seen)) {
			copy(p, seen[skip:])
		}
	}
}

// WriteAt implements env.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.readyToWrite(); err != nil {
		return 0, err
	}
	f.checkOffset(off)
	o := f.d.begin(opWrite, f.path, f.ino)
	o.off, o.size = off, int64(len(p))
	o.freeze(p)
	f.d.checkOverlap(o)
	f.d.wait(o)
	o.checkFrozen(p)
	n, err := f.d.write(o, p)
	return n, f.d.end(o, int64(n), err)
}

func (d *Disk) write(o *op, p []byte) (int, error) {
	if d.faults.armed() {
		if r := d.strikeWrite(o, p); r.struck {
			return r.n, r.err
		}
	}
	n, err := d.v.Write(o.ino, p, o.off)
	if err != nil && n > 0 && d.order.IntN(2) == 0 {
		return n, nil // a short write: the next one fails
	}
	return n, err
}

func (f *file) readyToWrite() error {
	if err := f.ready(); err != nil {
		return err
	}
	if !f.write {
		return fmt.Errorf("%s: %s is open for reading: %w", f.d.name, f.path, env.ErrReadOnly)
	}
	return nil
}

// Truncate implements env.File.
func (f *file) Truncate(n int64) error {
	return f.change(opTruncate, n, func() error {
		f.d.v.Truncate(f.ino, n)
		return nil
	})
}

// Allocate implements env.File.
func (f *file) Allocate(off, n int64) error {
	return f.change(opAllocate, off, func() error { return f.d.v.Allocate(f.ino, off, n) })
}

// change is a mutation of the file that happens as a whole or not.
func (f *file) change(kind opKind, off int64, act func() error) error {
	if err := f.readyToWrite(); err != nil {
		return err
	}
	f.checkOffset(off)
	o := f.d.begin(kind, f.path, f.ino)
	o.off, o.act = off, act
	return f.d.perform(o)
}

// perform waits, then does what the operation is to do unless a fault strikes.
// Blocks.
func (d *Disk) perform(o *op) error {
	d.wait(o)
	if d.faults.armed() {
		if r := d.strikeAct(o); r.struck {
			return d.end(o, 0, r.err)
		}
	}
	return d.end(o, 0, o.act())
}

// Sync implements env.File.
func (f *file) Sync() error {
	if err := f.ready(); err != nil {
		return err
	}
	o := f.d.begin(opSync, f.path, f.ino)
	f.d.wait(o)
	return f.d.end(o, 0, f.sync(o))
}

func (f *file) sync(o *op) error {
	if err := f.owed; err != nil {
		f.owed = nil
		return err
	}
	if f.d.faults.armed() {
		if r := f.strikeSync(o); r.struck {
			return r.err
		}
	}
	f.d.v.Sync(f.ino, o.upTo)
	return nil
}

// SyncData implements env.File. The model has no times of files, so there is no
// difference.
func (f *file) SyncData() error { return f.Sync() }

// Size implements env.File.
func (f *file) Size() (int64, error) {
	if err := f.ready(); err != nil {
		return 0, err
	}
	o := f.d.begin(opSize, f.path, f.ino)
	f.d.wait(o)
	n := f.ino.Size()
	return n, f.d.end(o, n, nil)
}

// Close implements env.File.
func (f *file) Close() error {
	if err := f.ready(); err != nil {
		return err
	}
	f.shut = true
	o := f.d.begin(opClose, f.path, f.ino)
	f.d.wait(o)
	f.d.forget(f)
	return f.d.end(o, 0, nil)
}

// forget drops an open file from the books.
func (d *Disk) forget(f *file) {
	last := len(d.open) - 1
	d.open[last].slot = f.slot
	d.open[f.slot] = d.open[last]
	d.open[last] = nil
	d.open = d.open[:last]
	d.v.Release(f.ino)
}
