package delivery

import (
	"slices"
	"testing"
)

// group returns a group of a mode whose output has the offsets 0, 1, 2 of partition
// 0, committed in one go.
func group(mode Mode) *History {
	g := Group{Name: "g", Mode: mode}
	for at := range Offset(3) {
		g.Outputs = append(g.Outputs, Output{Offset: at, By: "w1"})
	}
	g.Holdings = []Holding{{Member: "w1", Generation: 1, From: 1}}
	g.Commits = []Commit{{Member: "w1", Generation: 1, Offset: 3, Invoked: 10, Returned: 20, Outcome: Done}}
	g.Fetches = []Fetch{{Member: "w1", Offset: NoOffset, Invoked: 2, Returned: 3}, {Member: "w2", Offset: 3, Invoked: 30, Returned: 31}}
	return &History{Groups: []Group{g}, Records: [][]Offset{{0, 1, 2}, {}}}
}

// late has a member told an offset of which the commit's outcome is not known, though
// one behind it was committed since.
func late(g *Group) {
	g.Commits = append(g.Commits, Commit{Member: "w1", Generation: 1, Offset: 2, Invoked: 5, Returned: 6})
	g.Fetches[1].Offset = 2
}

// goneOn has one told what was committed after such a commit had come late: from 0,
// and forward to 1, while 3 was committed before.
func goneOn(g *Group) {
	g.Commits = append(g.Commits, Commit{Member: "w1", Generation: 1, Offset: 0, Invoked: 5, Returned: 6},
		Commit{Member: "w2", Generation: 2, Offset: 1, Invoked: 25, Returned: 26, Outcome: Done})
	g.Fetches[1].Offset = 1
}

func TestWhatIsBrokenIsNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		mode Mode
		do   func(*Group)
		want Guarantee // "": nothing is broken
	}{
		{"all is well, commit first", CommitFirst, func(*Group) {}, ""},
		{"all is well, process first", ProcessFirst, func(*Group) {}, ""},
		{"all is well, with the output", WithOutput, func(*Group) {}, ""},
		{"commit first may miss", CommitFirst, func(g *Group) { g.Outputs = g.Outputs[1:] }, ""},
		{"commit first may not repeat", CommitFirst, func(g *Group) { g.Outputs = append(g.Outputs, g.Outputs[1]) }, AtMostOnce},
		{"process first may repeat", ProcessFirst, func(g *Group) { g.Outputs = append(g.Outputs, g.Outputs[1]) }, ""},
		{"process first may not miss", ProcessFirst, func(g *Group) { g.Outputs = g.Outputs[:2] }, AtLeastOnce},
		{"the output may not miss", WithOutput, func(g *Group) { g.Outputs = g.Outputs[1:] }, ExactlyOnce},
		{"the output may not repeat", WithOutput, func(g *Group) { g.Outputs = append(g.Outputs, g.Outputs[2]) }, ExactlyOnce},
		{"what is not there cannot be processed", ProcessFirst, func(g *Group) { g.Outputs = append(g.Outputs, Output{Offset: 7}) }, GroupBroadcast},
		{"two have one partition", ProcessFirst, func(g *Group) {
			g.Holdings = append(g.Holdings, Holding{Member: "w2", Generation: 1, From: 5})
		}, GroupExclusive},
		{"in another generation it is another's", ProcessFirst, func(g *Group) {
			g.Holdings = append(g.Holdings, Holding{Member: "w2", Generation: 2, From: 25})
		}, ""},
		{"it commits what is another's", ProcessFirst, func(g *Group) {
			g.Holdings = append(g.Holdings, Holding{Member: "w2", Generation: 2, From: 5})
		}, GroupExclusive},
		{"it commits what is another's in that generation", ProcessFirst, func(g *Group) {
			g.Holdings[0].Member = "w2"
		}, GroupExclusive},
		{"it wants to, and is refused", ProcessFirst, func(g *Group) {
			g.Commits = append(g.Commits, Commit{Member: "w2", Generation: 1, Offset: 2, Invoked: 21, Returned: 22, Outcome: Refused})
		}, ""},
		{"it commits what is nobody's in that generation", ProcessFirst, func(g *Group) {
			g.Holdings = append(g.Holdings, Holding{Member: "w2", Generation: 3, From: 25})
			g.Commits = append(g.Commits, Commit{Member: "w1", Generation: 2, Offset: 3, Invoked: 21, Returned: 22, Outcome: Done})
		}, ""},
		{"its commit was under way", ProcessFirst, func(g *Group) {
			g.Holdings = append(g.Holdings, Holding{Member: "w2", Generation: 2, From: 15})
		}, ""},
		{"two have it at once", ProcessFirst, func(g *Group) {
			g.Holdings[0].Until = 30
			g.Holdings = append(g.Holdings, Holding{Member: "w2", Generation: 2, From: 25})
			g.Commits = append(g.Commits, Commit{Member: "w1", Generation: 2, Partition: 1, Offset: 9, Invoked: 40, Returned: 41, Outcome: Done})
		}, GroupExclusive},
		{"one has it, and gives it back first", ProcessFirst, func(g *Group) {
			g.Holdings[0].Until = 24
			g.Holdings = append(g.Holdings, Holding{Member: "w2", Generation: 2, From: 25})
			g.Commits = append(g.Commits, Commit{Member: "w1", Generation: 2, Partition: 1, Offset: 9, Invoked: 40, Returned: 41, Outcome: Done})
		}, ""},
		{"one was thrown out and did not know", ProcessFirst, func(g *Group) {
			g.Holdings[0].Until = 30
			g.Holdings = append(g.Holdings, Holding{Member: "w2", Generation: 2, From: 25})
			g.Commits = append(g.Commits, Commit{Member: "w1", Generation: 1, Partition: 1, Offset: 9, Invoked: 40, Returned: 41, Outcome: Refused})
		}, ""},
		{"a zombie commits", ProcessFirst, func(g *Group) {
			g.Commits = append(g.Commits, Commit{Member: "w2", Generation: 2, Offset: 3, Invoked: 25, Returned: 26, Outcome: Done},
				Commit{Member: "w1", Generation: 1, Offset: 3, Invoked: 27, Returned: 28, Outcome: Done})
		}, GroupExclusive},
		{"a zombie is refused", ProcessFirst, func(g *Group) {
			g.Commits = append(g.Commits, Commit{Member: "w2", Generation: 2, Offset: 3, Invoked: 25, Returned: 26, Outcome: Done},
				Commit{Member: "w1", Generation: 1, Offset: 2, Invoked: 27, Returned: 28, Outcome: Refused})
		}, ""},
		{"a commit is lost", ProcessFirst, func(g *Group) { g.Fetches[1].Offset = NoOffset }, CommitForward},
		{"an older one is told", ProcessFirst, func(g *Group) {
			g.Commits = append(g.Commits, Commit{Member: "w1", Generation: 1, Offset: 2, Invoked: 5, Returned: 6, Outcome: Done})
			g.Fetches[1].Offset = 2
		}, CommitForward},
		{"one that nobody made is told", ProcessFirst, func(g *Group) { g.Fetches[1].Offset = 4 }, CommitForward},
		{"one that was refused is told", ProcessFirst, func(g *Group) {
			g.Commits = append(g.Commits, Commit{Member: "w1", Generation: 1, Offset: 4, Invoked: 21, Returned: 22, Outcome: Refused})
			g.Fetches[1].Offset = 4
		}, CommitForward},
		{"one of unknown outcome may be told", ProcessFirst, func(g *Group) {
			g.Commits = append(g.Commits, Commit{Member: "w1", Generation: 1, Offset: 4, Invoked: 21, Returned: 22})
			g.Fetches[1].Offset = 4
		}, ""},
		{"one of unknown outcome may come late", ProcessFirst, late, ""},
		{"with the output, too", WithOutput, late, ""},
		{"but not where that processes again", CommitFirst, late, CommitForward},
		{"one of unknown outcome is told before it was made", ProcessFirst, func(g *Group) {
			late(g)
			g.Commits[1].Invoked = 31
		}, CommitForward},
		{"one that was refused comes late", ProcessFirst, func(g *Group) {
			late(g)
			g.Commits[1].Outcome = Refused
		}, CommitForward},
		{"a member goes on from one that came late", ProcessFirst, goneOn, ""},
		{"and commits forward from there", ProcessFirst, func(g *Group) {
			goneOn(g)
			g.Commits = append(g.Commits, Commit{Member: "w2", Generation: 2, Offset: 2, Invoked: 27, Returned: 28, Outcome: Done})
		}, CommitForward},
		{"not if it was made before", ProcessFirst, func(g *Group) {
			goneOn(g)
			g.Commits[2].Invoked = 15
		}, CommitForward},
		{"nor from below what came late", ProcessFirst, func(g *Group) {
			goneOn(g)
			g.Commits[1].Offset = 2
		}, CommitForward},
		{"nor where that processes again", CommitFirst, goneOn, CommitForward},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := group(c.mode)
			c.do(&h.Groups[0])
			r := Judge(h)
			if c.want == "" {
				if len(r.Violations) > 0 {
					t.Fatalf("complains: %+v", r.Violations)
				}
				return
			}
			if len(r.Violations) != 1 || r.Violations[0].Guarantee != c.want || len(r.Violations[0].Events) == 0 {
				t.Fatalf("violations: %+v, want one of %s", r.Violations, c.want)
			}
		})
	}
}

// Silence is not enough: what was looked at is told, and what each mode may do is
// counted.
func TestWhatWasJudgedIsTold(t *testing.T) {
	h := group(ProcessFirst)
	h.Groups[0].Outputs = append(h.Groups[0].Outputs, h.Groups[0].Outputs[0])
	r := Judge(h)
	if want := []Guarantee{AtLeastOnce, GroupExclusive, CommitForward}; !slices.Equal(r.Judged, want) {
		t.Errorf("judged %v, want %v", r.Judged, want)
	}
	if r.Repeated != 1 || r.Missed != 0 {
		t.Errorf("%d repeated, %d missed", r.Repeated, r.Missed)
	}
	want := Count{Group: "g", Mode: ProcessFirst, Records: 3, Repeated: 1, Repeat: "offset 0 of partition 0 was processed 2 times"}
	if len(r.Counts) != 1 || r.Counts[0] != want {
		t.Errorf("%+v, want %+v", r.Counts, want)
	}
	h.Groups[0].Outputs = h.Groups[0].Outputs[2:3] // 2 alone
	want = Count{Group: "g", Mode: ProcessFirst, Records: 3, Missed: 2, Miss: "offset 0 of partition 0 was never processed"}
	if r = Judge(h); len(r.Counts) != 1 || r.Counts[0] != want || r.Missed != 2 {
		t.Errorf("%+v, want %+v", r.Counts, want)
	}
	if r := Judge(&History{Groups: []Group{{Name: "idle"}}}); len(r.Judged) > 0 || len(r.Violations) > 0 {
		t.Errorf("of nothing: %+v", r)
	}
}

// What one group got every group gets, but for those that may miss some.
func TestEveryGroupGetsEveryRecord(t *testing.T) {
	for _, c := range []struct {
		name string
		mode Mode
		has  int // of three records
		want bool
	}{
		{"all of it", ProcessFirst, 3, false},
		{"not all of it", ProcessFirst, 2, true},
		{"nothing, with the output", WithOutput, 0, true},
		{"not all of it, and may miss some", CommitFirst, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := group(CommitFirst)
			other := group(c.mode).Groups[0]
			other.Name, other.Outputs = "h", other.Outputs[:c.has]
			h.Groups = append(h.Groups, other)
			r := Judge(h)
			said := slices.ContainsFunc(r.Violations, func(v Violation) bool { return v.Guarantee == GroupBroadcast })
			if said != c.want {
				t.Errorf("violations: %+v", r.Violations)
			}
			if judged := slices.Contains(r.Judged, GroupBroadcast); judged != (c.mode != CommitFirst) {
				t.Errorf("judged: %v", r.Judged)
			}
		})
	}
}

// What was deleted before everybody had it is owed to nobody; what is left is.
func TestWhatWasDeletedIsOwedToNobody(t *testing.T) {
	h := group(ProcessFirst)
	h.Records, h.Deletes = [][]Offset{{2}}, true
	if r := Judge(h); len(r.Violations) > 0 {
		t.Errorf("of records that were processed, and deleted then: %+v", r.Violations)
	}
	other := h.Groups[0]
	other.Name, other.Outputs = "h", other.Outputs[2:]
	h.Groups = append(h.Groups, other)
	if r := Judge(h); len(r.Violations) > 0 {
		t.Errorf("of records that were deleted before a group had them: %+v", r.Violations)
	}
	h.Groups[1].Outputs = nil
	if r := Judge(h); len(r.Violations) != 2 {
		t.Errorf("of a record that is left, and was not processed: %+v", r.Violations)
	}
}

// A partition that came late may have no records in the history.
func TestPartitionsWithoutRecordsAreJudged(t *testing.T) {
	h := History{Records: [][]Offset{{0}}, Groups: []Group{{
		Name: "g", Mode: ProcessFirst, Outputs: []Output{{By: "a"}},
		Holdings: []Holding{{Member: "a", Generation: 1, Partition: 3, From: 1}, {Member: "b", Generation: 1, Partition: 3, From: 2}},
		Commits:  []Commit{{Member: "a", Generation: 1, Partition: 4, Offset: 2, Invoked: 3, Returned: 4, Outcome: Done}},
		Fetches:  []Fetch{{Member: "a", Partition: 5, Offset: NoOffset, Invoked: 1, Returned: 2}},
	}}}
	r := Judge(&h)
	if len(r.Violations) != 1 || r.Violations[0].Guarantee != GroupExclusive {
		t.Errorf("%+v", r.Violations)
	}
}
