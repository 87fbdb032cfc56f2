// Package delivery judges what groups of consumers made of a topic: that every
// record was processed as often as promised, by whom it was assigned to, and that
// committed offsets are what was committed.
//
// History in, verdict with evidence out: it knows what workers did and were told,
// and what their output and the topic held in the end. It knows nothing of brokers,
// nor of how groups come to agree.
package delivery

import (
	"fmt"
	"slices"
)

// A Guarantee is the name of a promise.
type Guarantee string

// What a group promises.
const (
	AtMostOnce     Guarantee = "at-most-once"
	AtLeastOnce    Guarantee = "at-least-once"
	ExactlyOnce    Guarantee = "exactly-once"
	GroupExclusive Guarantee = "group-exclusive"
	GroupBroadcast Guarantee = "group-broadcast"
	CommitForward  Guarantee = "commit-forward"
)

// Guarantees returns all of them, in the order of reports.
func Guarantees() []Guarantee {
	return []Guarantee{AtMostOnce, AtLeastOnce, ExactlyOnce, GroupExclusive, GroupBroadcast, CommitForward}
}

// A Mode is how a group's workers go about it.
type Mode uint8

// The modes, and what each promises.
const (
	CommitFirst  Mode = iota // commit, then process: at most once
	ProcessFirst             // process, then commit: at least once
	WithOutput               // the output keeps the highest processed offset: exactly once
)

// Modes returns all of them.
func Modes() []Mode { return []Mode{CommitFirst, ProcessFirst, WithOutput} }

func (m Mode) String() string {
	return [...]string{"commit-first", "process-first", "with-output"}[m]
}

// An Instant is a moment of the one clock that the whole history has, in
// nanoseconds.
type Instant int64

// An Offset is a place in a partition. NoOffset is none.
type Offset int64

// NoOffset is no offset.
const NoOffset Offset = -1

// A History is what happened.
type History struct {
	Groups []Group

	// Names are the partitions', as reports print them; nil prints numbers.
	Names []string

	// Records are the offsets that hold a record at the end, by partition, rising.
	// What was before the first of them may have been deleted.
	Records [][]Offset

	// Deletes says that old records are deleted: what is gone is owed to nobody.
	Deletes bool
}

// gone reports whether an offset may have been deleted.
func (h *History) gone(partition int32, at Offset) bool {
	if !h.Deletes || int(partition) >= len(h.Records) {
		return false
	}
	left := h.Records[partition]
	return len(left) == 0 || at < left[0]
}

// A Group is what happened to one group.
type Group struct {
	Name     string
	Mode     Mode
	Outputs  []Output
	Commits  []Commit
	Fetches  []Fetch
	Holdings []Holding

	Partitions []int32 // that it is to read; nil: all
}

// An Output is a record that the group's output held in the end, in the order in
// which it was put there.
type Output struct {
	Partition int32
	Offset    Offset
	By        string
}

// An Outcome is what a member knows of a commit.
type Outcome uint8

// The outcomes.
const (
	Unknown Outcome = iota // it may take effect, or may have
	Done
	Refused // it never took effect
)

// A Commit is an attempt to commit an offset.
type Commit struct {
	Member     string // with its incarnation
	Generation int32  // or member epoch
	Partition  int32
	Offset     Offset
	Invoked    Instant
	Returned   Instant // of an Unknown one: when it was given up
	Outcome    Outcome
}

// A Fetch is what a member was told of a committed offset.
type Fetch struct {
	Member    string
	Partition int32
	Offset    Offset // NoOffset: nothing is committed
	Invoked   Instant
	Returned  Instant
}

// A Holding is that a member was given a partition in a generation. A member is one
// membership: who was thrown out, and knows it, comes back as another.
type Holding struct {
	Member     string
	Generation int32
	Partition  int32
	From       Instant
	Until      Instant // when it gave the partition back, by its own account; 0: nobody told
}

// A Violation is a proof that a promise was broken.
type Violation struct {
	Guarantee Guarantee
	Sentence  string
	Events    []string
}

// A Report is the judges' conclusion.
type Report struct {
	Judged     []Guarantee // there was something to look at
	Checked    map[Guarantee]int
	Violations []Violation // the first of each group and guarantee

	Repeated, Missed int // records that were processed again, and never, of all groups
	Counts           []Count
}

// A Count is how often a group processed the records that it was owed, whatever it
// promised.
type Count struct {
	Group            string
	Mode             Mode
	Records          int
	Repeated, Missed int
	Repeat, Miss     string // the first of each, as a sentence
}

// Judge decides about every guarantee.
func Judge(h *History) Report {
	r := Report{Checked: map[Guarantee]int{}}
	for i := range h.Groups {
		g := &h.Groups[i]
		j := judgement{h: h, g: g, r: &r, n: Count{Group: g.Name, Mode: g.Mode}}
		j.deliveries()
		r.Counts = append(r.Counts, j.n)
		j.exclusive()
		j.forward()
	}
	broadcast(h, &r)
	return r
}

type judgement struct {
	h *History
	g *Group
	r *Report
	n Count
}

func (j *judgement) judged(g Guarantee) {
	if j.r.Checked[g]++; j.r.Checked[g] == 1 {
		j.r.Judged = append(j.r.Judged, g)
	}
}

// name returns a partition's.
func (j *judgement) name(p int32) string {
	if int(p) < len(j.h.Names) {
		return j.h.Names[p]
	}
	return fmt.Sprintf("partition %d", p)
}

// known reports whether the report has a violation of the group's.
func (j *judgement) known(g Guarantee) bool {
	return slices.ContainsFunc(j.r.Violations, func(v Violation) bool { return v.Guarantee == g && v.Events[0] == "group "+j.g.Name })
}

func (j *judgement) violated(g Guarantee, events []string, format string, args ...any) {
	if j.known(g) {
		return
	}
	j.r.Violations = append(j.r.Violations, Violation{
		Guarantee: g, Sentence: fmt.Sprintf("group %s: ", j.g.Name) + fmt.Sprintf(format, args...),
		Events: append([]string{"group " + j.g.Name}, events...),
	})
}
