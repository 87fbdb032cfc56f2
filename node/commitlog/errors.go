package commitlog

import (
	"errors"

	"github.com/klammlog/klamm/node/env"
)

// What a log can fail with, besides what txn says about sequences. They are
// wrapped with the partition and the values.
var (
	// ErrRefused: the append did not happen and never will; it may succeed
	// later. Wraps env.ErrNoSpace or env.ErrTooManyFiles as the reason. Reads go
	// on.
	ErrRefused = errors.New("append refused")

	// ErrUnknownOutcome: the log failed while the append was under way. It may
	// be found after a restart, or not.
	ErrUnknownOutcome = errors.New("outcome of the append is unknown")

	// ErrOffline: the log directory is out of service until the process ends,
	// because a write or a sync failed. From Append, it says that nothing
	// happened.
	ErrOffline = errors.New("log directory is out of service")

	// ErrQuarantined: something that had been synced is not what it was. The
	// partition is not opened, and none of its files was changed.
	ErrQuarantined = errors.New("quarantined")

	// ErrCorrupt: what was to be read is not what was written. Other offsets may
	// be readable.
	ErrCorrupt = errors.New("corrupt on disk")

	// ErrOutOfRange: the offset is below the log start or above what is asked
	// for.
	ErrOutOfRange = errors.New("offset out of range")

	// ErrBadBatch: what was to be appended is not a sequence of batches, or
	// does not follow the log's end.
	ErrBadBatch = errors.New("not appendable")

	// ErrClosed: the log was closed.
	ErrClosed = errors.New("log is closed")
)

// passing reports whether an error of the disk passes by itself and has done
// nothing that cannot be undone. What took the directory out of service does not,
// whatever it was.
func passing(err error) bool {
	if errors.Is(err, ErrOffline) {
		return false
	}
	return errors.Is(err, env.ErrNoSpace) || errors.Is(err, env.ErrTooManyFiles)
}
