package broken

import (
	"io"

	"github.com/klammlog/klamm/node/env"
)

// file replaces the methods that are not nil.
type file struct {
	env.File
	readAt   func(p []byte, off int64) (int, error)
	writeAt  func(p []byte, off int64) (int, error)
	truncate func(n int64) error
	allocate func(off, n int64) error
	syncData func() error
	close    func() error
}

func (f file) ReadAt(p []byte, off int64) (int, error) {
	if f.readAt != nil {
		return f.readAt(p, off)
	}
	return f.File.ReadAt(p, off)
}

func (f file) WriteAt(p []byte, off int64) (int, error) {
	if f.writeAt != nil {
		return f.writeAt(p, off)
	}
	return f.File.WriteAt(p, off)
}

func (f file) Truncate(n int64) error {
	if f.truncate != nil {
		return f.truncate(n)
	}
	return f.File.Truncate(n)
}

func (f file) Allocate(off, n int64) error {
	if f.allocate != nil {
		return f.allocate(off, n)
	}
	return f.File.Allocate(off, n)
}

func (f file) SyncData() error {
	if f.syncData != nil {
		return f.syncData()
	}
	return f.File.SyncData()
}

func (f file) Close() error {
	if f.close != nil {
		return f.close()
	}
	return f.File.Close()
}

// eachFile describes a world in which change is made to every File.
func eachFile(name string, change func(w *env.World, good env.File) env.File, noticed ...string) World {
	return world(name, func(w *env.World) {
		eachDisk(w, func(d *disk) {
			d.file = func(good env.File) env.File { return change(w, good) }
		})
	}, noticed...)
}

var fileWorlds = []World{
	eachFile("a long write is cut, and reported as whole", func(_ *env.World, good env.File) env.File {
		return file{File: good, writeAt: func(p []byte, off int64) (int, error) {
			_, err := good.WriteAt(p[:min(len(p), 1<<20)], off)
			return len(p), err
		}}
	}, "what is written is read"),

	eachFile("every write is an append", func(_ *env.World, good env.File) env.File {
		return file{File: good, writeAt: func(p []byte, _ int64) (int, error) {
			size, err := good.Size()
			if err != nil {
				return 0, err
			}
			return good.WriteAt(p, size)
		}}
	}, "writes land where they are told"),

	eachFile("reads go on behind the end", func(_ *env.World, good env.File) env.File {
		return file{File: good, readAt: func(p []byte, off int64) (int, error) {
			n, err := good.ReadAt(p, off)
			if err == io.EOF {
				clear(p[n:])
				return len(p), nil
			}
			return n, err
		}}
	}, "reading stops at the end of the file"),

	eachFile("reads and writes move one position", func(w *env.World, good env.File) env.File {
		at := int64(0)
		seek := func(off int64) { at = off; _ = w.Sleep(0) }
		return file{
			File:    good,
			readAt:  func(p []byte, off int64) (int, error) { seek(off); return good.ReadAt(p, at) },
			writeAt: func(p []byte, off int64) (int, error) { seek(off); return good.WriteAt(p, at) },
		}
	}, "tasks read one file at once", "tasks write one file at once"),

	eachFile("syncing cuts the last page", func(_ *env.World, good env.File) env.File {
		return file{File: good, syncData: func() error {
			size, err := good.Size()
			if err != nil {
				return err
			}
			return good.Truncate(size &^ 4095)
		}}
	}, "syncing changes nothing that can be seen", "tasks write one file at once"),

	world("every file is opened for writing", func(w *env.World) {
		eachDisk(w, func(d *disk) {
			good := d.FS
			d.open = func(name string, flag env.Flag) (env.File, error) { return good.OpenFile(name, flag|env.Write) }
		})
	}, "a file opened for reading cannot be changed"),

	eachFile("a closed file goes on working", func(_ *env.World, good env.File) env.File {
		return file{File: good, close: func() error { return nil }}
	}, "a closed file says so"),

	world("disk calls are canceled", func(w *env.World) {
		good, canceled := w.Tasks, false
		w.Tasks = tasks{Tasks: good, start: func(name string, f func()) env.Task {
			t := good.Go(name, f)
			return task{Task: t, cancel: func() { canceled = true; t.Cancel() }}
		}}
		eachDisk(w, func(d *disk) {
			d.file = func(f env.File) env.File {
				return file{File: f, writeAt: func(p []byte, off int64) (int, error) {
					if canceled {
						return 0, env.ErrCanceled
					}
					return f.WriteAt(p, off)
				}}
			}
		})
	}, "disk calls of a canceled task complete"),
}

var sizeWorlds = []World{
	eachFile("Truncate cuts at the end of a page", func(_ *env.World, good env.File) env.File {
		return file{File: good, truncate: func(n int64) error {
			size, err := good.Size()
			if err == nil && n < size {
				n = min(size, (n+4095)&^4095)
			}
			return good.Truncate(n)
		}}
	}, "Truncate cuts a file"),

	eachFile("Truncate never grows a file", func(_ *env.World, good env.File) env.File {
		return file{File: good, truncate: func(n int64) error {
			size, err := good.Size()
			if err != nil || n >= size {
				return err
			}
			return good.Truncate(n)
		}}
	}, "Truncate grows a file with zeros", "drawn operations do what a model says"),

	eachFile("Allocate does not grow a file", func(_ *env.World, good env.File) env.File {
		return file{File: good, allocate: func(int64, int64) error { return nil }}
	}, "Allocate grows a file with zeros and keeps its bytes"),

	eachFile("a truncated tail comes back when the file grows", returningTail,
		"what was cut off does not come back", "drawn operations do what a model says"),
}

// returningTail keeps what Truncate cuts off and puts it back where the next
// change makes the file longer.
func returningTail(_ *env.World, good env.File) env.File {
	var tail []byte
	from := int64(0)
	return file{
		File: good,
		truncate: func(n int64) error {
			size, err := good.Size()
			if err != nil {
				return err
			}
			if n < size {
				tail, from = make([]byte, size-n), n
				_, _ = good.ReadAt(tail, n)
				return good.Truncate(n)
			}
			if err := good.Truncate(n); err != nil {
				return err
			}
			return putBack(good, tail, from, n)
		},
		writeAt: func(p []byte, off int64) (int, error) {
			size, err := good.Size()
			if err != nil {
				return 0, err
			}
			if off > size {
				if err := putBack(good, tail, from, off); err != nil {
					return 0, err
				}
			}
			return good.WriteAt(p, off)
		},
	}
}

func putBack(good env.File, tail []byte, from, end int64) error {
	n := min(int64(len(tail)), end-from)
	if n <= 0 {
		return nil
	}
	_, err := good.WriteAt(tail[:n], from)
	return err
}
