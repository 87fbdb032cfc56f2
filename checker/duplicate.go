package checker

import (
	"fmt"

	"github.com/klammlog/klamm/checker/history"
)

// judgeNoDuplicate: one send of an idempotent producer is at one offset. A
// violation is such a send whose record was read at two.
func judgeNoDuplicate(ix *index, f *findings) {
	f.unasked = "no send was idempotent"
	ix.judged(func(p *part) {
		for _, s := range p.sends {
			if ix.h.Sends[s].Delivery != history.Idempotent {
				continue
			}
			f.unasked = ""
			seen := &ix.seen[s]
			f.checked += count(seen.low != history.NoOffset)
			if seen.low == seen.high {
				continue
			}
			f.add(func() (string, []history.Event) {
				send := &ix.h.Sends[s]
				return fmt.Sprintf("%s offsets %d and %d both hold record %d, which %s sent once at %v", ix.name(p.id), seen.low,
						seen.high, send.Record, ix.h.Clients[send.Client], send.Invoked),
					[]history.Event{ix.sendEvent(s), ix.readEvent(seen.lowRead), ix.readEvent(seen.highRead)}
			})
		}
	})
}

// judgeAckedOffsetTrue: the offset in an acknowledgement is where the record is.
// A violation is an acknowledged send for which
//
//   - somebody read another record at that offset, or an earlier send of the
//     history was acknowledged with it too, provided that the run promised to
//     keep both records (what was lost may be replaced); or
//   - the producer is idempotent, and its record was read at another offset,
//     provided that nothing that was appended may be lost: a producer sends
//     what was lost before it was acknowledged again, and it comes to lie
//     elsewhere.
//
// Sends with acks=0 learn no offset and are not judged.
func judgeAckedOffsetTrue(ix *index, f *findings) {
	f.unasked = "no acknowledgement told an offset"
	ix.judged(func(p *part) {
		kept := keptPlaces(ix, p)
		for _, s := range p.sends {
			send := &ix.h.Sends[s]
			if send.Outcome != history.OK || send.Offset < 0 || send.Acks == history.AcksNone {
				continue
			}
			f.checked++
			if at, bad := elsewhere(ix, s); bad {
				ackedElsewhere(ix, s, at, f)
				continue
			}
			if wrong, ok := kept[s]; ok {
				f.add(wrong.describe(ix, s))
			}
		}
	})
}

// elsewhere returns a read of an idempotent send at another offset than its
// acknowledgement tells.
func elsewhere(ix *index, s int32) (readRef, bool) {
	send, seen := &ix.h.Sends[s], &ix.seen[s]
	switch {
	case send.Delivery != history.Idempotent || seen.low == history.NoOffset || ix.d.loss() != "":
		return readRef{}, false
	case seen.low != send.Offset:
		return seen.lowRead, true
	default:
		return seen.highRead, seen.high != send.Offset
	}
}

func ackedElsewhere(ix *index, s int32, at readRef, f *findings) {
	f.add(func() (string, []history.Event) {
		send := &ix.h.Sends[s]
		return fmt.Sprintf("%s offset %d acknowledged at %v, but record %d was read at offset %d", ix.name(send.Partition),
				send.Offset, send.Completed, send.Record, ix.h.Reads()[at.read].Offset),
			[]history.Event{ix.sendEvent(s), ix.readEvent(at)}
	})
}

// A rival is what else is known to be at the offset of an acknowledgement.
type rival struct {
	read readRef // another record read there, if read.poll >= 0
	send int32   // else another send acknowledged with it
}

// keptPlaces returns the sends of p whose record must have stayed, and at whose
// offset something else is known to be.
func keptPlaces(ix *index, p *part) map[int32]rival {
	rivals := map[int32]rival{}
	slots, before := p.slots, int32(-1)
	for _, s := range p.acked {
		send := &ix.h.Sends[s]
		for len(slots) > 0 && slots[0].offset < send.Offset {
			slots = slots[1:]
		}
		if len(slots) > 0 && slots[0].offset == send.Offset {
			if at, bad := otherRecord(ix, &slots[0], s); bad {
				rivals[s] = rival{read: at}
			}
		}
		if before >= 0 && ix.h.Sends[before].Offset == send.Offset {
			if _, ok := rivals[s]; !ok {
				rivals[s] = rival{read: readRef{-1, -1}, send: before}
			}
			continue
		}
		before = s
	}
	return rivals
}

// otherRecord returns a read in the slot that is not of the send's record.
func otherRecord(ix *index, at *slot, s int32) (readRef, bool) {
	record, reads := ix.h.Sends[s].Record, ix.h.Reads()
	if reads[at.first.read].Record != record {
		return at.first, true
	}
	if at.other.poll >= 0 && reads[at.other.read].Record != record {
		return at.other, true
	}
	return readRef{}, false
}

func (r rival) describe(ix *index, s int32) func() (string, []history.Event) {
	return func() (string, []history.Event) {
		send := &ix.h.Sends[s]
		where := fmt.Sprintf("%s offset %d acknowledged at %v for record %d", ix.name(send.Partition), send.Offset, send.Completed, send.Record)
		if r.read.poll >= 0 {
			return fmt.Sprintf("%s, but it holds record %d", where, ix.h.Reads()[r.read.read].Record),
				[]history.Event{ix.sendEvent(s), ix.readEvent(r.read)}
		}
		other := &ix.h.Sends[r.send]
		return fmt.Sprintf("%s, and at %v for record %d", where, other.Completed, other.Record),
			[]history.Event{ix.sendEvent(s), ix.sendEvent(r.send)}
	}
}
