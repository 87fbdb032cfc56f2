package envtest

import (
	"errors"
	"fmt"
	"io"

	"github.com/klammlog/klamm/node/env"
)

var fileChecks = []Check{
	one("what is written is read", writtenIsRead),
	one("writes land where they are told", writesLand),
	one("reading stops at the end of the file", readAtEnd),
	one("tasks read one file at once", concurrentReads),
	one("tasks write one file at once", concurrentWrites),
	one("syncing changes nothing that can be seen", syncIsInvisible),
	one("a file opened for reading cannot be changed", readOnlyFile),
	one("a closed file says so", closedFile),
	one("disk calls of a canceled task complete", canceledDisk),
}

// disk returns the first log directory.
func (t *trial) disk() env.FS { return t.LogDirs[0].FS }

// stored returns a new file with these contents. With an error the file is one
// whose calls all return it, so that a chain of calls tells the first error.
func (t *trial) stored(name string, contents []byte) (env.File, error) {
	f, err := t.disk().OpenFile(name, env.Write|env.Create)
	if err != nil {
		return absent{err}, err
	}
	return f, store(f, contents, 0)
}

// absent is a file that could not be opened.
type absent struct{ err error }

func (a absent) ReadAt([]byte, int64) (int, error)  { return 0, a.err }
func (a absent) WriteAt([]byte, int64) (int, error) { return 0, a.err }
func (a absent) Truncate(int64) error               { return a.err }
func (a absent) Allocate(int64, int64) error        { return a.err }
func (a absent) Sync() error                        { return a.err }
func (a absent) SyncData() error                    { return a.err }
func (a absent) Size() (int64, error)               { return 0, a.err }
func (a absent) Close() error                       { return a.err }

// store writes all of p.
func store(f env.File, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := f.WriteAt(p, off)
		if err != nil {
			return err
		}
		if n < 1 || n > len(p) {
			return fmt.Errorf("a write of %d bytes took %d without an error", len(p), n)
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// load reads n bytes from off.
func load(f env.File, off int64, n int) ([]byte, error) {
	p := make([]byte, n)
	for got := 0; got < n; {
		m, err := f.ReadAt(p[got:], off+int64(got))
		got += m
		if err != nil && got < n {
			return p[:got], err
		}
		if err == nil && m == 0 {
			return p[:got], errors.New("a read returned nothing without an error")
		}
	}
	return p, nil
}

// holds demands that f holds just these bytes.
func holds(f env.File, want []byte) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	if size != int64(len(want)) {
		return fmt.Errorf("the file's size is %d, want %d", size, len(want))
	}
	got, err := load(f, 0, len(want))
	return first(err, same("contents", got, want))
}

// contains demands that the file called name holds just these bytes.
func (t *trial) contains(name string, want []byte) error {
	f, err := t.disk().OpenFile(name, env.ReadOnly)
	if err != nil {
		return err
	}
	if err := holds(f, want); err != nil {
		return fmt.Errorf("file %s: %w", name, err)
	}
	return f.Close()
}

func writtenIsRead(t *trial) error {
	want := pattern(1, 3<<20)
	f, err := t.stored("f", want)
	return first(err, holds(f, want), f.Close(), t.contains("f", want))
}

func writesLand(t *trial) error {
	want := make([]byte, 20_000)
	f, err := t.stored("f", nil)
	if err != nil {
		return err
	}
	// Behind the end, which leaves a hole; over a page's edge; over old bytes.
	for i, r := range [][2]int{{15_000, 5000}, {4000, 200}, {0, 1}, {4050, 9000}, {19_999, 1}} {
		p := pattern(uint64(i), r[1])
		copy(want[r[0]:], p)
		if err := store(f, p, int64(r[0])); err != nil {
			return err
		}
	}
	return first(holds(f, want), f.Close(), t.contains("f", want))
}

func readAtEnd(t *trial) error {
	contents := pattern(1, 1000)
	f, err := t.stored("f", contents)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, r := range []struct{ off, ask, want int64 }{{900, 200, 100}, {1000, 1, 0}, {5000, 10, 0}, {0, 4096, 1000}} {
		p := make([]byte, r.ask)
		got := int64(0)
		for err = nil; err == nil && got < r.ask; {
			var n int
			n, err = f.ReadAt(p[got:], r.off+got)
			got += int64(n)
		}
		if err != io.EOF || got != r.want {
			return fmt.Errorf("reading %d bytes from %d of 1000: %d and error %v, want %d and io.EOF",
				r.ask, r.off, got, err, r.want)
		}
	}
	got, err := load(f, 500, 500)
	return first(err, same("the last bytes", got, contents[500:]))
}

func concurrentReads(t *trial) error {
	contents := pattern(1, 400_000)
	f, err := t.stored("f", contents)
	if err != nil {
		return err
	}
	for i := range 8 {
		t.start("reader", func() error {
			for off := i * 1000; off < 390_000; off += 9001 {
				got, err := load(f, int64(off), 10_000)
				if err := first(err, same("a range", got, contents[off:off+10_000])); err != nil {
					return fmt.Errorf("from %d: %w", off, err)
				}
			}
			return nil
		})
	}
	return first(t.finish(), f.Close())
}

func concurrentWrites(t *trial) error {
	want := pattern(1, 160_000)
	f, err := t.stored("f", nil)
	if err != nil {
		return err
	}
	for i := range 8 {
		t.start("writer", func() error {
			for off := i * 1000; off < len(want); off += 8000 {
				if err := store(f, want[off:off+1000], int64(off)); err != nil {
					return err
				}
			}
			return f.SyncData()
		})
	}
	return first(t.finish(), holds(f, want), f.Close())
}

func syncIsInvisible(t *trial) error {
	want := pattern(1, 10_000)
	f, err := t.stored("f", want)
	if err != nil {
		return err
	}
	return first(
		f.Sync(), f.SyncData(), holds(f, want), t.disk().SyncDir("."), holds(f, want),
		f.Truncate(5000), f.SyncData(), holds(f, want[:5000]), f.Close(), t.contains("f", want[:5000]),
	)
}

func readOnlyFile(t *trial) error {
	want := pattern(1, 100)
	f, err := t.stored("f", want)
	if err := first(err, f.Close()); err != nil {
		return err
	}
	f, err = t.disk().OpenFile("f", env.ReadOnly)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		return errors.New("WriteAt reported success")
	}
	if f.Truncate(0) == nil {
		return errors.New("Truncate reported success")
	}
	return first(holds(f, want), f.Close())
}

func closedFile(t *trial) error {
	f, err := t.stored("f", pattern(1, 100))
	if err := first(err, f.Close()); err != nil {
		return err
	}
	_, readErr := f.ReadAt(make([]byte, 1), 0)
	_, writeErr := f.WriteAt([]byte("x"), 0)
	_, sizeErr := f.Size()
	return first(
		wants("ReadAt", readErr, env.ErrClosed),
		wants("WriteAt", writeErr, env.ErrClosed),
		wants("Size", sizeErr, env.ErrClosed),
		wants("Truncate", f.Truncate(0), env.ErrClosed),
		wants("Sync", f.Sync(), env.ErrClosed),
		wants("SyncData", f.SyncData(), env.ErrClosed),
		wants("Close", f.Close(), env.ErrClosed),
	)
}

func canceledDisk(t *trial) error {
	want := pattern(1, 10_000)
	task := t.start("canceled", func() error {
		f, err := t.stored("f", want)
		return first(err, f.Sync(), holds(f, want), f.Close(), t.disk().SyncDir("."))
	})
	task.Cancel()
	return first(t.until("it ends", task.Done), t.contains("f", want))
}

var truncateChecks = []Check{
	one("Truncate cuts a file", truncateCuts),
	one("what was cut off does not come back", truncatedTail),
	one("Truncate grows a file with zeros", truncateGrows),
	one("Allocate grows a file with zeros and keeps its bytes", allocate),
}

func truncateCuts(t *trial) error {
	want := pattern(1, 10_000)
	f, err := t.stored("f", want)
	if err != nil {
		return err
	}
	for _, size := range []int64{9999, 4097, 4096, 1, 0} {
		if err := first(f.Truncate(size), holds(f, want[:size])); err != nil {
			return err
		}
	}
	return f.Close()
}

func truncatedTail(t *trial) error {
	want := pattern(1, 10_000)
	f, err := t.stored("f", want)
	if err != nil {
		return err
	}
	clear(want[3000:])
	if err := first(f.Truncate(3000), f.Truncate(10_000), holds(f, want)); err != nil {
		return fmt.Errorf("cut and grown: %w", err)
	}
	if err := first(store(f, pattern(2, 10_000), 0), f.Truncate(100), store(f, []byte{1}, 9999)); err != nil {
		return err
	}
	want = make([]byte, 10_000)
	copy(want, pattern(2, 10_000)[:100])
	want[9999] = 1
	return first(holds(f, want), f.Close(), t.contains("f", want))
}

func truncateGrows(t *trial) error {
	want := make([]byte, 10_000)
	copy(want, pattern(1, 100))
	f, err := t.stored("f", want[:100])
	return first(err, f.Truncate(10_000), holds(f, want), f.Close(), t.contains("f", want))
}

func allocate(t *trial) error {
	want := make([]byte, 50_000)
	copy(want, pattern(1, 10_000))
	f, err := t.stored("f", want[:10_000])
	if err != nil {
		return err
	}
	return first(
		f.Allocate(0, 5000), holds(f, want[:10_000]),
		f.Allocate(5000, 45_000), holds(f, want),
		f.Truncate(100), f.Allocate(0, 200), holds(f, append(pattern(1, 104)[:100], make([]byte, 100)...)),
		f.Close(),
	)
}
