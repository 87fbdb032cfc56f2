package osenv

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/klammlog/klamm/node/env"
)

// A directory is synced when no file can be opened any more (docs/bugs/0033).
func TestDirectoriesAreSyncedWithoutAFileLeft(t *testing.T) {
	h := newHost(t, Options{LogDirs: []string{t.TempDir()}})
	do(t, h, func(w *env.World) error {
		fs := w.LogDirs[0].FS
		if err := fs.Mkdir("orders-0"); err != nil {
			return err
		}
		var before syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			return err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: before.Max}); err != nil {
			return err
		}
		defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
		if _, err := fs.OpenFile("orders-0/log", env.Create); !errors.Is(err, env.ErrTooManyFiles) {
			return fmt.Errorf("opening a file: %v, want ErrTooManyFiles", err)
		}
		return errors.Join(fs.SyncDir("orders-0"), fs.SyncDir("."))
	})
}
