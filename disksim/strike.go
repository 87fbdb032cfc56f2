package disksim

import (
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/env"
)

// An outcome is what a fault made of an operation.
type outcome struct {
	struck bool
	n      int
	err    error
}

func fails(err error) outcome { return outcome{struck: true, err: err} }

// refused is what becomes of every change of a disk that takes none.
func (d *Disk) refused(path string) outcome {
	switch {
	case d.faults.down:
		d.hit(FaultShutdown, path)
		return fails(env.ErrIO)
	case d.strike(FaultReadOnly, path) != nil:
		return fails(env.ErrReadOnly)
	}
	return outcome{}
}

// strikeRead is what faults make of a read.
func (d *Disk) strikeRead(o *op, p []byte) outcome {
	if d.strike(FaultReadError, o.path) != nil {
		return fails(env.ErrIO)
	}
	if len(p) > 1 && d.strike(FaultShortRead, o.path) != nil {
		m := 1 + d.chance(o.path).IntN(len(p)-1)
		n, err := d.v.Read(o.ino, p[:m], o.off)
		return outcome{true, n, err}
	}
	if len(p) > 0 && d.strike(FaultMisread, o.path) != nil {
		n, err := d.v.Read(o.ino, p, o.off)
		if n > 0 {
			r := d.chance(o.path)
			at := r.IntN(n)
			p[at] ^= 1 << r.UintN(8)
			d.hurt(FaultMisread, o.path, o.off+int64(at), 1)
		}
		return outcome{true, n, err}
	}
	return outcome{}
}

// strikeWrite is what faults make of a write.
func (d *Disk) strikeWrite(o *op, p []byte) outcome {
	if r := d.refused(o.path); r.struck {
		return r
	}
	switch {
	case d.strike(FaultWriteError, o.path) != nil:
		p = p[:prefix(d.chance(o.path), o.off, len(p))]
		_, _ = d.v.Write(o.ino, p, o.off) // it fails in any case
		return fails(env.ErrIO)
	case len(p) > 1 && d.strike(FaultShortWrite, o.path) != nil:
		p = p[:1+d.chance(o.path).IntN(len(p)-1)]
		n, err := d.v.Write(o.ino, p, o.off)
		return outcome{true, n, err}
	case d.strike(FaultLostWrite, o.path) != nil:
		n, err := d.v.WriteLost(o.ino, p, o.off)
		d.hurt(FaultLostWrite, o.path, o.off, int64(n))
		return outcome{true, n, err}
	}
	return d.misdirect(o, p)
}

// misdirect lets a write land on other pages of the same file, if it has any.
func (d *Disk) misdirect(o *op, p []byte) outcome {
	at := o.off % media.PageSize
	places := (o.ino.Size() - at - int64(len(p))) / media.PageSize
	if places < 1 || d.strike(FaultMisdirect, o.path) == nil {
		return outcome{}
	}
	to := d.chance(o.path).Int64N(places)*media.PageSize + at
	if to == o.off {
		to += media.PageSize
	}
	_, _ = d.v.Write(o.ino, p, to) // a full disk spares the victim
	n, err := d.v.WriteLost(o.ino, p, o.off)
	d.hurt(FaultMisdirect, o.path, o.off, int64(n))
	d.hurt(FaultMisdirect, o.path, to, int64(len(p)))
	return outcome{true, n, err}
}

// strikeAct is what faults make of an operation that happens as a whole or not.
func (d *Disk) strikeAct(o *op) outcome {
	if o.kind.mutates() {
		if r := d.refused(o.path); r.struck {
			return r
		}
	}
	switch o.kind {
	case opUsage:
		return outcome{}
	case opSyncDir:
		if d.strike(FaultSyncDirError, o.path) != nil {
			return fails(env.ErrIO)
		}
		if d.strike(FaultSyncLies, o.path) != nil {
			d.hurt(FaultSyncLies, o.path, 0, 0)
			return fails(nil)
		}
		return outcome{}
	case opOpen, opReadDir:
		if d.strike(FaultTooManyFiles, o.path) != nil {
			return fails(env.ErrTooManyFiles)
		}
	}
	if d.strike(FaultMetaError, o.path) != nil {
		if o.kind.mutates() && d.chance(o.path).IntN(2) == 0 {
			_ = o.act() // it happens, and fails in any case
		}
		return fails(env.ErrIO)
	}
	return outcome{}
}

// syncFaults are the faults of a sync, in the order they are tried.
var syncFaults = []struct {
	kind FaultKind
	how  media.SyncFailure
	err  error
}{
	{FaultSyncError, media.FailDirty, env.ErrIO},
	{FaultSyncKeep, media.FailClean, env.ErrIO},
	{FaultSyncRevert, media.FailRevert, env.ErrIO},
	{FaultSyncLate, media.FailClean, nil},
	{FaultSyncOthers, media.FailClean, env.ErrIO},
	{FaultSyncNoSpace, media.FailClean, env.ErrNoSpace},
	{FaultShutdown, media.FailDirty, env.ErrIO},
}

// strikeSync is what faults make of a sync.
func (f *file) strikeSync(o *op) outcome {
	d := f.d
	if r := d.refused(o.path); r.struck {
		d.v.FailSync(f.ino, o.upTo, media.FailDirty)
		return r
	}
	for _, s := range syncFaults {
		if d.strike(s.kind, o.path) == nil {
			continue
		}
		d.v.FailSync(f.ino, o.upTo, s.how)
		switch s.kind {
		case FaultSyncLate:
			f.owed = env.ErrIO
			d.hurt(FaultSyncLate, o.path, 0, f.ino.Size())
		case FaultSyncOthers:
			d.owe(f)
		case FaultShutdown:
			d.faults.down = true
		}
		return fails(s.err)
	}
	if d.strike(FaultSyncLies, o.path) != nil {
		d.hurt(FaultSyncLies, o.path, 0, f.ino.Size())
		return fails(nil)
	}
	return outcome{}
}

// owe makes the next sync fail on every other descriptor of a file.
func (d *Disk) owe(f *file) {
	for _, other := range d.open {
		if other != f && other.ino == f.ino {
			other.owed = env.ErrIO
		}
	}
}
