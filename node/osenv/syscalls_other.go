//go:build !linux

package osenv

import "os"

func syncData(f *os.File) error { return f.Sync() }

func allocate(f *os.File, off, n int64) error { return extend(f, off+n) }
