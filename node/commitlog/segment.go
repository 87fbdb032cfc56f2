package commitlog

import (
	"fmt"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A segment is one .log file and what lies beside it. Of a log's segments only
// the last is written to.
type segment struct {
	dir  *Dir
	path string // the log's directory
	base kafka.Offset
	end  kafka.Offset // of its batches; base if there is none

	size    int64 // whole batches only
	durable int64 // of it, synced
	index   index
	slot    *slot // of the .log file, made when it is first needed
	syncing bool  // a task is syncing it
	pinned  bool  // it is held open, because an error of its sync must not get lost

	maxTimestamp kafka.Timestamp
	maxAt        kafka.Offset    // first offset of the batch that has it
	opening      kafka.Timestamp // largest timestamp of the first batch, or NoTimestamp
	began        kafka.Timestamp // when this process began to write it

	fresh   bool   // every byte was written by this process
	checked ranges // of what is not fresh, what was found to be as it was written
	bad     ranges // what was found not to be, and is not served
	blamed  bool   // someone was told that it cannot be read
	sealed  bool   // the manifest vouches for all of it
	ready   bool   // the files exist
	settled bool   // and are durable in their directory
	failure error  // why they never will

	follows  kafka.Offset // where the log ended before it
	before   *segment     // of the same name, abandoned: it has to be removed first
	snapshot []byte       // the producers at its base, until that is in its file
	saved    bool         // it is there, and this process knows
	gap      bool         // an index entry vouches for a gap and is not synced yet
	gone     bool         // deleted or replaced: what was found in it must be looked for again
}

func newSegment(d *Dir, path string, base kafka.Offset) *segment {
	s := &segment{}
	s.init(d, path, base)
	return s
}

// init makes the zero segment an empty one, without touching the disk.
func (s *segment) init(d *Dir, path string, base kafka.Offset) {
	s.dir, s.path, s.base, s.end = d, path, base, base
	s.maxTimestamp, s.maxAt, s.opening = kafka.NoTimestamp, base, kafka.NoTimestamp
	s.index.segment, s.index.last = s, noPosition
}

// log returns the slot of the .log file.
func (s *segment) log() *slot {
	if s.slot == nil {
		s.slot = s.dir.files.slot(s.file(logSuffix), env.Write)
	}
	return s.slot
}

const (
	logSuffix      = ".log"
	indexSuffix    = ".index"
	snapshotSuffix = ".snapshot"
	deletedSuffix  = ".deleted"
)

// file returns the path of one of the segment's files, named after its base
// offset as Kafka does.
func (s *segment) file(suffix string) string { return s.path + "/" + fileName(s.base, suffix) }

func fileName(base kafka.Offset, suffix string) string { return fmt.Sprintf("%020d%s", base, suffix) }

func (s *segment) String() string { return s.file(logSuffix) }

// observe counts a batch that ends up at the end of the segment.
func (s *segment) observe(h head) {
	if s.size == 0 {
		s.opening = h.maxTimestamp
	}
	if h.maxTimestamp > s.maxTimestamp {
		s.maxTimestamp, s.maxAt = h.maxTimestamp, h.base
	}
	s.end, s.size = h.end, h.position+int64(h.size)
}

// dirty reports whether something in it is not synced.
func (s *segment) dirty() bool { return s.durable < s.size }

// hold keeps the file open while it is dirty. Blocks.
func (s *segment) hold() (env.File, error) {
	if s.pinned {
		return s.log().file, nil
	}
	f, err := s.log().pin()
	if err != nil {
		return nil, err
	}
	if s.pinned {
		s.log().unpin() // somebody else held it meanwhile
		return f, nil
	}
	s.pinned = true
	return f, nil
}

// letGo ends hold once nothing is left to sync.
func (s *segment) letGo() {
	if s.pinned && !s.dirty() {
		s.pinned = false
		s.log().unpin()
	}
}

// ranges is a set of byte ranges, in order and apart from each other. It forgets
// ranges rather than grow without bound.
type ranges []span

type span struct{ from, to int64 }

const maxRanges = 64

func (r ranges) contains(from, to int64) bool {
	for _, s := range r {
		if s.from <= from && to <= s.to {
			return true
		}
	}
	return false
}

// first returns the first of the ranges that has a part between two positions.
func (r ranges) first(from, to int64) (span, bool) {
	var found span
	ok := false
	for _, s := range r {
		if s.from < to && from < s.to && (!ok || s.from < found.from) {
			found, ok = s, true
		}
	}
	return found, ok
}

// below returns what of the ranges lies below a position.
func (r ranges) below(at int64) ranges {
	var out ranges
	for _, s := range r {
		if s.from < at {
			out = append(out, span{s.from, min(s.to, at)})
		}
	}
	return out
}

func (r *ranges) add(from, to int64) {
	var out ranges
	for _, s := range *r {
		if s.to < from || to < s.from {
			out = append(out, s)
			continue
		}
		from, to = min(from, s.from), max(to, s.to)
	}
	if len(out) >= maxRanges {
		out = out[1:]
	}
	*r = append(out, span{from, to})
}
