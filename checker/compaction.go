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
	last history.Offset // the highest offset at which one was acknowledged or read

	// unseen: one was sent that may have been anywhere, made others void, and
	// gone without being seen: a tombstone, or anything where retention or a loss
	// could take it.
	unseen bool
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
		if s.Outcome != history.Failed && s.Offset == history.NoOffset {
			fate.unseen = fate.unseen || s.Tombstone || ix.seen[i].low == history.NoOffset && ix.vanishes(s.Partition)
		}
		fates[k] = fate
	}
	return fates
}

// vanishes reports whether records of a partition may go without compaction.
func (ix *index) vanishes(p history.PartitionID) bool {
	return ix.d.loss() != "" || ix.parts[p].mayGo > ix.parts[p].begins
}

// mayGo reports whether compaction may have removed the acknowledged record of s:
// a later record has its key, or may have had it; or it is a tombstone.
func (k keyFates) mayGo(s *history.Send) bool {
	return k.mayGoAt(s, s.Offset)
}

// mayGoAt is mayGo for the copy of the record at an offset.
func (k keyFates) mayGoAt(s *history.Send, at history.Offset) bool {
	if k == nil {
		return false
	}
	fate := k[partKey{s.Partition, s.Key}]
	return s.Tombstone || fate.unseen || fate.last > at
}
