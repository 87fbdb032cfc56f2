package checker

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/history"
)

// randomDemands promises something random.
func randomDemands(rng *rand.Rand) Demands {
	one := func() bool { return rng.IntN(4) == 0 }
	d := Demands{Leaders: one(), Retention: one(), Compaction: rng.IntN(3) == 0, Transactions: one()}
	if one() {
		d.Flush = FlushOS
	}
	if one() {
		d.PowerLoss = SurvivablePowerLoss
	}
	if rng.IntN(20) == 0 {
		d.Unclean = true
	}
	d.Marked, d.Followers = rng.IntN(3) > 0, one()
	if one() {
		d.DeleteRetention = time.Duration(rng.IntN(90))
	}
	if rng.IntN(2) == 0 {
		d.MinCompactionLag, d.WallZero = time.Duration(rng.IntN(6))*time.Millisecond, history.Timestamp(rng.IntN(4))
	}
	return d
}

// mutateSome changes a sketch in a few random places. It may stay right.
func mutateSome(rng *rand.Rand, s *sketch) {
	for range 1 + rng.IntN(3) {
		switch n := rng.IntN(13); {
		case n >= 11 && len(s.polls) > 1:
			copyRead(rng, s)
		case n == 10 && len(s.sends) > 1:
			a, b := &s.sends[rng.IntN(len(s.sends))], &s.sends[rng.IntN(len(s.sends))]
			a.Seq, b.Seq = b.Seq, a.Seq
		case n < 4 && len(s.polls) > 0:
			mutatePoll(rng, &s.polls[rng.IntN(len(s.polls))], len(s.sends))
		case n < 8 && len(s.sends) > 0:
			mutateSend(rng, &s.sends[rng.IntN(len(s.sends))])
		case n < 9 && len(s.lists) > 0:
			l := &s.lists[rng.IntN(len(s.lists))]
			l.Offset = max(l.Offset+shift(rng), history.NoOffset)
		case len(s.backs) > 0:
			b := &s.backs[rng.IntN(len(s.backs))]
			if rng.IntN(2) == 0 {
				b.LogEnd = max(b.LogEnd+shift(rng), 0)
			} else {
				b.LogStart = max(b.LogStart+shift(rng), 0)
			}
		}
	}
}

// copyRead shows a record that was read once more, at an offset of another.
func copyRead(rng *rand.Rand, s *sketch) {
	a, b := &s.polls[rng.IntN(len(s.polls))], &s.polls[rng.IntN(len(s.polls))]
	if len(a.records) > 0 && len(b.records) > 0 && a.Partition == b.Partition {
		x, y := a.records[rng.IntN(len(a.records))], &b.records[rng.IntN(len(b.records))]
		y.Record, y.Digest = x.Record, x.Digest
	}
}

func shift(rng *rand.Rand) history.Offset { return history.Offset(rng.IntN(7) - 3) }

func mutatePoll(rng *rand.Rand, p *polled, sends int) {
	if len(p.records) == 0 {
		p.After = max(p.After+shift(rng), 0)
		return
	}
	i := rng.IntN(len(p.records))
	r := &p.records[i]
	switch rng.IntN(9) {
	case 0:
		r.Digest++
	case 1:
		r.Record = history.RecordID(rng.IntN(sends + 2))
	case 2:
		r.Offset = max(r.Offset+shift(rng), 0)
	case 3:
		p.records = slices.Delete(p.records, i, i+1)
	case 4:
		j := rng.IntN(len(p.records))
		p.records[i].Record, p.records[j].Record = p.records[j].Record, p.records[i].Record
		p.records[i].Digest, p.records[j].Digest = p.records[j].Digest, p.records[i].Digest
	case 5:
		p.Before = max(p.Before+shift(rng), 0)
	case 6:
		p.After = max(p.After+shift(rng), 0)
	case 7:
		p.Generation = 0
	default:
		p.Invoked = history.Instant(rng.Int64N(int64(p.Completed) + 1))
		p.Completed = p.Invoked
	}
}

func mutateSend(rng *rand.Rand, s *history.Send) {
	switch rng.IntN(6) {
	case 0:
		s.Outcome, s.Offset, s.Completed = history.Failed, history.NoOffset, max(s.Invoked, min(s.Completed, s.Invoked+10))
	case 1:
		if s.Outcome == history.OK {
			s.Offset = max(s.Offset+shift(rng), history.NoOffset)
		}
	case 2:
		if s.Completed != history.Never {
			s.Completed = s.Invoked + history.Instant(rng.IntN(3))
		}
	case 3:
		s.Seq = max(s.Seq+int64(shift(rng)), 0)
	case 4:
		s.Delivery = history.Delivery(rng.IntN(3))
	default:
		s.Invoked += history.Instant(rng.IntN(20))
		if s.Completed != history.Never {
			s.Completed = max(s.Completed, s.Invoked)
		}
	}
}

// chaos returns a small history in which anything may be told.
func chaos(rng *rand.Rand) *sketch {
	s := &sketch{partitions: 1}
	at := func() (from, to history.Instant) {
		from = history.Instant(rng.IntN(20))
		return from, from + history.Instant(rng.IntN(8))
	}
	offset := func() history.Offset { return history.Offset(rng.IntN(5)) }
	for i := range rng.IntN(6) {
		x := history.Send{Client: history.ClientID(rng.IntN(2)), Seq: int64(rng.IntN(4)), Record: history.RecordID(i + 1), Key: history.Digest(rng.IntN(3)),
			Digest: history.Digest(i), Acks: history.AcksAll, Delivery: history.Delivery(rng.IntN(3)), Tombstone: rng.IntN(6) == 0,
			Outcome: history.Outcome(rng.IntN(4)), Offset: history.NoOffset}
		if rng.IntN(4) == 0 {
			x.Acks = history.Acks(rng.IntN(2))
		}
		x.Invoked, x.Completed = at()
		if x.Outcome == history.OK {
			x.Offset = offset() - history.Offset(rng.IntN(2))
		}
		if x.Outcome == history.Pending {
			x.Completed = history.Never
		}
		s.sends = append(s.sends, x)
	}
	for range rng.IntN(4) {
		s.polls = append(s.polls, chaosPoll(rng, offset))
		p := &s.polls[len(s.polls)-1]
		p.Invoked, p.Completed = at()
	}
	for range rng.IntN(4) {
		x := history.ListOffsets{Client: 4, Query: history.Query(rng.IntN(3)), Isolation: history.Isolation(rng.IntN(2)), Asked: history.Timestamp(rng.IntN(2)),
			Outcome: history.OK, Offset: offset()}
		if x.Query == history.ByTime && rng.IntN(3) == 0 {
			x.Offset = history.NoOffset
		}
		x.Invoked, x.Completed = at()
		s.lists = append(s.lists, x)
	}
	if rng.IntN(2) == 0 {
		b := history.ReadBack{Client: 5, Outcome: history.OK, LogStart: offset() / 2, LogEnd: offset()}
		b.Invoked, b.Completed = at()
		s.backs = append(s.backs, b)
	}
	for _, kind := range []history.MarkKind{history.LogBegins, history.PrefixMayGo} {
		if rng.IntN(4) == 0 {
			s.marks = append(s.marks, history.Mark{Kind: kind, Partition: 0, Offset: offset() / 2})
		}
	}
	for range rng.IntN(4) {
		kind := history.Election
		if rng.IntN(2) == 0 {
			kind = history.UncleanLeader
		}
		s.marks = append(s.marks, history.Mark{Kind: kind, At: history.Instant(rng.IntN(24)), Partition: 0, Offset: offset()})
	}
	return s
}

func chaosPoll(rng *rand.Rand, offset func() history.Offset) polled {
	p := polled{Poll: history.Poll{Client: history.ClientID(2 + rng.IntN(2)), Generation: int32(rng.IntN(2)), Isolation: history.Isolation(rng.IntN(2)),
		Final: rng.IntN(3) == 0, Outcome: history.OK, Before: offset(), End: history.NoOffset}}
	if p.Final {
		p.Client = 5
	}
	if rng.IntN(3) == 0 {
		p.End = offset()
	}
	p.After = p.Before + history.Offset(rng.IntN(3))
	for o := p.Before; o < p.After; o++ {
		if rng.IntN(6) > 0 {
			id := history.RecordID(1 + rng.IntN(6))
			r := history.Read{Offset: o, Record: id, Digest: history.Digest(id - 1), Epoch: int32(rng.IntN(3) - 1)}
			if rng.IntN(12) == 0 {
				r.Digest++
			}
			if rng.IntN(12) == 0 {
				r.Offset = offset()
			}
			p.records = append(p.records, r)
		}
	}
	return p
}
