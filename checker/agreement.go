package checker

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// judgeAgreement: one (partition, offset) never shows two values, to anyone,
// ever. Two reads of it disagree if their identities or their digests differ.
// A violation is an offset with two values.
//
// With unclean elections a new leader may fill an offset again, so the promise
// is one value per (partition, offset, leader epoch); reads without an epoch are
// then not compared.
func judgeAgreement(ix *index, f *findings) {
	ix.judged(func(p *part) {
		if ix.d.loss() != "" {
			judgeAgreementPerEpoch(ix, p, f)
			return
		}
		for i := range p.slots {
			s := &p.slots[i]
			f.checked++
			if s.other.poll >= 0 {
				disagree(ix, s.first, s.other, f)
			}
		}
	})
}

// waivedAgreement: what unclean elections leave of the promise is judged; the
// other losses leave nothing.
func waivedAgreement(d *Demands) string {
	if d.Unclean && !d.Unrestricted && !(d.Flush == FlushOS && d.PowerLoss == AnyPowerLoss) {
		return ""
	}
	return d.loss()
}

// judgeAgreementPerEpoch compares the reads of equal offset and epoch.
func judgeAgreementPerEpoch(ix *index, p *part, f *findings) {
	reads := ix.h.Reads()
	var refs []readRef
	for _, pi := range p.polls {
		first := ix.h.FirstRead(&ix.h.Polls[pi])
		for k := range ix.h.Records(&ix.h.Polls[pi]) {
			if reads[first+k].Epoch != history.NoEpoch {
				refs = append(refs, readRef{int32(first + k), pi})
			}
		}
	}
	place := func(a, b readRef) int {
		x, y := &reads[a.read], &reads[b.read]
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Epoch, y.Epoch))
	}
	slices.SortStableFunc(refs, place)
	for i := 0; i < len(refs); {
		first, other := refs[i], readRef{-1, -1}
		for ; i < len(refs) && place(first, refs[i]) == 0; i++ {
			x, y := &reads[first.read], &reads[refs[i].read]
			if other.poll < 0 && (x.Record != y.Record || x.Digest != y.Digest) {
				other = refs[i]
			}
		}
		f.checked++
		if other.poll >= 0 {
			disagree(ix, first, other, f)
		}
	}
}

func disagree(ix *index, a, b readRef, f *findings) {
	f.add(func() (string, []history.Event) {
		x, y := &ix.h.Reads()[a.read], &ix.h.Reads()[b.read]
		p, q := &ix.h.Polls[a.poll], &ix.h.Polls[b.poll]
		what := fmt.Sprintf("record %d and record %d", x.Record, y.Record)
		if x.Record == y.Record {
			what = fmt.Sprintf("record %d with other bytes", x.Record)
		}
		return fmt.Sprintf("%s offset %d is %s: read by %s at %v, by %s at %v", ix.name(p.Partition), x.Offset, what,
				ix.h.Clients[p.Client], p.Completed, ix.h.Clients[q.Client], q.Completed),
			[]history.Event{ix.readEvent(a), ix.readEvent(b)}
	})
}
