package osenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
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

// netErrnos does the same for the network. What is not here broke the
// connection: ErrReset, or ErrUnreachable where there is none yet.
var netErrnos = map[syscall.Errno]error{
	syscall.ECONNREFUSED:  env.ErrRefused,
	syscall.ECONNRESET:    env.ErrReset,
	syscall.EPIPE:         env.ErrReset,
	syscall.ETIMEDOUT:     env.ErrUnreachable,
	syscall.EHOSTUNREACH:  env.ErrUnreachable,
	syscall.ENETUNREACH:   env.ErrUnreachable,
	syscall.EADDRINUSE:    env.ErrAddrInUse,
	syscall.EADDRNOTAVAIL: env.ErrUnreachable,
	syscall.EMFILE:        env.ErrTooManyFiles,
	syscall.ENFILE:        env.ErrTooManyFiles,
	syscall.EIO:           env.ErrIO, // sendfile could not read the file
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

// netError turns an error of package net into env's; other is what an unknown
// one means. io.EOF passes as it is.
func netError(err, other error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		if known, ok := netErrnos[errno]; ok {
			return fmt.Errorf("%w: %w", err, known)
		}
	case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrClosed):
		return fmt.Errorf("%w: %w", err, env.ErrClosed)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", err, env.ErrDeadline)
	}
	return fmt.Errorf("%w: %w", err, other)
}
