package checker

import (
	"cmp"
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// A recordTable finds the send of a record. Identities usually are small numbers,
// so it is an array unless they are spread too thin.
type recordTable struct {
	dense []int32 // by identity: the send and one, or 0
	far   map[history.RecordID]int32
}

func newRecordTable(sends []history.Send) recordTable {
	var top history.RecordID
	for i := range sends {
		top = max(top, sends[i].Record)
	}
	var t recordTable
	if top < history.RecordID(4*len(sends)+64) {
		t.dense = make([]int32, top+1)
	} else {
		t.far = make(map[history.RecordID]int32, len(sends))
	}
	for i := range sends {
		id := sends[i].Record
		if id == history.NoRecord || t.find(id) >= 0 {
			continue // the first of two sends of one identity counts
		}
		if t.far != nil {
			t.far[id] = int32(i)
		} else {
			t.dense[id] = int32(i + 1)
		}
	}
	return t
}

// find returns the send of the record, or -1.
func (t *recordTable) find(id history.RecordID) int32 {
	if t.far != nil {
		if s, ok := t.far[id]; ok {
			return s
		}
		return -1
	}
	if id >= history.RecordID(len(t.dense)) {
		return -1
	}
	return t.dense[id] - 1
}

// A slotTable finds the slot of an offset: an array if the offsets read lie
// close together, as they do unless the history is strange.
type slotTable struct {
	base  history.Offset
	dense []int32 // by offset-base: the slot and one, or 0
	far   map[history.Offset]int32
	slots []slot
}

func newSlotTable(h *history.History, polls []int32) *slotTable {
	var low, high history.Offset = history.Unbounded, history.NoOffset
	reads := 0
	for _, p := range polls {
		for i := range h.Records(&h.Polls[p]) {
			o := h.Records(&h.Polls[p])[i].Offset
			low, high = min(low, o), max(high, o)
			reads++
		}
	}
	t := &slotTable{base: low}
	switch span := uint64(high) - uint64(low); {
	case reads == 0:
	case span < uint64(4*reads+64):
		t.dense = make([]int32, span+1)
		t.slots = make([]slot, 0, min(int(span)+1, reads))
	default:
		t.far = make(map[history.Offset]int32, reads)
	}
	return t
}

// at returns the slot of an offset, and whether it is new and to be filled. The
// pointer is good until the next call.
func (t *slotTable) at(o history.Offset) (s *slot, isNew bool) {
	var i int32
	if t.far != nil {
		i = t.far[o]
	} else {
		i = t.dense[o-t.base]
	}
	if i > 0 {
		return &t.slots[i-1], false
	}
	t.slots = append(t.slots, slot{})
	i = int32(len(t.slots))
	if t.far != nil {
		t.far[o] = i
	} else {
		t.dense[o-t.base] = i
	}
	return &t.slots[i-1], true
}

// sorted returns the slots by offset.
func (t *slotTable) sorted() []slot {
	byOffset := func(a, b slot) int { return cmp.Compare(a.offset, b.offset) }
	if !slices.IsSortedFunc(t.slots, byOffset) {
		slices.SortFunc(t.slots, byOffset)
	}
	return t.slots
}

// slotFrom returns the first place in slots, which are by offset, at or above o.
func slotFrom(slots []slot, o history.Offset) int {
	i, _ := slices.BinarySearchFunc(slots, o, func(s slot, o history.Offset) int {
		return cmp.Compare(s.offset, o)
	})
	return i
}

// slotAt returns the slot of the offset in slots, which are by offset, or nil.
func slotAt(slots []slot, o history.Offset) *slot {
	if i := slotFrom(slots, o); i < len(slots) && slots[i].offset == o {
		return &slots[i]
	}
	return nil
}

// byOffset orders the records of a poll.
func byOffset(a, b history.Read) int { return cmp.Compare(a.Offset, b.Offset) }
