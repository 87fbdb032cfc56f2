package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func told(r *Run) string {
	var b strings.Builder
	for _, m := range Story(r) {
		fmt.Fprintf(&b, "%s %s: %s\n", m.At, m.Kind, m.Text)
	}
	return b.String()
}

// The story of a lost record: who led, that it was acknowledged and committed, what took
// it away, and the read that shows it. What came later has no part in it.
func TestTheStoryOfALostRecord(t *testing.T) {
	want := `1.000s election: n1 is elected leader of orders-0 in epoch 1
1.960s commit: offset 3 of orders-0 is committed: the high watermark of its leader n1 reaches 4; in sync are {n1}
2.000s ack: p1 sent record 4
3.000s fault: power-loss strikes n1, until 4.000s
4.000s lost: n1 has started again: its log of orders-0 ends at 2, and ended at 4 before; the high watermark that it knows is 2, and was 4
4.000s error: n1 logs: log directory is broken
6.000s heal: the faults end for good: from here on everything has to finish
8.000s read: c1 polled orders-0
8.000s verdict: orders-0 offset 3 acknowledged at 2.000s, absent at 8.000s
`
	if got := told(example()); got != want {
		t.Errorf("the story is\n%swant\n%s", got, want)
	}
}

// A story is short, however much happened, in the order of time, and ends with the
// verdict.
func TestAStoryIsShort(t *testing.T) {
	r := example()
	for i := range 1000 {
		at := Instant(i) * 8e6
		r.Events = append(r.Events, Event{At: at, Lane: 1, Kind: []EventKind{Election, InSync, Failure, Active, Life}[i%5], Partition: 0, Text: fmt.Sprint("event ", i)})
		r.Faults = append(r.Faults, Fault{Line: "crash", Strikes: []Strike{{At: at, Until: at + 1, On: "n1"}}})
		r.Violations[0].Evidence = append(r.Violations[0].Evidence, Evidence{Text: fmt.Sprint("evidence ", i), Operation: i % 2})
	}
	s := Story(r)
	if len(s) > LongestStory || s[len(s)-1].Kind != "verdict" {
		t.Errorf("a story of %d moments that ends with %q", len(s), s[len(s)-1].Kind)
	}
	if !slices.IsSortedFunc(s, func(a, b Moment) int { return int(a.At - b.At) }) {
		t.Errorf("a story that is not in order: %v", s)
	}
}

// A violation whose evidence is not among the operations happened when the evidence says.
func TestEvidenceSaysWhen(t *testing.T) {
	r := example()
	r.Broke = Never
	r.Violations = []Violation{{Sentence: "told wrongly", Evidence: []Evidence{{"commit from 1.5s to 1.550390s", None}, {"told from 2.848221s to 2.848487s", None}, {"at 99.0s", None}}}}
	if at := focusOf(r).at; at != 2_848_487_000 {
		t.Errorf("it broke at %d", at)
	}
	r.Violations[0].Evidence = nil
	if at := focusOf(r).at; at != r.End {
		t.Errorf("it broke at %d, and nobody says so", at)
	}
}

// What nobody could have heard of has no part in a story.
func TestAStoryIsOfThePast(t *testing.T) {
	r := example()
	r.Lanes = append(r.Lanes, Lane{"n2", Broker, 2})
	r.Events = append(r.Events,
		Event{At: 5e9, Lane: 4, Kind: Failure, Partition: 0, Text: "heard of"},
		Event{At: 7e9, Lane: 4, Kind: Failure, Partition: 0, Text: "unheard of"})
	r.Messages = append(r.Messages, Message{From: 4, To: 1, Sent: 6e9, Arrived: 7e9, Name: "Fetch"})
	if s := told(r); !strings.Contains(s, "n2 logs: heard of") || strings.Contains(s, "unheard of") {
		t.Errorf("the story is\n%s", s)
	}
}

// The past of an instant is what some chain of messages brought there in time.
func TestThePast(t *testing.T) {
	r := &Run{Lanes: make([]Lane, 5), Messages: []Message{
		{From: 0, To: 1, Sent: 1, Arrived: 2},
		{From: 1, To: 2, Sent: 3, Arrived: 5},
		{From: 0, To: 1, Sent: 4, Arrived: 6},     // too late for what 1 sent
		{From: 3, To: 2, Sent: 2, Arrived: Never}, // never there
		{From: 4, To: 2, Sent: 9, Arrived: 11},    // after it
		{From: 2, To: 4, Sent: 1, Arrived: 3},     // the other way
		{From: 0, To: 2, Sent: 2, Arrived: 9},
	}}
	if got, want := pastOf(r, []int{2}, 10), []Instant{2, 3, 10, Never, Never}; !slices.Equal(got, want) {
		t.Errorf("the past is %v, want %v", got, want)
	}
}

// The focus is found in sentences that name it, and not in words that only begin alike.
func TestTheFocusIsFound(t *testing.T) {
	for sentence, want := range map[string]struct {
		partition int
		offset    int64
	}{
		"orders-00: a consumer was given records up to offset 12, and no leader": {1, 11},
		"orders-0 offset 3 is gone":               {0, 3},
		"orders-000 is none of them":              {None, -1},
		"c1 has not finished":                     {None, -1},
		"offset 99999999999999999999 of orders-0": {0, 1<<63 - 1},
	} {
		r := example()
		r.Violations = []Violation{{Sentence: sentence}}
		if f := focusOf(r); f.partition != want.partition || f.offset != want.offset {
			t.Errorf("%q: partition %d, offset %d", sentence, f.partition, f.offset)
		}
	}
}

// A run that is stuck tells how far somebody came, and what he is told since.
func TestTheStoryOfARunThatIsStuck(t *testing.T) {
	r := example()
	r.Verdict, r.Violations, r.Broke = "stuck", nil, Never
	r.Reason = "after 4m0s without faults: p1 has 3 records left to send"
	for i := range 5 {
		r.Messages = append(r.Messages, Message{From: 1, To: 2, Sent: 9e9 + Instant(i), Arrived: 9.1e9, Call: 10 + i, Answer: true, Name: "Produce", Text: "orders-0 NOT_ENOUGH_REPLICAS"})
	}
	if s := told(r); !strings.Contains(s, "from here on p1 is told 5 times by n1: Produce: orders-0 NOT_ENOUGH_REPLICAS") || !strings.Contains(s, "the last success of p1: p1 sent record 4") {
		t.Errorf("the story is\n%s", s)
	}
}

// What is wrong with a group is told with its changes, and with the offsets in question:
// who committed them, and who was told.
func TestTheStoryOfAGroup(t *testing.T) {
	r := example()
	r.Violations = []Violation{{Guarantee: "commit-forward", Sentence: "group g: c1 at broker n1 was told offset 22 for partition 0, and 135 had been committed"}}
	r.Groups[0].States = append(r.Groups[0].States, GroupState{At: 5e9, State: "Assigning", Epoch: 4})
	for i, at := range []int{22, 77, 135} {
		r.Messages = append(r.Messages, Message{From: 3, To: 1, Sent: Instant(i+2) * 1e9, Arrived: Instant(i+2)*1e9 + 1, Name: "OffsetCommit", Text: fmt.Sprintf("group g, member m, generation 3; orders-0 at offset %d", at)})
	}
	r.Messages = append(r.Messages, Message{From: 1, To: 3, Sent: 7e9, Arrived: 7.1e9, Answer: true, Name: "OffsetFetch", Text: "group g; orders-0 committed offset 22"})
	s := told(r)
	for _, want := range []string{"group g goes to epoch 4, Assigning, with 0 members (epoch 3, 1 members before)", "c1 asks n1: OffsetCommit: group g, member m, generation 3; orders-0 at offset 135",
		"n1 tells c1: OffsetFetch: group g; orders-0 committed offset 22"} {
		if !strings.Contains(s, want) {
			t.Errorf("the story does not say %q:\n%s", want, s)
		}
	}
	if strings.Contains(s, "at offset 77") {
		t.Errorf("the story tells of offsets that nobody asked about:\n%s", s)
	}
}

// A violation is about everybody whom its sentence names; a run that is stuck about the
// first who has not finished.
func TestTheFocusIsEverybodyWhoIsNamed(t *testing.T) {
	r := example()
	r.Lanes = append(r.Lanes, Lane{"n2", Broker, 2})
	sentence := "orders-0: leader n2 counts records up to offset 3 on n1, whose log ends at 0"
	r.Violations = []Violation{{Sentence: sentence}}
	if f := focusOf(r); !slices.Equal(f.lanes, []int{1, 4}) {
		t.Errorf("it is about %v", f.lanes)
	}
	r.Violations, r.Reason = nil, sentence
	if f := focusOf(r); !slices.Equal(f.lanes, []int{4}) {
		t.Errorf("stuck, it is about %v", f.lanes)
	}
}

// What was committed with fewer in sync than it takes is told so.
func TestTheStoryOfACommitByTooFew(t *testing.T) {
	r := example()
	r.Options = append(r.Options, Option{"min.insync.replicas", "2", Drawn})
	if s := told(r); !strings.Contains(s, "reaches 4; in sync are {n1}, and min.insync.replicas is 2\n") {
		t.Errorf("the story is\n%s", s)
	}
	r.Options[len(r.Options)-1].Value = "1"
	if s := told(r); strings.Contains(s, "min.insync.replicas") {
		t.Errorf("one is enough, and the story is\n%s", s)
	}
}

// Of those whom a violation names it is told that they have started again, with what, and
// who was in sync just then; of a log that is cut at its beginning, where that was.
func TestTheStoryOfAReplicaThatIsNamed(t *testing.T) {
	r := example()
	r.Lanes = append(r.Lanes, Lane{"n2", Broker, 2})
	r.Violations = []Violation{{Sentence: "orders-0: log start 3, and in-sync replica n2 holds the records up to 4"}}
	r.Replicas = []Replica{{Partition: 0, Lane: 4, States: []ReplicaState{
		{At: 1e9, Role: "follower", End: 4, HighWatermark: 4, InSync: []int32{1, 2}},
		{At: 3e9, Role: "down", End: 4, HighWatermark: 4},
		{At: 35e8, Role: "follower", End: 4, InSync: []int32{1, 2}},
		{At: 4e9, Role: "follower", Start: 3, End: 4, InSync: []int32{1, 2}},
	}}}
	s := told(r)
	for _, want := range []string{
		"3.500s life: n2 has started again: its log of orders-0 ends at 4; the high watermark that it knows is 0; in sync are {n1, n2}\n",
		"4.000s lost: the log of orders-0 on n2 begins at 3, and began at 0 before; it ends at 4\n",
	} {
		if !strings.Contains(s, want) {
			t.Errorf("the story does not say %q:\n%s", want, s)
		}
	}
}

// What a client that is named was refused is told, and how often it had asked for it.
func TestTheStoryOfARefusal(t *testing.T) {
	r := example()
	r.Violations = []Violation{{Sentence: "orders-0 send #7 of p1 ended as unknown"}}
	const batch = "acks=-1; orders-0 1 record from sequence 6 on"
	r.Messages = append(r.Messages,
		Message{From: 2, To: 1, Sent: 3e9, Arrived: 3e9, Call: 91, Name: "Produce", Text: batch, Partitions: []int{0}},
		Message{From: 2, To: 1, Sent: 4e9, Arrived: 4e9, Call: 92, Name: "Produce", Text: batch, Partitions: []int{0}},
		Message{From: 1, To: 2, Sent: 5e9, Arrived: 5e9, Call: 92, Answer: true, Name: "Produce", Text: "orders-0 OUT_OF_ORDER_SEQUENCE_NUMBER", Partitions: []int{0}},
		Message{From: 1, To: 3, Sent: 5e9, Arrived: 5e9, Call: 93, Answer: true, Name: "Produce", Text: "orders-0 NOT_LEADER_OR_FOLLOWER", Partitions: []int{0}})
	s := told(r)
	if want := "5.000s error: n1 tells p1: orders-0 OUT_OF_ORDER_SEQUENCE_NUMBER, when that asks for the second time: Produce: " + batch + "\n"; !strings.Contains(s, want) || strings.Contains(s, "NOT_LEADER") {
		t.Errorf("the story does not say %q, or tells of others:\n%s", want, s)
	}
	if ordinal(4) != "4th" {
		t.Error(ordinal(4))
	}
}
