package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/checker/history"
)

// A planted anomaly changes a correct history so that one promise is broken, and
// says what the report must name.
type planted struct {
	name      string
	guarantee Guarantee

	// plant changes the sketch, and returns a part of the sentence that names
	// the evidence, or "" if this sketch has no place for the anomaly.
	plant func(*sketch) string
}

// tries is how many histories are tried: few have a place for what concerns keys.
func (x planted) tries() uint64 {
	if x.guarantee == CompactedState {
		return 400
	}
	return 40
}

// good returns a good history to plant the anomaly in.
func (x planted) good(seed uint64) (*sketch, Demands) {
	switch {
	case x.guarantee == CompactedState:
		return compactedRun(seed)
	case slices.ContainsFunc(uncleanAnomalies, func(y planted) bool { return y.name == x.name }):
		return uncleanRun(seed)
	}
	return idempotentRun(seed)
}

// idempotentRun is a good history to plant in: one partition, read by two
// consumers and read back.
func idempotentRun(seed uint64) (*sketch, Demands) {
	rng := rand.New(rand.NewPCG(seed, 5))
	return goodRun(rng, runSize{partitions: 1, producers: 2, consumers: 2, steps: 200, delivery: []history.Delivery{history.Idempotent}})
}

// compactedRun is a good history of a compacted partition that nobody has got
// round to compacting: it has few keys, each with many records.
func compactedRun(seed uint64) (*sketch, Demands) {
	s, d := idempotentRun(seed)
	d.Compaction, d.DeleteRetention, d.MinCompactionLag = true, 10_000, time.Millisecond
	return s, d
}

// lastOfKey returns the last record of some key, acknowledged and read back, that
// is a tombstone or not, as asked; nil if there is none. That it is alone in the
// evidence is seen to.
func lastOfKey(s *sketch, tombstone bool) *history.Send {
	last := map[history.Digest]*history.Send{}
	unsure := map[history.Digest]bool{}
	for i := range s.sends {
		x := &s.sends[i]
		unsure[x.Key] = unsure[x.Key] || x.Outcome != history.OK || x.Offset < 0
		if x.Outcome == history.OK && (last[x.Key] == nil || x.Offset > last[x.Key].Offset) {
			last[x.Key] = x
		}
	}
	for key := range history.Digest(4) {
		if x := last[key]; x != nil && x.Tombstone == tombstone && !unsure[key] && x.Acks != history.AcksNone {
			return x
		}
	}
	return nil
}

// busy returns a poll that is not final and has at least two records.
func busy(s *sketch) *polled {
	for i := range s.polls {
		if p := &s.polls[i]; !p.Final && p.Outcome == history.OK && len(p.records) >= 2 {
			return p
		}
	}
	return nil
}

// acked returns an acknowledged acks=all send that was read back.
func acked(s *sketch) *history.Send {
	for i := range s.sends {
		if x := &s.sends[i]; x.Outcome == history.OK && x.Acks == history.AcksAll && x.Offset > 0 {
			return x
		}
	}
	return nil
}

// forget takes a record out of every poll, and closes the gap if the polls are to
// look as if it never was.
func forget(s *sketch, id history.RecordID) {
	for i := range s.polls {
		s.polls[i].records = slices.DeleteFunc(s.polls[i].records, func(r history.Read) bool { return r.Record == id })
	}
}

var plantedAnomalies = []planted{
	{"the same offset shows another record to another consumer", Agreement, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		p.records[0].Record, p.records[0].Digest = p.records[1].Record, p.records[1].Digest
		return fmt.Sprintf("p-0 offset %d is record", p.records[0].Offset)
	}},
	{"the same record with other bytes", Agreement, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		p.records[0].Digest++
		return fmt.Sprintf("record %d with other bytes", p.records[0].Record)
	}},
	{"a record that nobody sent", NoInvention, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		p.records[0].Record = 99999
		return "nobody ever sent this record"
	}},
	{"a record without identity", NoInvention, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		p.records[0].Record = history.NoRecord
		return "nobody ever sent this record"
	}},
	{"a header was changed on the way", NoInvention, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		p.records[1].Digest ^= 1 << 40
		return "differs from what"
	}},
	{"a record of another topic's partition", NoInvention, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		s.partitions = 2
		for i := range s.sends {
			if s.sends[i].Record == p.records[0].Record {
				s.sends[i].Partition = 1
			}
		}
		return "was sent to p-1"
	}},
	{"a record read before it was sent", NoInvention, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		for i := range s.sends {
			if x := &s.sends[i]; x.Record == p.records[0].Record && x.Outcome == history.OK {
				x.Invoked, x.Completed = p.Completed+5, p.Completed+6
				return "was sent only at"
			}
		}
		return ""
	}},
	{"the last acknowledged records are cut off", NoLostAck, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		for i := range s.polls {
			p := &s.polls[i]
			p.records = slices.DeleteFunc(p.records, func(r history.Read) bool { return r.Offset >= x.Offset })
			p.Before, p.After = min(p.Before, x.Offset), min(p.After, x.Offset)
		}
		s.backs[0].LogEnd = x.Offset
		return fmt.Sprintf("p-0 offset %d acknowledged at %v, absent at the end: the log ends at offset %d", x.Offset, x.Completed, x.Offset)
	}},
	{"an acknowledged record is a hole at the end", NoLostAck, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		forget(s, x.Record)
		return fmt.Sprintf("p-0 offset %d acknowledged at %v, absent at the end", x.Offset, x.Completed)
	}},
	{"one consumer does not get an acknowledged record", NoLostAck, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		for _, x := range s.sends {
			if x.Record == p.records[0].Record && x.Outcome == history.OK && x.Acks == history.AcksAll {
				p.records = p.records[1:]
				return fmt.Sprintf("p-0 offset %d acknowledged at %v, skipped by", x.Offset, x.Completed)
			}
		}
		return ""
	}},
	{"the start of the log moved without permission", NoLostAck, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		s.backs[0].LogStart = x.Offset + 1
		return fmt.Sprintf("p-0 offset %d acknowledged at %v, absent at the end: the log starts at offset %d", x.Offset, x.Completed, x.Offset+1)
	}},
	{"a record acknowledged without an offset is gone", NoLostAck, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		forget(s, x.Record)
		x.Offset = history.NoOffset
		return fmt.Sprintf("p-0 record %d acknowledged at %v, absent at the end", x.Record, x.Completed)
	}},
	{"a retry was appended again", NoDuplicate, func(s *sketch) string {
		b := &s.backs[0]
		last := &s.polls[len(s.polls)-1]
		if len(last.records) < 2 {
			return ""
		}
		again := last.records[0]
		again.Offset = b.LogEnd
		last.records = append(last.records, again)
		b.LogEnd++
		last.After++
		return fmt.Sprintf("offsets %d and %d both hold record %d", last.records[0].Offset, again.Offset, again.Record)
	}},
	{"two sends in the wrong order", ProducerOrder, func(s *sketch) string {
		for i := range s.sends {
			for j := range s.sends[:i] {
				a, b := &s.sends[j], &s.sends[i]
				if a.Client == b.Client && a.Outcome == history.OK && b.Outcome == history.OK && a.Offset >= 0 && b.Offset >= 0 && a.Acks != history.AcksNone {
					a.Seq, b.Seq = b.Seq, a.Seq
					return fmt.Sprintf("send #%d of c%d", b.Seq, a.Client)
				}
			}
		}
		return ""
	}},
	{"a failed write is read", NoFailedVisible, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		x.Outcome, x.Offset = history.Failed, history.NoOffset
		return fmt.Sprintf("holds record %d, which c%d was told at %v had failed", x.Record, x.Client, x.Completed)
	}},
	{"a poll goes back", MonotonicPoll, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		q := *p
		q.Invoked, q.Completed = p.Completed, p.Completed
		q.records = slices.Clone(p.records)
		s.polls = append(s.polls, q)
		return fmt.Sprintf("went back to offset %d from offset", p.Before)
	}},
	{"records out of order in one poll", MonotonicPoll, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		p.records[0], p.records[1] = p.records[1], p.records[0]
		return fmt.Sprintf("returned offset %d after offset %d", p.records[1].Offset, p.records[0].Offset)
	}},
	{"a gap inside a poll", NoPollSkip, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		o := p.records[0].Offset
		p.records = p.records[1:]
		return fmt.Sprintf("p-0 offset %d skipped by c%d", o, p.Client)
	}},
	{"a gap between two polls", NoPollSkip, func(s *sketch) string {
		last := &s.polls[len(s.polls)-1]
		before := &s.polls[len(s.polls)-2]
		if !before.Final || len(last.records) < 2 {
			return ""
		}
		last.Before++
		last.records = last.records[1:]
		return fmt.Sprintf("p-0 offset %d skipped by", before.After)
	}},
	{"an acknowledgement tells the wrong offset", AckedOffsetTrue, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		x.Offset--
		return fmt.Sprintf("p-0 offset %d acknowledged at %v, but record %d was read at offset %d", x.Offset, x.Completed, x.Record, x.Offset+1)
	}},
	{"two sends acknowledged with one offset, nothing read", AckedOffsetTrue, func(s *sketch) string {
		s.polls, s.backs = nil, nil
		x := acked(s)
		if x == nil {
			return ""
		}
		y := *x
		y.Record, y.Seq, y.Invoked, y.Completed = 88888, 5000, y.Completed+1, y.Completed+2
		s.sends = append(s.sends, y)
		return fmt.Sprintf("for record 88888, and at %v for record %d", x.Completed, x.Record)
	}},
	{"the latest offset goes back", OffsetsForward, func(s *sketch) string {
		s.lists = append(s.lists, history.ListOffsets{Query: history.Latest, Outcome: history.OK, Invoked: s.backs[0].Completed + 1, Completed: s.backs[0].Completed + 2, Offset: s.backs[0].LogEnd - 1})
		return fmt.Sprintf("p-0 latest offset went back: %d", s.backs[0].LogEnd)
	}},
	{"the earliest offset goes back", OffsetsForward, func(s *sketch) string {
		s.backs[0].LogStart = 2
		s.lists = append(s.lists, history.ListOffsets{Query: history.Earliest, Outcome: history.OK, Invoked: s.backs[0].Completed + 1, Completed: s.backs[0].Completed + 2, Offset: 1})
		return "p-0 earliest offset went back: 2"
	}},
	{"an offset for a timestamp vanishes", OffsetsForward, func(s *sketch) string {
		end := s.backs[0].Completed
		s.lists = append(s.lists,
			history.ListOffsets{Query: history.ByTime, Asked: 77, Outcome: history.OK, Invoked: end + 1, Completed: end + 2, Offset: 1},
			history.ListOffsets{Query: history.ByTime, Asked: 77, Outcome: history.OK, Invoked: end + 3, Completed: end + 4, Offset: history.NoOffset})
		return "p-0 offset for timestamp 77 went back: 1"
	}},
	{"a lookup by time passes a record", ByTimeFirst, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		x.Timestamp = 500
		s.lists = []history.ListOffsets{{Query: history.ByTime, Asked: 500, Outcome: history.OK, Invoked: x.Completed + 1, Completed: x.Completed + 2, Offset: x.Offset + 1000}}
		return fmt.Sprintf("but the record acknowledged at offset %d by %v has timestamp 500", x.Offset, x.Completed)
	}},
	{"a lookup by time finds nothing", ByTimeFirst, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		x.Timestamp = 500
		s.lists = []history.ListOffsets{{Query: history.ByTime, Asked: 499, Outcome: history.OK, Invoked: x.Completed + 1, Completed: x.Completed + 2, Offset: history.NoOffset}}
		return "none was told"
	}},
	{"a lookup by time finds what is older", ByTimeFirst, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		x.Timestamp = 500
		s.lists = []history.ListOffsets{{Query: history.ByTime, Asked: 501, Outcome: history.OK, Invoked: x.Invoked, Completed: x.Completed + 2, Offset: x.Offset}}
		return "but the record there has timestamp 500"
	}},
	{"a stale latest offset", LinearizableLog, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		s.lists = []history.ListOffsets{{Query: history.Latest, Outcome: history.OK, Invoked: x.Completed + 1, Completed: x.Completed + 2, Offset: x.Offset}}
		return fmt.Sprintf("the append at offset %d was over at %v, but the lookup that told the log ends at %d began only at %v", x.Offset, x.Completed, x.Offset, x.Completed+1)
	}},
	{"a latest offset beyond everything sent", LinearizableLog, func(s *sketch) string {
		s.backs[0].LogEnd += 1000
		return "no send is left that could be there"
	}},
	{"an append that is over before a lower one begins", LinearizableLog, func(s *sketch) string {
		s.polls, s.backs, s.lists = nil, nil, nil
		x := acked(s)
		if x == nil {
			return ""
		}
		low := *x
		low.Record, low.Seq, low.Offset = 88888, 5000, x.Offset-1
		low.Invoked, low.Completed = x.Completed+1, x.Completed+2
		s.sends = []history.Send{*x, low}
		return fmt.Sprintf("the append at offset %d was over at %v, but the append at offset %d began only at %v", x.Offset, x.Completed, low.Offset, low.Invoked)
	}},
	{"a record that was read is not there at the end", ReadCommittedOnly, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		r := p.records[0]
		for i := range s.polls {
			if s.polls[i].Final {
				s.polls[i].records = slices.DeleteFunc(s.polls[i].records, func(x history.Read) bool { return x.Record == r.Record })
			}
		}
		return fmt.Sprintf("p-0 offset %d was read by", r.Offset)
	}},
	{"the log ends below what was read", ReadCommittedOnly, func(s *sketch) string {
		p := busy(s)
		if p == nil {
			return ""
		}
		s.backs[0].LogEnd = p.records[0].Offset
		return fmt.Sprintf("and later the log ended at offset %d", p.records[0].Offset)
	}},
	{"the last record of a key is gone", CompactedState, func(s *sketch) string {
		x := lastOfKey(s, false)
		if x == nil {
			return ""
		}
		forget(s, x.Record)
		return fmt.Sprintf("p-0 offset %d holds the last record of its key", x.Offset)
	}},
	{"a tombstone goes at once", CompactedState, func(s *sketch) string {
		x := lastOfKey(s, true)
		if x == nil {
			return ""
		}
		forget(s, x.Record)
		return fmt.Sprintf("p-0 offset %d: the tombstone sent at %v was gone", x.Offset, x.Invoked)
	}},
	{"a young record is gone", CompactedState, func(s *sketch) string {
		x := acked(s)
		if x == nil {
			return ""
		}
		x.Timestamp = 5000
		forget(s, x.Record)
		return fmt.Sprintf("p-0 offset %d: the record of timestamp 5000 was gone", x.Offset)
	}},
	{"a deleted key comes back", CompactedState, func(s *sketch) string {
		x := lastOfKey(s, true)
		if x == nil {
			return ""
		}
		var old *history.Send
		for i := range s.sends {
			if y := &s.sends[i]; y.Key == x.Key && !y.Tombstone && y.Offset >= 0 && y.Outcome == history.OK && y.Acks != history.AcksNone {
				old = y
			}
		}
		end := s.backs[0].Completed
		if old == nil || x.Completed >= end {
			return ""
		}
		again := history.Poll{Client: 9, Outcome: history.OK, Invoked: end + 20_000, Completed: end + 20_001, Before: x.Offset, After: x.Offset + 1, End: history.NoOffset}
		s.polls = append(s.polls, polled{again, nil})
		again.Final, again.Invoked, again.Completed, again.Before, again.After = true, end+20_003, end+20_004, old.Offset, old.Offset+1
		s.backs = append(s.backs, history.ReadBack{Client: 9, Outcome: history.OK, Invoked: end + 20_002, Completed: end + 20_005, LogStart: old.Offset, LogEnd: old.Offset + 1})
		s.polls = append(s.polls, polled{again, []history.Read{{Offset: old.Offset, Record: old.Record, Digest: old.Digest, Epoch: 1}}})
		return fmt.Sprintf("though the tombstone at offset %d that deletes its key was gone", x.Offset)
	}},
}

// uncleanAnomalies are about runs with unclean elections.
var uncleanAnomalies = []planted{
	{"a record below what an unclean election took is gone", UncleanBounded, func(s *sketch) string {
		for i := range s.sends {
			x := &s.sends[i]
			if x.Outcome != history.OK || x.Acks != history.AcksAll || x.Offset < 0 || x.Completed >= s.backs[0].Invoked || takenUnclean(s, x) {
				continue
			}
			forget(s, x.Record)
			return fmt.Sprintf("offset %d acknowledged at %v, ", x.Offset, x.Completed)
		}
		return ""
	}},
	{"the end of the log goes back though nobody was elected", OffsetsForward, func(s *sketch) string {
		b := s.backs[0]
		if b.LogEnd == 0 {
			return ""
		}
		s.lists = append(s.lists, history.ListOffsets{Client: 9, Query: history.Latest, Outcome: history.OK, Invoked: b.Completed + 10, Completed: b.Completed + 11, Offset: b.LogEnd - 1})
		return "p-0 latest offset went back"
	}},
}

// takenUnclean reports whether an unclean election may have taken a record.
func takenUnclean(s *sketch, x *history.Send) bool {
	return slices.ContainsFunc(s.marks, func(m history.Mark) bool {
		return m.Kind == history.UncleanLeader && m.At >= x.Invoked && m.Offset <= x.Offset
	})
}

// uncleanRun is a good history with unclean elections.
func uncleanRun(seed uint64) (*sketch, Demands) {
	rng := rand.New(rand.NewPCG(seed, 5))
	return goodRun(rng, runSize{partitions: 1, producers: 2, consumers: 2, steps: 200, delivery: []history.Delivery{history.Idempotent},
		demands: Demands{Unclean: true, Leaders: true, Marked: true}})
}

// Every anomaly must be named by the judge of its guarantee, in a sentence that
// says where, in at least one history; and the history was good before.
func TestJudgesComplainAboutPlantedAnomalies(t *testing.T) {
	covered := map[Guarantee]bool{}
	for _, x := range slices.Concat(plantedAnomalies, uncleanAnomalies) {
		covered[x.guarantee] = true
		t.Run(string(x.guarantee)+"/"+strings.ReplaceAll(x.name, " ", "_"), func(t *testing.T) {
			found := 0
			for seed := range x.tries() {
				s, d := x.good(seed)
				before := Judge(s.build(), d)
				if before.Status() == Violated {
					t.Fatalf("seed %d: the history was bad before:\n%v", seed, &before)
				}
				part := x.plant(s)
				if part == "" {
					continue
				}
				found++
				mustName(t, s, d, x.guarantee, part)
			}
			if found < 10 {
				t.Errorf("planted in %d of %d histories only", found, x.tries())
			}
		})
	}
	for _, g := range Guarantees() {
		if !covered[g] {
			t.Errorf("%s has no planted anomaly", g)
		}
	}
}

// mustName fails the test unless a violation of the guarantee says part, with
// evidence.
func mustName(t *testing.T, s *sketch, d Demands, g Guarantee, part string) {
	t.Helper()
	h := s.build()
	r := Judge(h, d)
	v := r.Verdict(g)
	if v.Status != Violated {
		t.Fatalf("%s: not violated, though %q:\n%v", g, part, &r)
	}
	for _, x := range v.Violations {
		if strings.Contains(x.Sentence, part) {
			if len(x.Events) == 0 {
				t.Errorf("%v: no evidence", x)
			}
			return
		}
	}
	if v.Total <= len(v.Violations) {
		t.Fatalf("%s: no sentence says %q:\n%v", g, part, &r)
	}
}
