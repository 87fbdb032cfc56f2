package commitlog

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A DirID names a log directory for ever, wherever it is mounted.
type DirID [16]byte

const (
	lockName     = ".lock"
	identityName = "directory"

	// fullPause is how long a directory that ran out of space refuses appends
	// before the next one tries again.
	fullPause = time.Second

	// idleFile is how long a file stays open that nobody uses.
	idleFile = time.Minute
)

// DirOptions says how a directory is used.
type DirOptions struct {
	// OpenFiles bounds the files held open; 0 means 1000. If more are in use at
	// once, they are open.
	OpenFiles int
}

// A Dir is one log directory and what its logs share: one fate when a write
// fails, and a bounded number of open files.
type Dir struct {
	w    *env.World
	fs   env.FS
	name string
	id   DirID
	lock env.Closer

	failed error
	full   kafka.Instant // until then appends are refused for lack of space
	logs   []*Log        // in the order of opening
	files  files

	flushes Flushes
	sweep   sweeper
	spare   [][]byte // buffers of writers
}

// keepBuffers is how many buffers wait for the next writer.
const keepBuffers = 8

// takeBuffer returns an empty buffer to put a group together in.
func (d *Dir) takeBuffer() []byte {
	if n := len(d.spare); n > 0 {
		b := d.spare[n-1]
		d.spare = d.spare[:n-1]
		return b
	}
	return make([]byte, 0, 64<<10)
}

func (d *Dir) giveBuffer(b []byte) {
	if len(d.spare) < keepBuffers {
		d.spare = append(d.spare, b[:0])
	}
}

// OpenDir takes a log directory into use. It makes the directory's identity if
// the directory is empty, and fails if another process has it. Blocks.
func OpenDir(w *env.World, at env.LogDir, o DirOptions) (*Dir, error) {
	d := &Dir{w: w, fs: at.FS, name: at.Name}
	d.files = files{limit: o.OpenFiles, fs: at.FS, w: w}
	if d.files.limit == 0 {
		d.files.limit = 1000
	}
	d.sweep = sweeper{d: d}
	lock, err := at.FS.Lock(lockName)
	if err != nil {
		return nil, fmt.Errorf("log directory %s: %w", at.Name, err)
	}
	d.lock = lock
	if err := d.identify(); err != nil {
		return nil, errors.Join(fmt.Errorf("log directory %s: %w", at.Name, err), lock.Close())
	}
	return d, nil
}

// identify reads the directory's id, or makes one in an empty directory.
func (d *Dir) identify() error {
	b, err := readWhole(d.fs, identityName)
	if errors.Is(err, env.ErrNotExist) {
		return d.found()
	}
	if err != nil {
		return err
	}
	h, err := parseHeader(b, kindDirectory)
	if err == nil {
		d.id = h.dir
		return d.fs.SyncDir(".") // its founder may have failed to
	}
	// A directory whose founding a crash cut short holds nothing else.
	names, listErr := d.fs.ReadDir(".")
	if listErr != nil {
		return listErr
	}
	for _, name := range names {
		if name != lockName && name != identityName && name != identityName+tempSuffix {
			return fmt.Errorf("%s: %w: %w", identityName, ErrQuarantined, err)
		}
	}
	return d.found()
}

func (d *Dir) found() error {
	if _, err := io.ReadFull(d.w.Secret, d.id[:]); err != nil {
		return err
	}
	h := header{kind: kindDirectory, dir: d.id, number: d.number()}
	return writeWhole(d.fs, ".", identityName, h.encode())
}

// number returns a number that no other file of ours has.
func (d *Dir) number() uint64 {
	var b [8]byte
	if _, err := io.ReadFull(d.w.Secret, b[:]); err != nil {
		return d.w.Rand("commitlog/number").Uint64()
	}
	return le.Uint64(b[:])
}

// Name returns the directory's name.
func (d *Dir) Name() string { return d.name }

// ID returns the directory's id.
func (d *Dir) ID() DirID { return d.id }

// Failed returns why the directory is out of service, nil if it is not.
func (d *Dir) Failed() error { return d.failed }

// Full reports whether appends are refused at the moment for lack of space.
func (d *Dir) Full() bool { return d.w.Now() < d.full }

// Logs returns the logs that are open, in the order they were opened.
func (d *Dir) Logs() []*Log { return slices.Clone(d.logs) }

// fail takes the directory out of service until the process ends, and returns
// the error that says so. Nothing is retried: after a failed sync nobody can
// tell what is on the disk.
func (d *Dir) fail(op string, err error) error {
	if d.failed == nil {
		d.failed = fmt.Errorf("%w: %s: %w", ErrOffline, op, err)
		d.w.Probe("sync failed and took the directory out of service")
		d.w.Log.Error("log directory is out of service", "dir", d.name, "op", op, "err", err)
		for _, l := range slices.Clone(d.logs) {
			l.fail(d.failed)
		}
	}
	return fmt.Errorf("%w: %s: %w", ErrOffline, op, err)
}

// filled has appends refused for a while.
func (d *Dir) filled() {
	d.full = d.w.Now().Add(fullPause)
	d.w.Probe("the disk was full and appends were refused")
}

func (d *Dir) forget(l *Log) {
	if i := slices.Index(d.logs, l); i >= 0 {
		d.logs = slices.Delete(d.logs, i, i+1)
	}
}

// Close lets go of the directory. Its logs were closed before. Blocks.
func (d *Dir) Close() error {
	err := d.sweep.finish()
	return errors.Join(err, d.files.closeAll(), d.lock.Close())
}

// readWhole returns a small file's bytes. Blocks.
func readWhole(fs env.FS, name string) ([]byte, error) {
	f, err := fs.OpenFile(name, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	b, err := readAllOf(f)
	return b, errors.Join(err, f.Close())
}

// readAllOf returns an open file's bytes. Blocks.
func readAllOf(f env.File) ([]byte, error) {
	n, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	return b, readFull(f, b, 0)
}

const tempSuffix = ".tmp"

// writeWhole puts a small file in place, durably, and all of it or nothing. name is
// its path, dir the directory that it is in.
// Blocks.
func writeWhole(fs env.FS, dir, name string, b []byte) error {
	temp := name + tempSuffix
	f, err := fs.OpenFile(temp, env.Write|env.Create|env.Trunc)
	if err != nil {
		return err
	}
	_, err = writeFull(f, b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(temp, name); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}

// readFull fills p from the file; io.ErrUnexpectedEOF if the file ends before.
// Blocks.
func readFull(f env.File, p []byte, off int64) error {
	for done := 0; done < len(p); {
		n, err := f.ReadAt(p[done:], off+int64(done))
		done += n
		switch {
		case done == len(p):
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case n == 0:
			return io.ErrNoProgress
		}
	}
	return nil
}

// writeFull writes all of p, completing short writes. It returns how much was
// written before the error. Blocks.
func writeFull(f env.File, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := f.WriteAt(p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.ErrShortWrite
		}
	}
	return done, nil
}
