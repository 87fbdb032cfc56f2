package osenv

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// onDescriptor calls f with the file's descriptor, which stays open meanwhile,
// until it is not interrupted.
func onDescriptor(f *os.File, op string, call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for {
			if failed = call(int(fd)); failed != syscall.EINTR {
				return
			}
		}
	})
	if err != nil {
		failed = os.ErrClosed // all that Control itself can fail with
	}
	if failed != nil {
		return &os.PathError{Op: op, Path: f.Name(), Err: failed}
	}
	return nil
}

func syncData(f *os.File) error { return onDescriptor(f, "fdatasync", syscall.Fdatasync) }

// syncAll syncs the file system that a file is of.
func syncAll(f *os.File, _ error) error { return onDescriptor(f, "syncfs", unix.Syncfs) }

func allocate(f *os.File, off, n int64) error {
	err := onDescriptor(f, "fallocate", func(fd int) error {
		return syscall.Fallocate(fd, 0, off, n)
	})
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return extend(f, off+n)
	}
	return err
}
