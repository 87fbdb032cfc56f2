package checker

import (
	"fmt"

	"github.com/klammlog/klamm/checker/history"
)

// judgeNoInvention: every record read was written by somebody, key, value,
// headers and all. A violation is a read whose record no client sent to that
// partition, or was sent with another digest, or only after it was read. It
// holds for every run, partitions of deleted topics included; what a log held
// before the run began is nobody's.
func judgeNoInvention(ix *index, f *findings) {
	reads := ix.h.Reads()
	for pi := range ix.h.Polls {
		p := &ix.h.Polls[pi]
		if p.Outcome != history.OK {
			continue
		}
		first := ix.h.FirstRead(p)
		for k := range ix.h.Records(p) {
			f.checked++
			if s := ix.sendOf[first+k]; s >= 0 {
				send := &ix.h.Sends[s]
				if send.Digest == reads[first+k].Digest && send.Invoked <= p.Completed {
					continue
				}
			} else if reads[first+k].Offset < ix.parts[p.Partition].begins {
				continue
			}
			invented(ix, readRef{int32(first + k), int32(pi)}, f)
		}
	}
}

func invented(ix *index, at readRef, f *findings) {
	f.add(func() (string, []history.Event) {
		p, r := &ix.h.Polls[at.poll], &ix.h.Reads()[at.read]
		where := fmt.Sprintf("%s offset %d, read by %s at %v", ix.name(p.Partition), r.Offset, ix.h.Clients[p.Client], p.Completed)
		events := []history.Event{ix.readEvent(at)}
		s := ix.byRecord.find(r.Record)
		if s < 0 {
			return where + ": nobody ever sent this record", events
		}
		events = append(events, ix.sendEvent(s))
		send := &ix.h.Sends[s]
		switch {
		case send.Partition != p.Partition:
			return fmt.Sprintf("%s: record %d was sent to %s", where, r.Record, ix.name(send.Partition)), events
		case send.Digest != r.Digest:
			return fmt.Sprintf("%s: record %d differs from what %s sent", where, r.Record, ix.h.Clients[send.Client]), events
		default:
			return fmt.Sprintf("%s: record %d was sent only at %v", where, r.Record, send.Invoked), events
		}
	})
}

// judgeNoFailedVisible: a definitely failed write is never read. A violation is
// a send that failed and whose record was read.
func judgeNoFailedVisible(ix *index, f *findings) {
	f.unasked = "no send failed definitely"
	for s := range ix.h.Sends {
		send := &ix.h.Sends[s]
		if send.Outcome != history.Failed {
			continue
		}
		f.checked++
		seen := &ix.seen[s]
		if seen.low == history.NoOffset {
			continue
		}
		f.add(func() (string, []history.Event) {
			return fmt.Sprintf("%s offset %d holds record %d, which %s was told at %v had failed: %s", ix.name(send.Partition),
					seen.low, send.Record, ix.h.Clients[send.Client], send.Completed, send.Error),
				[]history.Event{ix.sendEvent(int32(s)), ix.readEvent(seen.lowRead)}
		})
	}
}
