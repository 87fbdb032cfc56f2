package checker

import "github.com/klammlog/klamm/checker/history"

// keyFates says which records compaction may have taken. It is nil in a run
// without compaction.
type keyFates map[partKey]keyFate

type partKey struct {
	partition history.PartitionID
	key       history.Digest
}

// A keyFate is what is known about the records of one key in one partition.
type keyFate struct {
	last      history.Offset // the highest offset at which one was acknowledged or read
	tombstone bool           // a tombstone was sent that may be anywhere
}

func newKeyFates(ix *index) keyFates {
	if !ix.d.Compaction {
		return nil
	}
	fates := keyFates{}
	for i := range ix.h.Sends {
		s := &ix.h.Sends[i]
		k := partKey{s.Partition, s.Key}
		fate, ok := fates[k]
		if !ok {
			fate.last = history.NoOffset
		}
		fate.last = max(fate.last, ix.seen[i].high)
		if s.Outcome == history.OK {
			fate.last = max(fate.last, s.Offset)
		}
		if s.Tombstone && s.Outcome != history.Failed && s.Offset == history.NoOffset {
			fate.tombstone = true
		}
		fates[k] = fate
	}
	return fates
}

// mayGo reports whether compaction may have removed the acknowledged record of s:
// a later record has its key, or it or a record that may be later is a tombstone.
func (k keyFates) mayGo(s *history.Send) bool {
	return k.mayGoAt(s, s.Offset)
}

// mayGoAt is mayGo for the copy of the record at an offset.
func (k keyFates) mayGoAt(s *history.Send, at history.Offset) bool {
	if k == nil {
		return false
	}
	fate := k[partKey{s.Partition, s.Key}]
	return s.Tombstone || fate.tombstone || fate.last > at
}
