//go:build !linux

package osenv

import "os"

func syncData(f *os.File) error { return f.Sync() }

// syncAll cannot, and returns why it was asked.
func syncAll(_ *os.File, why error) error { return why }

func allocate(f *os.File, off, n int64) error { return extend(f, off+n) }
