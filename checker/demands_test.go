package checker

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/checker/history"
)

// What an acknowledgement promises, level by level.
func TestPromises(t *testing.T) {
	const all, leader, none = history.AcksAll, history.AcksLeader, history.AcksNone
	for _, x := range []struct {
		claim string
		d     Demands
		kept  []history.Acks
	}{
		{"nothing happens: acks=1 is as good as acks=all", Demands{}, []history.Acks{all, leader}},
		{"leaders change: only acks=all is kept", Demands{Leaders: true}, []history.Acks{all}},
		{"log.flush=ack keeps through any power loss", Demands{PowerLoss: AnyPowerLoss}, []history.Acks{all, leader}},
		{"log.flush=os keeps through process crashes", Demands{Flush: FlushOS}, []history.Acks{all, leader}},
		{"log.flush=os, a replica keeps its page cache: not acks=1", Demands{Flush: FlushOS, PowerLoss: SurvivablePowerLoss}, []history.Acks{all}},
		{"log.flush=os, power lost anywhere: nothing", Demands{Flush: FlushOS, PowerLoss: AnyPowerLoss}, nil},
		{"unclean elections: nothing", Demands{Unclean: true}, nil},
		{"every copy destroyed: nothing", Demands{Unrestricted: true}, nil},
	} {
		kept := map[history.Acks]bool{}
		for _, a := range x.kept {
			kept[a] = true
		}
		for _, a := range []history.Acks{all, leader, none} {
			if got := x.d.promises(a); got != kept[a] {
				t.Errorf("%s: %v promises %v", x.claim, a, got)
			}
		}
	}
}

// oneLoss is a history with one acknowledged record, at offset 1 of p-0, that
// consumer c1 skips and c2 never finds.
func oneLoss() *sketch {
	s := &sketch{partitions: 1}
	send := func(id history.RecordID, o history.Offset) {
		s.sends = append(s.sends, history.Send{Record: id, Seq: int64(id), Key: history.Digest(id), Digest: history.Digest(id), Acks: history.AcksAll, Delivery: history.Idempotent,
			Outcome: history.OK, Offset: o, Invoked: history.Instant(10 * id), Completed: history.Instant(10*id + 5)})
	}
	send(1, 0)
	send(2, 1)
	send(3, 2)
	poll := history.Poll{Client: 1, Outcome: history.OK, Invoked: 50, Completed: 60, After: 3, End: history.NoOffset}
	records := []history.Read{{Offset: 0, Record: 1, Digest: 1}, {Offset: 2, Record: 3, Digest: 3}}
	s.polls = append(s.polls, polled{poll, slices.Clone(records)})
	poll.Client, poll.Final, poll.Invoked, poll.Completed = 2, true, 80, 90
	s.polls = append(s.polls, polled{poll, records})
	s.backs = append(s.backs, history.ReadBack{Client: 2, Outcome: history.OK, Invoked: 70, Completed: 100, LogEnd: 3})
	return s
}

// The same loss under what a run may be promised.
func TestDemandsDecideWhatIsHeldAgainstARun(t *testing.T) {
	for _, x := range []struct {
		claim  string
		change func(*sketch, *Demands)
		want   Status
	}{
		{"acks=all is lost", func(*sketch, *Demands) {}, Violated},
		{"acks=1 under one leader is lost", func(s *sketch, _ *Demands) { s.sends[1].Acks = history.AcksLeader }, Violated},
		{"acks=1 with elections promises nothing, the others are fine", func(s *sketch, d *Demands) {
			s.sends[1].Acks, d.Leaders = history.AcksLeader, true
		}, Held},
		{"acks=0 promises nothing", func(s *sketch, _ *Demands) {
			s.sends[1].Acks, s.sends[1].Offset = history.AcksNone, history.NoOffset
		}, Held},
		{"unclean elections", func(_ *sketch, d *Demands) { d.Unclean = true }, NotApplicable},
		{"page caches lost with log.flush=os", func(_ *sketch, d *Demands) { d.Flush, d.PowerLoss = FlushOS, AnyPowerLoss }, NotApplicable},
		{"page caches lost with log.flush=ack", func(_ *sketch, d *Demands) { d.PowerLoss = AnyPowerLoss }, Violated},
		{"retention takes prefixes, not holes", func(_ *sketch, d *Demands) { d.Retention = true }, Violated},
		{"compaction, and no later record of the key", func(_ *sketch, d *Demands) { d.Compaction = true }, Violated},
		{"compaction, and a later record of the key", func(s *sketch, d *Demands) {
			d.Compaction, s.sends[2].Key = true, s.sends[1].Key
		}, Held},
		{"compaction of a tombstone", func(s *sketch, d *Demands) {
			d.Compaction, s.sends[1].Tombstone = true, true
		}, Held},
		{"compaction, and a tombstone of the key that may be anywhere", func(s *sketch, d *Demands) {
			d.Compaction = true
			s.sends = append(s.sends, history.Send{Record: 4, Key: s.sends[1].Key, Tombstone: true, Acks: history.AcksAll, Outcome: history.Unknown, Invoked: 46, Completed: 49, Offset: history.NoOffset})
		}, Held},
		{"the answer never came", func(s *sketch, _ *Demands) {
			s.sends[1].Outcome, s.sends[1].Offset = history.Unknown, history.NoOffset
		}, Held},
		{"nothing was read back", func(s *sketch, _ *Demands) { s.backs, s.polls = nil, nil }, Inconclusive},
		{"the read-back began before the acknowledgement", func(s *sketch, _ *Demands) {
			s.backs[0].Invoked, s.polls = 20, nil
			s.backs[0].LogEnd = 0
		}, Violated}, // of record 1
		{"read back before anything was acknowledged", func(s *sketch, _ *Demands) {
			s.backs[0].Invoked, s.polls = 5, nil
			s.backs[0].LogEnd = 0
		}, Inconclusive},
		{"read back with a hole in the reading", func(s *sketch, _ *Demands) {
			s.polls[1].Before, s.polls[1].records = 2, s.polls[1].records[1:]
			s.polls = s.polls[1:]
		}, Inconclusive},
		{"the topic was deleted", func(s *sketch, _ *Demands) {
			s.marks = append(s.marks, history.Mark{Kind: history.TopicDeleted, Partition: 0, Offset: history.NoOffset})
		}, NotApplicable},
	} {
		s, d := oneLoss(), Demands{}
		x.change(s, &d)
		r := Judge(s.build(), d)
		if got := r.Verdict(NoLostAck).Status; got != x.want {
			t.Errorf("%s: %s, want %s\n%v", x.claim, got, x.want, &r)
		}
	}
}

func TestPrefixMayGoOnlyAsFarAsPermitted(t *testing.T) {
	for _, x := range []struct {
		upTo history.Offset
		lost int
	}{{0, 2}, {1, 1}, {2, 0}, {history.Unbounded, 0}} {
		s := oneLoss()
		s.polls = s.polls[1:]
		s.polls[0].Before, s.polls[0].records = 2, s.polls[0].records[1:]
		s.backs[0].LogStart = 2
		s.marks = append(s.marks, history.Mark{Kind: history.PrefixMayGo, Partition: 0, Offset: x.upTo})
		r := Judge(s.build(), Demands{})
		if got := r.Verdict(NoLostAck).Total; got != x.lost {
			t.Errorf("log starts at 2, permitted up to %d: %d lost, want %d\n%v", x.upTo, got, x.lost, &r)
		}
	}
}

func TestUncleanElectionsLeaveAgreementWithinAnEpoch(t *testing.T) {
	s := oneLoss()
	other := history.Read{Offset: 2, Record: 2, Digest: 2, Epoch: 7}
	s.polls[0].records[1] = other
	d := Demands{Unclean: true}
	if r := Judge(s.build(), d); r.Verdict(Agreement).Status != Held {
		t.Errorf("two values in epochs 0 and 7:\n%v", &r)
	}
	s.polls[0].records[1].Epoch = 0
	if r := Judge(s.build(), d); r.Verdict(Agreement).Status != Violated {
		t.Errorf("two values in epoch 0:\n%v", &r)
	}
}

func TestRecordsFromBeforeTheRunAreNobodys(t *testing.T) {
	s := oneLoss()
	s.sends = s.sends[2:]
	if r := Judge(s.build(), Demands{}); r.Verdict(NoInvention).Status != Violated || r.Verdict(LinearizableLog).Status != Violated {
		t.Errorf("a record that nobody sent:\n%v", &r)
	}
	s.marks = append(s.marks, history.Mark{Kind: history.LogBegins, Partition: 0, Offset: 2})
	if r := Judge(s.build(), Demands{}); r.Verdict(NoInvention).Status != Held || r.Verdict(LinearizableLog).Status != Held {
		t.Errorf("records from before the run:\n%v", &r)
	}
}

// A send told without an identity is nobody's: else every damaged record would be
// taken for its.
func TestSendsWithoutIdentityExplainNothing(t *testing.T) {
	s := oneLoss()
	s.sends[0].Record, s.polls[0].records[0].Record = history.NoRecord, history.NoRecord
	if r := Judge(s.build(), Demands{}); r.Verdict(NoInvention).Status != Violated {
		t.Errorf("a record without identity:\n%v", &r)
	}
}

// What retention took from one replica may be there on another that is elected later.
func TestTheFirstOffsetMayGoBackOnlyWithAnotherLeader(t *testing.T) {
	asked := func(q history.Query, at history.Instant, told history.Offset) history.ListOffsets {
		return history.ListOffsets{Query: q, Outcome: history.OK, Invoked: at, Completed: at + 1, Offset: told}
	}
	for _, x := range []struct {
		claim  string
		query  history.Query
		demand Demands
		marked history.Instant // of the election
		want   Status
	}{
		{"elected between the two", history.Earliest, Demands{Retention: true, Leaders: true, Marked: true}, 5, Held},
		{"elected behind both", history.Earliest, Demands{Retention: true, Leaders: true, Marked: true}, 9, Violated},
		{"nobody can be elected", history.Earliest, Demands{Retention: true, Marked: true}, 5, Violated},
		{"without retention", history.Earliest, Demands{Leaders: true, Marked: true}, 5, Violated},
		{"elections are not marked", history.Earliest, Demands{Retention: true, Leaders: true}, 9, Inconclusive},
		{"the first of a time", history.ByTime, Demands{Retention: true, Leaders: true, Marked: true}, 5, Held},
		{"the end of the log", history.Latest, Demands{Retention: true, Leaders: true, Marked: true}, 5, Violated},
	} {
		s := &sketch{partitions: 1, lists: []history.ListOffsets{asked(x.query, 1, 4), asked(x.query, 7, 2)}}
		s.marks = append(s.marks, history.Mark{Kind: history.Election, At: x.marked, Partition: 0, Offset: history.NoOffset})
		if r := Judge(s.build(), x.demand); r.Verdict(OffsetsForward).Status != x.want {
			t.Errorf("%s: %v, want %v", x.claim, r.Verdict(OffsetsForward).Status, x.want)
		}
	}
}

// Offsets for timestamps may become none only where records may go.
func TestOffsetForTimestampMayVanishWithItsRecord(t *testing.T) {
	s := &sketch{partitions: 1}
	for i, o := range []history.Offset{1, history.NoOffset} {
		at := history.Instant(10 * i)
		s.lists = append(s.lists, history.ListOffsets{Query: history.ByTime, Asked: 5, Outcome: history.OK, Offset: o, Invoked: at, Completed: at + 1})
	}
	for _, x := range []struct {
		d    Demands
		want Status
	}{{Demands{}, Violated}, {Demands{Retention: true}, Held}, {Demands{Compaction: true}, Held}, {Demands{Unclean: true}, NotApplicable}} {
		r := Judge(s.build(), x.d)
		if got := r.Verdict(OffsetsForward).Status; got != x.want {
			t.Errorf("demands %+v: %s, want %s\n%v", x.d, got, x.want, &r)
		}
	}
}

// Each replica compacts by itself: that one has no tombstone any more says nothing of the
// log of another, from which the partition is read back.
func TestADeletedKeyComesBackOnlyInTheLogThatHadLostItsTombstone(t *testing.T) {
	for _, x := range []struct {
		claim     string
		followers bool
		final     bool // the tombstone was gone in a read-back
		want      Status
	}{
		{"the leader had lost it", false, false, Violated},
		{"some replica had lost it", true, false, Held},
		{"the leader had lost it, though followers answer others", true, true, Violated},
	} {
		s := &sketch{partitions: 1}
		for i := range 2 {
			at := history.Instant(10 * i)
			s.sends = append(s.sends, history.Send{Client: 1, Record: history.RecordID(i + 1), Seq: int64(i + 1), Key: 5, Digest: history.Digest(i + 1), Tombstone: i == 1,
				Acks: history.AcksAll, Invoked: at, Completed: at + 1, Outcome: history.OK, Offset: history.Offset(i)})
		}
		gone := history.Poll{Client: 2, Outcome: history.OK, Final: x.final, Before: 1, After: 2, Invoked: 31, Completed: 32, End: history.NoOffset}
		back := history.Poll{Client: 3, Outcome: history.OK, Final: true, Before: 0, After: 2, Invoked: 41, Completed: 42, End: history.NoOffset}
		s.polls = []polled{{gone, nil}, {back, []history.Read{{Offset: 0, Record: 1, Digest: 1}, {Offset: 1, Record: 2, Digest: 2}}}}
		s.backs = append(s.backs, history.ReadBack{Client: 3, Outcome: history.OK, Invoked: 40, Completed: 43, LogEnd: 2})
		if x.final {
			s.backs = append(s.backs, history.ReadBack{Client: 2, Outcome: history.OK, Invoked: 30, Completed: 33, LogStart: 1, LogEnd: 2})
		}
		r := Judge(s.build(), Demands{Leaders: true, Marked: true, Compaction: true, Followers: x.followers})
		if got := r.Verdict(CompactedState).Status; got != x.want {
			t.Errorf("%s: %v, want %v", x.claim, got, x.want)
		}
	}
}

// Deleted topics begin anew: only what needs no offsets is judged.
func TestDeletedTopicsAreLeftOut(t *testing.T) {
	s := oneLoss()
	s.polls[0].records[1].Record, s.polls[0].records[1].Digest = 2, 2 // disagrees with the other poll
	s.polls[1].records[0].Record = 77                                 // nobody sent it
	s.marks = append(s.marks, history.Mark{Kind: history.TopicDeleted, Partition: 0, Offset: history.NoOffset})
	r := Judge(s.build(), Demands{})
	for _, v := range r.Verdicts {
		if (v.Status == Violated) != (v.Guarantee == NoInvention) {
			t.Errorf("%s is %s", v.Guarantee, v.Status)
		}
	}
	if len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0], "p-0") {
		t.Errorf("skipped: %q", r.Skipped)
	}
}

func TestNothingAcknowledgedIsInconclusive(t *testing.T) {
	h := (&sketch{partitions: 1}).build()
	r := Judge(h, Demands{})
	if r.Status() != Inconclusive {
		t.Errorf("an empty history is %s:\n%v", r.Status(), &r)
	}
}

func TestPendingOperationsAreToldAndCounted(t *testing.T) {
	s := oneLoss()
	for i := range 12 {
		s.sends = append(s.sends, history.Send{Record: history.RecordID(10 + i), Invoked: 95, Completed: history.Never, Acks: history.AcksAll, Offset: history.NoOffset})
	}
	r := Judge(s.build(), Demands{})
	if r.PendingTotal != 12 || len(r.Pending) != KeptViolations || r.Counts.Pending != 12 {
		t.Errorf("12 pending sends: %d told, %d kept, %d counted", r.PendingTotal, len(r.Pending), r.Counts.Pending)
	}
	if want := "c0 sent record 10 (#0, acks=all, plain) to p-0 at 0.000s: no answer yet"; r.Pending[0].Text != want {
		t.Errorf("told %q, want %q", r.Pending[0].Text, want)
	}
}

// The same history gives the same report, and so does what was written and read
// back; violations beyond the bound are counted.
func TestReportsAreDeterministicAndBounded(t *testing.T) {
	many := false
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 6))
		s, d := randomSketch(rng)
		for range 20 {
			mutateSome(rng, s)
		}
		h := s.build()
		a, b := Judge(h, d), Judge(h, d)
		if a.String() != b.String() {
			t.Fatalf("seed %d: judged twice, told differently:\n%v\n%v", seed, &a, &b)
		}
		for _, v := range a.Verdicts {
			if len(v.Violations) != min(v.Total, KeptViolations) {
				t.Errorf("seed %d: %s keeps %d of %d violations", seed, v.Guarantee, len(v.Violations), v.Total)
			}
			many = many || v.Total > KeptViolations
		}
	}
	if !many {
		t.Error("no report had more violations than it keeps")
	}
}
