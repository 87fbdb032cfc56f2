package disksim

import (
	"fmt"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/sim"
)

// fs is a node's view of the disk: env.FS.
type fs struct{ d *Disk }

// FS returns the disk as the node's World has it, in this incarnation and the
// later ones. Files and locks of an incarnation end with it.
func (d *Disk) FS(node *sim.Node) env.FS {
	d.attach(node)
	return &fs{d}
}

// begin starts an operation on a name.
func (s *fs) begin(kind opKind, name string) (*op, error) {
	if s.d.gone(s.d.boot) {
		return nil, fmt.Errorf("%s: %s: %w", s.d.name, name, errGone)
	}
	return s.d.begin(kind, name, nil), nil
}

// do is an operation on a name that happens as a whole or not.
func (s *fs) do(kind opKind, name string, act func() error) error {
	o, err := s.begin(kind, name)
	if err != nil {
		return err
	}
	o.act = act
	return s.d.perform(o)
}

// OpenFile implements env.FS.
func (s *fs) OpenFile(name string, flag env.Flag) (env.File, error) {
	var ino *media.Inode
	err := s.do(opOpen, name, func() (err error) {
		ino, err = s.d.openInode(name, flag)
		return err
	})
	if err != nil {
		return nil, err
	}
	// Second look: nothing ran between the operation's end and here.
	return s.d.newFile(ino, name, flag), nil
}

func (d *Disk) openInode(name string, flag env.Flag) (*media.Inode, error) {
	if len(d.open) >= d.options.MaxOpen {
		return nil, env.ErrTooManyFiles
	}
	if flag&(env.Write|env.Create|env.Trunc) != 0 && d.faults.armed() {
		if r := d.refused(name); r.struck {
			return nil, r.err
		}
	}
	ino, err := d.v.Lookup(name)
	switch {
	case err != nil && flag&env.Create != 0:
		return d.v.Create(name, media.Regular)
	case err != nil:
		return nil, err
	case flag&env.Create != 0 && flag&env.Exclusive != 0:
		return nil, env.ErrExist
	case ino.IsDir():
		return nil, fmt.Errorf("is a directory: %w", env.ErrExist)
	}
	if flag&env.Trunc != 0 {
		d.v.Truncate(ino, 0)
	}
	return ino, nil
}

// Mkdir implements env.FS.
func (s *fs) Mkdir(name string) error {
	return s.do(opMkdir, name, func() error {
		_, err := s.d.v.Create(name, media.Directory)
		return err
	})
}

// Remove implements env.FS.
func (s *fs) Remove(name string) error {
	return s.do(opRemove, name, func() error { return s.d.v.Remove(name) })
}

// Rename implements env.FS.
func (s *fs) Rename(from, to string) error {
	return s.do(opRename, from, func() error { return s.d.v.Rename(from, to) })
}

// ReadDir implements env.FS. The order is drawn.
func (s *fs) ReadDir(name string) ([]string, error) {
	var names []string
	err := s.do(opReadDir, name, func() (err error) {
		names, err = s.d.v.List(name)
		return err
	})
	s.d.order.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names, err
}

// Stat implements env.FS.
func (s *fs) Stat(name string) (env.Info, error) {
	var info env.Info
	err := s.do(opStat, name, func() error {
		ino, err := s.d.v.Lookup(name)
		if err == nil {
			info = env.Info{Size: ino.Size(), IsDir: ino.IsDir()}
		}
		return err
	})
	return info, err
}

// SyncDir implements env.FS.
func (s *fs) SyncDir(name string) error {
	o, err := s.begin(opSyncDir, name)
	if err != nil {
		return err
	}
	o.act = func() error {
		dir, err := s.d.v.Lookup(name)
		switch {
		case err != nil:
			return err
		case !dir.IsDir():
			return fmt.Errorf("not a directory: %w", env.ErrNotExist)
		}
		s.d.v.SyncDir(dir, o.upTo)
		return nil
	}
	return s.d.perform(o)
}

// Usage implements env.FS.
func (s *fs) Usage() (free, total int64, err error) {
	err = s.do(opUsage, ".", func() error {
		free, total = s.d.v.Usage()
		return nil
	})
	return free, total, err
}

// Lock implements env.FS.
func (s *fs) Lock(name string) (env.Closer, error) {
	l := &lock{d: s.d, name: name, boot: s.d.boot}
	err := s.do(opLock, name, func() error {
		if s.d.locks[name] != nil {
			return env.ErrLocked
		}
		if _, err := s.d.openInode(name, env.Write|env.Create); err != nil {
			return err
		}
		s.d.locks[name] = l
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// A lock is held until it is closed or its process dies.
type lock struct {
	d    *Disk
	name string
	boot uint64
}

// Close implements env.Closer.
func (l *lock) Close() error {
	if l.d.gone(l.boot) || l.d.locks[l.name] != l {
		return fmt.Errorf("%s: lock %s: %w", l.d.name, l.name, errGone)
	}
	o := l.d.begin(opClose, l.name, nil)
	l.d.wait(o)
	delete(l.d.locks, l.name)
	return l.d.end(o, 0, nil)
}
