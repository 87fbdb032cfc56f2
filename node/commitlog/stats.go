package commitlog

// Stats counts what a log has done since it was opened.
type Stats struct {
	Batches  uint64 // written
	Bytes    uint64 // written
	Groups   uint64 // writes they took
	Syncs    uint64 // of segments
	Rolls    uint64
	Reads    uint64 // chunks returned
	Corrupt  uint64 // reads refused
	TakenOut uint64 // bytes that are not served any more because they are corrupt
	Refused  uint64 // times that queued appends were refused
	Dropped  uint64 // segments deleted by retention or DeleteRecords
	Cut      uint64 // bytes that recovery cut off as a torn tail
	Scanned  uint64 // bytes that recovery read

	Scrubbed uint64 // bytes that were read again and are what was put there

	Compactions    uint64 // passes that were carried out
	CompactRead    uint64 // bytes
	CompactWritten uint64 // bytes
}

// Stats returns the counts.
func (l *Log) Stats() Stats { return l.stats }

// Segments returns how many segments there are.
func (l *Log) Segments() int { return len(l.known) + l.elder.segments }

// OpenFiles returns how many files of the directory's logs are open.
func (d *Dir) OpenFiles() int { return d.files.open }
