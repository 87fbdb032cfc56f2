package checker

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// judgeProducerOrder: the records of one producer in one partition are in send
// order. The places of a record are where it was read, and where it was
// acknowledged if it was promised to stay there. A violation is a send for which
// an earlier send of the same client incarnation to the same partition (by Seq)
//
//   - has a higher place than it has, and both are idempotent; or
//   - was acknowledged with a higher offset than a place it has, was promised to
//     stay there, and both are sent one in flight. An unanswered send is no
//     evidence then: without sequence numbers it may arrive at any time.
//
// Other producers are promised no order.
func judgeProducerOrder(ix *index, f *findings) {
	f.unasked = "no send was idempotent or one in flight"
	ix.judged(func(p *part) {
		lives := bucket(p.sends, func(s int32) streamKey {
			send := &ix.h.Sends[s]
			return streamKey{client: send.Client, incarnation: send.Incarnation}
		})
		inOrder := func(a, b int32) int { return cmp.Compare(ix.h.Sends[a].Seq, ix.h.Sends[b].Seq) }
		for _, sends := range lives {
			if !slices.IsSortedFunc(sends, inOrder) {
				slices.SortStableFunc(sends, inOrder)
			}
			orderOfLife(ix, sends, f)
		}
	})
}

// A place is the highest place so far, and whose it is.
type place struct {
	offset history.Offset
	send   int32
}

// orderOfLife judges the sends of one client incarnation, sorted by Seq. Sends of
// one Seq are not compared.
func orderOfLife(ix *index, sends []int32, f *findings) {
	highest := [...]place{history.Plain: {}, history.OneInFlight: {history.NoOffset, -1}, history.Idempotent: {history.NoOffset, -1}}
	for i := 0; i < len(sends); {
		before, seq := highest, ix.h.Sends[sends[i]].Seq
		for ; i < len(sends) && ix.h.Sends[sends[i]].Seq == seq; i++ {
			s := sends[i]
			d := ix.h.Sends[s].Delivery
			if d == history.Plain {
				continue
			}
			f.unasked = ""
			low, high := places(ix, s)
			if low == history.NoOffset {
				continue
			}
			f.checked++
			if before[d].offset > low {
				outOfOrder(ix, before[d], place{low, s}, f)
			}
			if d == history.OneInFlight {
				high = ackPlace(ix, s)
			}
			if high > highest[d].offset {
				highest[d] = place{high, s}
			}
		}
	}
}

// places returns the lowest and the highest place of a record, or NoOffset.
func places(ix *index, s int32) (low, high history.Offset) {
	low, high = ix.seen[s].low, ix.seen[s].high
	ack := ackPlace(ix, s)
	if ack == history.NoOffset {
		return low, high
	}
	if low == history.NoOffset {
		return ack, ack
	}
	return min(low, ack), max(high, ack)
}

// ackPlace returns the offset of an acknowledgement that promises, or NoOffset.
func ackPlace(ix *index, s int32) history.Offset {
	if send := &ix.h.Sends[s]; ix.d.keeps(send) {
		return send.Offset
	}
	return history.NoOffset
}

func outOfOrder(ix *index, earlier, later place, f *findings) {
	f.add(func() (string, []history.Event) {
		a, b := &ix.h.Sends[earlier.send], &ix.h.Sends[later.send]
		events := []history.Event{ix.sendEvent(earlier.send), ix.sendEvent(later.send)}
		for _, x := range []place{earlier, later} {
			if seen := &ix.seen[x.send]; seen.low == x.offset {
				events = append(events, ix.readEvent(seen.lowRead))
			} else if seen.high == x.offset {
				events = append(events, ix.readEvent(seen.highRead))
			}
		}
		return fmt.Sprintf("%s send #%d of %s is at offset %d, after its send #%d at offset %d", ix.name(a.Partition),
			a.Seq, ix.h.Clients[a.Client], earlier.offset, b.Seq, later.offset), events
	})
}
