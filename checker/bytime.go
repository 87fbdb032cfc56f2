package checker

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/klammlog/klamm/checker/history"
)

// judgeByTime: a lookup by time tells the first record that is not older than the
// time asked for. A violation is an answer although
//
//   - the record acknowledged at the offset told is older; or
//   - a record not older was acknowledged at a lower offset, or "none" was told,
//     before the lookup began, and neither retention nor compaction may take it.
//
// It looks at the sends whose acknowledgement promised the record to stay, with
// the timestamps that were acknowledged.
func judgeByTime(ix *index, f *findings) {
	f.unasked = "nobody asked for an offset by time"
	ix.judged(func(p *part) {
		var asked []int32
		for _, li := range p.lists {
			if ix.h.ListOffsets[li].Query == history.ByTime {
				asked = append(asked, li)
			}
		}
		slices.SortStableFunc(asked, func(a, b int32) int {
			return cmp.Compare(ix.h.ListOffsets[a].Invoked, ix.h.ListOffsets[b].Invoked)
		})
		answersByTime(ix, p, asked, f)
	})
}

// answersByTime judges lookups, sorted by invocation.
func answersByTime(ix *index, p *part, asked []int32, f *findings) {
	byEnd := slices.Clone(p.acked)
	slices.SortStableFunc(byEnd, func(a, b int32) int { return cmp.Compare(ix.h.Sends[a].Completed, ix.h.Sends[b].Completed) })
	known := newYounger(ix, p.acked)
	for _, li := range asked {
		l := &ix.h.ListOffsets[li]
		for len(byEnd) > 0 && ix.h.Sends[byEnd[0]].Completed < l.Invoked {
			if s := byEnd[0]; ix.h.Sends[s].Offset >= p.mayGo && ix.h.Sends[s].Offset >= p.begins && !ix.fates.mayGo(&ix.h.Sends[s]) {
				known.add(s)
			}
			byEnd = byEnd[1:]
		}
		f.checked++
		if s := p.olderAt(ix, l); s >= 0 {
			f.add(func() (string, []history.Event) { return tooOld(ix, p, l, s) })
		} else if s := known.first(l.Asked); s >= 0 && (l.Offset == history.NoOffset || ix.h.Sends[s].Offset < l.Offset) {
			f.add(func() (string, []history.Event) { return notFirst(ix, p, l, s) })
		}
	}
}

// olderAt returns a send acknowledged at the offset that a lookup told, with an
// older timestamp than it asked for, or -1.
func (p *part) olderAt(ix *index, l *history.ListOffsets) int32 {
	for i, _ := slices.BinarySearch(p.ackedAt, l.Offset); i < len(p.acked) && p.ackedAt[i] == l.Offset; i++ {
		if ts := ix.h.Sends[p.acked[i]].Timestamp; ts != history.NoTimestamp && ts < l.Asked {
			return p.acked[i]
		}
	}
	return -1
}

// A younger finds, of the sends added to it, the one with the lowest offset whose
// timestamp is not below another: a Fenwick tree over timestamps, the largest
// first.
type younger struct {
	ix    *index
	times []history.Timestamp // falling
	least []int32             // send, or -1
}

func newYounger(ix *index, sends []int32) *younger {
	y := &younger{ix: ix}
	for _, s := range sends {
		y.times = append(y.times, ix.h.Sends[s].Timestamp)
	}
	slices.SortFunc(y.times, func(a, b history.Timestamp) int { return cmp.Compare(b, a) })
	y.times = slices.Compact(y.times)
	y.least = slices.Repeat([]int32{-1}, len(y.times)+1)
	return y
}

// rank returns how many timestamps are not below ts.
func (y *younger) rank(ts history.Timestamp) int {
	return sort.Search(len(y.times), func(i int) bool { return y.times[i] < ts })
}

func (y *younger) offset(s int32) history.Offset {
	if s < 0 {
		return math.MaxInt64
	}
	return y.ix.h.Sends[s].Offset
}

func (y *younger) add(s int32) {
	ts := y.ix.h.Sends[s].Timestamp
	if ts == history.NoTimestamp {
		return
	}
	for i := y.rank(ts); i < len(y.least); i += i & -i {
		if y.offset(s) < y.offset(y.least[i]) {
			y.least[i] = s
		}
	}
}

func (y *younger) first(ts history.Timestamp) int32 {
	best := int32(-1)
	for i := y.rank(ts); i > 0; i -= i & -i {
		if y.offset(y.least[i]) < y.offset(best) {
			best = y.least[i]
		}
	}
	return best
}

func tooOld(ix *index, p *part, l *history.ListOffsets, s int32) (string, []history.Event) {
	return fmt.Sprintf("%s offset for timestamp %d: %d was told at %v, but the record there has timestamp %d",
		ix.name(p.id), l.Asked, l.Offset, l.Completed, ix.h.Sends[s].Timestamp), []history.Event{ix.sendEvent(s), ix.h.Event(l.Op)}
}

func notFirst(ix *index, p *part, l *history.ListOffsets, s int32) (string, []history.Event) {
	told, send := fmt.Sprint(l.Offset), &ix.h.Sends[s]
	if l.Offset == history.NoOffset {
		told = "none"
	}
	return fmt.Sprintf("%s offset for timestamp %d: %s was told at %v, but the record acknowledged at offset %d by %v has timestamp %d",
		ix.name(p.id), l.Asked, told, l.Completed, send.Offset, send.Completed, send.Timestamp), []history.Event{ix.sendEvent(s), ix.h.Event(l.Op)}
}
