package osenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klammlog/klamm/node/env"
)

// A disk implements env.FS on one log directory.
type disk struct {
	h    *Host
	root string
	base *os.File // root, held open; nil if it could not be

	// A slot for each system call in flight. Reads have slots of their own, so
	// that they do not queue behind a thousand syncs.
	reads, writes chan struct{}
}

func newDisk(h *Host, root string, calls int) *disk {
	base, _ := os.Open(root)
	return &disk{
		h: h, root: root, base: base,
		reads: make(chan struct{}, calls), writes: make(chan struct{}, calls),
	}
}

// begin lays down the baton and takes a slot. Every begin has its finish.
func (d *disk) begin(slots chan struct{}) *task {
	t := d.h.leave()
	slots <- struct{}{}
	return t
}

func (d *disk) finish(slots chan struct{}, t *task) {
	<-slots
	d.h.enter(t)
}

// do runs f between begin and finish, and translates its error.
func (d *disk) do(slots chan struct{}, f func() error) error {
	t := d.begin(slots)
	err := f()
	d.finish(slots, t)
	return diskError(err)
}

// path returns where a name is on the machine. It refuses names that are not
// clean or leave the root.
func (d *disk) path(name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", fmt.Errorf("name %q is not one below %s", name, d.root)
	}
	return filepath.Join(d.root, filepath.FromSlash(name)), nil
}

var osFlags = []struct {
	env env.Flag
	os  int
}{
	{env.Create, os.O_CREATE},
	{env.Exclusive, os.O_EXCL},
	{env.Trunc, os.O_TRUNC},
}

// OpenFile implements env.FS.
func (d *disk) OpenFile(name string, flag env.Flag) (env.File, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	mode := os.O_RDONLY
	if flag&env.Write != 0 {
		mode = os.O_RDWR
	}
	for _, f := range osFlags {
		if flag&f.env != 0 {
			mode |= f.os
		}
	}
	var opened *os.File
	err = d.do(d.writes, func() (err error) {
		opened, err = os.OpenFile(path, mode, 0o644)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.h.open[opened] = struct{}{}
	return &file{disk: d, os: opened}, nil
}

// change does something to the entry called name.
func (d *disk) change(name string, f func(path string) error) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	return d.do(d.writes, func() error { return f(path) })
}

// Mkdir implements env.FS.
func (d *disk) Mkdir(name string) error {
	return d.change(name, func(path string) error { return os.Mkdir(path, 0o755) })
}

// Remove implements env.FS.
func (d *disk) Remove(name string) error { return d.change(name, os.Remove) }

// Rename implements env.FS.
func (d *disk) Rename(from, to string) error {
	target, err := d.path(to)
	if err != nil {
		return err
	}
	return d.change(from, func(path string) error { return os.Rename(path, target) })
}

// ReadDir implements env.FS.
func (d *disk) ReadDir(name string) (names []string, err error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	err = d.do(d.reads, func() error {
		dir, err := os.Open(path)
		if err != nil {
			return err
		}
		defer dir.Close()
		names, err = dir.Readdirnames(-1)
		return err
	})
	if err != nil {
		return nil, err // not a part of the names
	}
	return names, nil
}

// Stat implements env.FS.
func (d *disk) Stat(name string) (info env.Info, err error) {
	path, err := d.path(name)
	if err != nil {
		return env.Info{}, err
	}
	err = d.do(d.reads, func() error {
		got, err := os.Stat(path)
		if err == nil {
			info = env.Info{Size: got.Size(), IsDir: got.IsDir()}
		}
		return err
	})
	return info, err
}

// SyncDir implements env.FS. To sync a directory the system wants it open. When
// there is no file left to open the whole file system is synced in its place, by
// what is open: slow, but callers may take a failure for the disk's.
func (d *disk) SyncDir(name string) error {
	return d.change(name, func(path string) error {
		dir, err := os.Open(path)
		if errors.Is(diskError(err), env.ErrTooManyFiles) && d.base != nil {
			return syncAll(d.base, err)
		}
		if err != nil {
			return err
		}
		defer dir.Close()
		return dir.Sync()
	})
}

// Usage implements env.FS.
func (d *disk) Usage() (free, total int64, err error) {
	err = d.do(d.reads, func() (err error) {
		free, total, err = usage(d.root)
		return err
	})
	return free, total, err
}

// Lock implements env.FS by flock, which the system drops with the process.
func (d *disk) Lock(name string) (env.Closer, error) {
	var opened *os.File
	err := d.change(name, func(path string) (err error) {
		opened, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		if err := lock(opened); err != nil {
			_ = opened.Close()
			return &fs.PathError{Op: "lock", Path: path, Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.h.open[opened] = struct{}{}
	return &file{disk: d, os: opened}, nil
}
