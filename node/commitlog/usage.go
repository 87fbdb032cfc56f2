package commitlog

// Usage is what a directory holds at this moment beside the disk's own.
type Usage struct {
	OpenFiles, MaxOpen  int64 // of its logs
	IdleFiles           int64 // of those, the ones that nobody uses
	Buffers, MaxBuffers int64 // that wait for the next writer
}

// Usage returns what is held now.
func (d *Dir) Usage() Usage {
	return Usage{
		OpenFiles: int64(d.files.open), MaxOpen: int64(d.files.limit), IdleFiles: int64(d.files.idle),
		Buffers: int64(len(d.spare)), MaxBuffers: keepBuffers,
	}
}

// KnownProducers returns how many idempotent producers the log remembers.
func (l *Log) KnownProducers() int { return l.producers.Len() }
