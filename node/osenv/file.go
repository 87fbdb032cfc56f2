package osenv

import (
	"os"
)

// A file implements env.File. Package os makes its calls positioned and
// completes short writes; it is the system that a Close cannot hurt a call in
// flight, since the descriptor is counted.
type file struct {
	disk *disk
	os   *os.File
}

// ReadAt implements env.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	t := f.disk.begin(f.disk.reads)
	n, err := f.os.ReadAt(p, off)
	f.disk.finish(f.disk.reads, t)
	return n, diskError(err)
}

// WriteAt implements env.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	t := f.disk.begin(f.disk.writes)
	n, err := f.os.WriteAt(p, off)
	f.disk.finish(f.disk.writes, t)
	return n, diskError(err)
}

// Truncate implements env.File.
func (f *file) Truncate(n int64) error {
	return f.disk.do(f.disk.writes, func() error { return f.os.Truncate(n) })
}

// Allocate implements env.File.
func (f *file) Allocate(off, n int64) error {
	return f.disk.do(f.disk.writes, func() error { return allocate(f.os, off, n) })
}

// Sync implements env.File.
func (f *file) Sync() error {
	return f.disk.do(f.disk.writes, f.os.Sync)
}

// SyncData implements env.File.
func (f *file) SyncData() error {
	return f.disk.do(f.disk.writes, func() error { return syncData(f.os) })
}

// Size implements env.File.
func (f *file) Size() (size int64, err error) {
	err = f.disk.do(f.disk.reads, func() error {
		info, err := f.os.Stat()
		if err == nil {
			size = info.Size()
		}
		return err
	})
	return size, err
}

// Close implements env.File.
func (f *file) Close() error {
	delete(f.disk.h.open, f.os)
	return f.disk.do(f.disk.writes, f.os.Close)
}
