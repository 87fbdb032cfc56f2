package osenv

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/klammlog/klamm/node/env"
)

// diskErrnos says which error of env a failed disk call stands for. What is not
// here is ErrIO: the log directory's owner must assume the worst.
var diskErrnos = map[syscall.Errno]error{
	syscall.ENOENT:    env.ErrNotExist,
	syscall.ENOTDIR:   env.ErrNotExist,
	syscall.EEXIST:    env.ErrExist,
	syscall.EISDIR:    env.ErrExist,
	syscall.ENOTEMPTY: env.ErrNotEmpty,
	syscall.ENOSPC:    env.ErrNoSpace,
	syscall.EDQUOT:    env.ErrNoSpace,
	syscall.EROFS:     env.ErrReadOnly,
	syscall.EMFILE:    env.ErrTooManyFiles,
	syscall.ENFILE:    env.ErrTooManyFiles,
	syscall.EXDEV:     env.ErrCrossDevice,
	syscall.EAGAIN:    env.ErrLocked, // flock without waiting
	syscall.EBADF:     env.ErrClosed,
}

// netErrnos says the same of what fails where there is no connection yet:
// listening, accepting and dialing. What is not here is ErrUnreachable.
var netErrnos = map[syscall.Errno]error{
	syscall.ECONNREFUSED: env.ErrRefused,
	syscall.ECONNRESET:   env.ErrReset,
	syscall.EADDRINUSE:   env.ErrAddrInUse,
	syscall.EMFILE:       env.ErrTooManyFiles,
	syscall.ENFILE:       env.ErrTooManyFiles,
	syscall.ENOBUFS:      env.ErrTooManyFiles, // passes as that does
	syscall.ENOMEM:       env.ErrTooManyFiles,
}

// diskError turns an error of package os into env's, keeping operation, path and
// errno. io.EOF passes as it is.
func diskError(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		if known, ok := diskErrnos[errno]; ok {
			return fmt.Errorf("%w: %w", err, known)
		}
	case errors.Is(err, os.ErrClosed):
		return fmt.Errorf("%w: %w", err, env.ErrClosed)
	case errors.Is(err, fs.ErrExist): // os.Rename onto a directory
		return fmt.Errorf("%w: %w", err, env.ErrExist)
	}
	return fmt.Errorf("%w: %w", err, env.ErrIO)
}

// netError turns an error of listening, accepting or dialing into env's.
func netError(err error) error {
	if err == nil {
		return nil
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if known, ok := netErrnos[errno]; ok {
			return fmt.Errorf("%w: %w", err, known)
		}
	}
	return fmt.Errorf("%w: %w", err, env.ErrUnreachable)
}

// connError turns an error of a connection's call into env's: whatever the
// reason, the connection broke, unless it was the file that SendFile reads.
func connError(err error) error {
	switch {
	case errors.Is(err, syscall.EIO):
		return fmt.Errorf("%w: %w", err, env.ErrIO)
	case errors.Is(err, os.ErrClosed):
		return fmt.Errorf("%w: %w", err, env.ErrClosed)
	}
	return fmt.Errorf("%w: %w", err, env.ErrReset)
}
