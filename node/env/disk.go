package env

// A LogDir is one directory on one disk.
type LogDir struct {
	Name string // for logs and metrics: its path on a real machine
	FS   FS
}

// A Flag says how a file is opened. Files are opened for reading; Write adds
// writing.
type Flag int

// Flags of OpenFile, combined with |.
const (
	ReadOnly  Flag = 0
	Write     Flag = 1 << iota
	Create         // create it if it does not exist
	Exclusive      // with Create: fail with ErrExist if it does
	Trunc          // cut it to nothing
)

// Info is what Stat tells.
type Info struct {
	Size  int64
	IsDir bool
}

// An FS is one directory tree on one disk. Names are slash-separated and
// relative to its root; "." is the root; none may leave it.
//
// What survives a crash: after the process alone dies, every completed call. After
// power loss, only what a successful Sync, SyncData or SyncDir covers; anything
// else survives or not, each effect by itself, in no order.
//
// A mutation that returns an error may have had its effect, a part of it, or
// none. No call is canceled by Task.Cancel.
type FS interface {
	// OpenFile opens a file. A created file is in its directory only once
	// SyncDir of that directory returned nil. Fails with ErrNotExist, ErrExist,
	// ErrNoSpace, ErrTooManyFiles, ErrReadOnly, ErrIO. Blocks.
	OpenFile(name string, flag Flag) (File, error)

	// Mkdir creates a directory, durable after SyncDir of its parent. Blocks.
	Mkdir(name string) error

	// Remove removes a file or an empty directory; until SyncDir of the parent
	// it can come back. Open files go on working. Blocks.
	Remove(name string) error

	// Rename moves a file or directory, replacing a file at the new name, as
	// one step: until SyncDir (of both directories) either state may survive a
	// power loss, and it may survive without data that was not synced before.
	// Blocks.
	Rename(from, to string) error

	// ReadDir lists the names in a directory, in no particular order. Blocks.
	ReadDir(name string) ([]string, error)

	// Stat tells a file's size and kind; ErrNotExist if there is none. Blocks.
	Stat(name string) (Info, error)

	// SyncDir makes the entries of a directory durable: files created in it,
	// renamed into or out of it, removed from it. Blocks.
	SyncDir(name string) error

	// Usage tells the disk's free and total bytes. Blocks.
	Usage() (free, total int64, err error)

	// Lock takes an exclusive lock on a file until the result is closed or the
	// process dies; ErrLocked if somebody holds it. Blocks.
	Lock(name string) (Closer, error)
}

// A Closer lets go of something. Close may block.
type Closer interface {
	Close() error // Blocks.
}

// A File is an open file. There is no position and no append mode: every call
// names its offset. Calls of several tasks may overlap, but two writes must not
// overlap in time on the same bytes.
type File interface {
	// ReadAt fills p from offset off, and returns io.EOF with what there was
	// if the file ends before. It may return fewer bytes without an error.
	// Blocks.
	ReadAt(p []byte, off int64) (int, error)

	// WriteAt writes p at offset off, growing the file if needed. It may write
	// fewer bytes without an error: the caller completes it. Survives a process
	// crash once returned, power loss only after Sync or SyncData. Blocks.
	WriteAt(p []byte, off int64) (int, error)

	// Truncate sets the file's size; new bytes are zero. Until Sync the old
	// tail can come back. Blocks.
	Truncate(n int64) error

	// Allocate reserves disk space for a range and grows the file to cover it
	// with zeros; ErrNoSpace if there is none. Blocks.
	Allocate(off, n int64) error

	// Sync makes durable every byte and the size as they were when the call
	// began. After an error nothing that was written since the last success
	// can be trusted, whatever a later Sync says. Blocks.
	Sync() error

	// SyncData is Sync without the file's times. Blocks.
	SyncData() error

	// Size returns the file's size. Blocks.
	Size() (int64, error)

	// Close lets go of the file and makes nothing durable. Blocks.
	Close() error
}
