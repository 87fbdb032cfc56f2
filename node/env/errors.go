package env

import "errors"

// What a world's calls can fail with. Callers compare with errors.Is; a world
// wraps these with the name of the object.
var (
	ErrCanceled = errors.New("task canceled")
	ErrDeadline = errors.New("deadline passed")
	ErrClosed   = errors.New("closed")

	// Network. After any of them but ErrDeadline the connection is useless.
	ErrReset       = errors.New("connection reset")
	ErrRefused     = errors.New("connection refused")
	ErrUnreachable = errors.New("host unreachable")
	ErrAddrInUse   = errors.New("address in use")

	// Disk.
	ErrNotExist     = errors.New("does not exist")
	ErrExist        = errors.New("exists already")
	ErrNoSpace      = errors.New("no space left")
	ErrIO           = errors.New("input/output error")
	ErrReadOnly     = errors.New("read-only file system")
	ErrTooManyFiles = errors.New("too many open files")
	ErrCrossDevice  = errors.New("cross-device link")
	ErrLocked       = errors.New("locked by another process")
	ErrNotEmpty     = errors.New("directory not empty")
)
