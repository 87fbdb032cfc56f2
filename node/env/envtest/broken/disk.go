package broken

import (
	"errors"
	"path"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/env/envtest"
)

// disk replaces the methods that are not nil, and passes every file through
// file.
type disk struct {
	env.FS
	open    func(name string, flag env.Flag) (env.File, error)
	mkdir   func(name string) error
	remove  func(name string) error
	rename  func(from, to string) error
	readDir func(name string) ([]string, error)
	usage   func() (free, total int64, err error)
	lock    func(name string) (env.Closer, error)
	file    func(env.File) env.File
}

func (d *disk) OpenFile(name string, flag env.Flag) (env.File, error) {
	open := d.FS.OpenFile
	if d.open != nil {
		open = d.open
	}
	f, err := open(name, flag)
	if err == nil && d.file != nil {
		f = d.file(f)
	}
	return f, err
}

func (d *disk) Mkdir(name string) error {
	if d.mkdir != nil {
		return d.mkdir(name)
	}
	return d.FS.Mkdir(name)
}

func (d *disk) Remove(name string) error {
	if d.remove != nil {
		return d.remove(name)
	}
	return d.FS.Remove(name)
}

func (d *disk) Rename(from, to string) error {
	if d.rename != nil {
		return d.rename(from, to)
	}
	return d.FS.Rename(from, to)
}

func (d *disk) ReadDir(name string) ([]string, error) {
	if d.readDir != nil {
		return d.readDir(name)
	}
	return d.FS.ReadDir(name)
}

func (d *disk) Usage() (free, total int64, err error) {
	if d.usage != nil {
		return d.usage()
	}
	return d.FS.Usage()
}

func (d *disk) Lock(name string) (env.Closer, error) {
	if d.lock != nil {
		return d.lock(name)
	}
	return d.FS.Lock(name)
}

// eachDisk replaces every disk of w by one that change has changed.
func eachDisk(w *env.World, change func(d *disk)) {
	for i := range w.LogDirs {
		d := &disk{FS: w.LogDirs[i].FS}
		change(d)
		w.LogDirs[i].FS = d
	}
}

// disks describes a world in which change is made to every disk.
func disks(name string, change func(d *disk, good env.FS), noticed ...string) World {
	return world(name, func(w *env.World) {
		eachDisk(w, func(d *disk) { change(d, d.FS) })
	}, noticed...)
}

var directoryWorlds = []World{
	disks("Exclusive is ignored", func(d *disk, good env.FS) {
		d.open = func(name string, flag env.Flag) (env.File, error) { return good.OpenFile(name, flag&^env.Exclusive) }
	}, "OpenFile does what its flags say"),

	disks("ReadDir misses a name", func(d *disk, good env.FS) {
		d.readDir = func(name string) ([]string, error) {
			names, err := good.ReadDir(name)
			return names[:max(0, len(names)-1)], err
		}
	}, "ReadDir lists what is there"),

	disks("Mkdir of what exists succeeds", func(d *disk, good env.FS) {
		d.mkdir = func(name string) error {
			if err := good.Mkdir(name); !errors.Is(err, env.ErrExist) {
				return err
			}
			return nil
		}
	}, "directories are made once, below directories"),

	disks("Remove removes what is in a directory", func(d *disk, good env.FS) {
		d.remove = func(name string) error {
			if err := good.Remove(name); !errors.Is(err, env.ErrNotEmpty) {
				return err
			}
			names, _ := good.ReadDir(name)
			for _, n := range names {
				_ = good.Remove(name + "/" + n)
			}
			return good.Remove(name)
		}
	}, "Remove removes files and empty directories"),

	disks("Remove empties open files", func(d *disk, good env.FS) {
		d.remove = func(name string) error {
			if f, err := good.OpenFile(name, env.Write|env.Trunc); err == nil {
				_ = f.Close()
			}
			return good.Remove(name)
		}
	}, "a removed file goes on working while it is open"),

	disks("Rename does not replace", func(d *disk, good env.FS) {
		d.rename = func(from, to string) error {
			if _, err := good.Stat(to); err == nil {
				return env.ErrExist
			}
			return good.Rename(from, to)
		}
	}, "Rename replaces a file in one step"),

	disks("Rename refuses directories", func(d *disk, good env.FS) {
		d.rename = func(from, to string) error {
			if info, err := good.Stat(from); err == nil && info.IsDir {
				return env.ErrIO
			}
			return good.Rename(from, to)
		}
	}, "Rename moves directories with what is in them"),

	disks("Rename of nothing succeeds", func(d *disk, good env.FS) {
		d.rename = func(from, to string) error {
			if err := good.Rename(from, to); !errors.Is(err, env.ErrNotExist) {
				return err
			}
			return nil
		}
	}, "Rename of what does not exist fails"),

	disks("Rename copies", func(d *disk, good env.FS) { d.rename = copying(good) },
		"an open file follows its rename"),

	disks("names that leave the root are bent", func(d *disk, good env.FS) {
		d.open = func(name string, flag env.Flag) (env.File, error) {
			return good.OpenFile(path.Clean("/" + name)[1:], flag)
		}
	}, "names that leave the root are refused"),
}

// copying returns a Rename that copies the file and removes the old one.
func copying(good env.FS) func(from, to string) error {
	return func(from, to string) error {
		f, err := good.OpenFile(from, env.ReadOnly)
		if err != nil {
			return err
		}
		size, _ := f.Size()
		p := make([]byte, size)
		_, _ = f.ReadAt(p, 0)
		g, err := good.OpenFile(to, env.Write|env.Create|env.Trunc)
		if err != nil {
			return err
		}
		_, _ = g.WriteAt(p, 0)
		return errors.Join(g.Close(), f.Close(), good.Remove(from))
	}
}

// nothing is a lock that locks nothing.
type nothing struct{}

func (nothing) Close() error { return nil }

var diskWorlds = []World{
	disks("everybody gets the lock", func(d *disk, good env.FS) {
		d.lock = func(name string) (env.Closer, error) {
			c, err := good.Lock(name)
			if errors.Is(err, env.ErrLocked) {
				return nothing{}, nil
			}
			return c, err
		}
	}, "a lock is held by one at a time"),

	disks("more is free than there is", func(d *disk, good env.FS) {
		d.usage = func() (free, total int64, err error) {
			_, total, err = good.Usage()
			return total + 1, total, err
		}
	}, "disk usage is plausible"),

	world("all log directories are one", func(w *env.World) {
		for i := range w.LogDirs {
			w.LogDirs[i].FS = w.LogDirs[0].FS
		}
	}, "log directories are apart"),
}

var killWorlds = []World{
	{
		"a kill leaves the process alive",
		[]string{"a killed host's connections end", "a killed host no longer listens", "a kill drops locks"},
		func(h envtest.Harness) envtest.Harness {
			return killing{h, func(string) error { return nil }}
		},
	},
	{
		"a kill loses what was not synced",
		[]string{"completed disk calls survive a kill", "drawn operations survive a kill"},
		func(h envtest.Harness) envtest.Harness {
			return killing{h, func(host string) error {
				cut := envtest.Part{Host: host, Run: func(w *env.World) error { return cutFiles(w.LogDirs[0].FS) }}
				return errors.Join(h.Kill(host), h.Run(cut), h.Kill(host))
			}}
		},
	},
}

type killing struct {
	envtest.Harness
	kill func(host string) error
}

func (k killing) Kill(host string) error { return k.kill(host) }

// cutFiles takes the last byte from every file.
func cutFiles(fs env.FS) error {
	state, err := envtest.Capture(fs)
	if err != nil {
		return err
	}
	for name, contents := range state { //klamm:unordered each file for itself
		if len(contents) == 0 {
			continue
		}
		f, err := fs.OpenFile(name, env.Write)
		if err != nil {
			return err
		}
		err = errors.Join(f.Truncate(int64(len(contents)-1)), f.Close())
		if err != nil {
			return err
		}
	}
	return nil
}
