package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/internal/conformance/talk"
)

// What members tell, and what was sent and read back, is one history; and what goes
// wrong in it is seen.
func TestMeetingsAreJudged(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(m *talk.Member)
		want delivery.Guarantee // "": nothing is broken
	}{
		{"all is well", func(m *talk.Member) { tellAll(m, []int64{0, 1, 2}, nil) }, ""},
		{"a commit fails", func(m *talk.Member) { tellAll(m, []int64{0, 1, 2}, errors.New("no answer")) }, ""},
		{"out of touch, and back in the same generation", func(m *talk.Member) {
			tellAll(m, []int64{0, 1, 2}, nil)
			m.Lost()
			m.Joined("an id", 1)
			m.Assigned("t", 1, 1)
		}, ""},
		{"a record is missed", func(m *talk.Member) { tellAll(m, []int64{0, 2}, nil) }, delivery.AtLeastOnce},
		{"two have a partition", func(m *talk.Member) {
			tellAll(m, []int64{0, 1, 2}, nil)
			m.Joined("another", 1)
			m.Assigned("t", 1, 1)
		}, delivery.GroupExclusive},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "groups.jsonl")
			j, err := newJournal(file, []party{{name: "g"}}, []string{"t"})
			if err != nil {
				t.Fatal(err)
			}
			c.tell(&talk.Member{Group: "g", Name: "m", Say: func(line fmt.Stringer) {
				if _, err := talk.ParseEvent(line.String()); err != nil {
					t.Error(err)
				}
				if err := j.line(line.String()); err != nil {
					t.Error(err)
				}
			}})
			j.topic(&ordeal{topics: []*topic{told()}, records: 9}, 0)
			if err := errors.Join(j.flush(), j.out.Flush(), j.f.Close()); err != nil {
				t.Fatal(err)
			}
			judgeMeeting(t, file, c.want)
		})
	}
}

// tellAll has a member process offsets of each partition, and commit with an outcome.
func tellAll(m *talk.Member, offsets []int64, outcome error) {
	m.Joined("an id", 1)
	for p := range int32(partitions) {
		m.Assigned("t", p, 1)
		m.Processed("t", p, offsets)
		m.Committing("t", p, 1, 3)(outcome)
		m.Revoked("t", p)
	}
}

func judgeMeeting(t *testing.T, file string, want delivery.Guarantee) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f, err := history.DecodeFile(in, history.DefaultLimits, history.SendDefaults{})
	if err != nil {
		t.Fatal(err)
	}
	if r := checker.Judge(f.History, checker.Demands{Leaders: true}); r.Status() != checker.Held {
		t.Errorf("the topic: %s", &r)
	}
	h, missing := delivery.Recorded(f)
	r := delivery.Judge(h)
	if len(missing) > 0 || r.Checked[delivery.AtLeastOnce] != 9 || r.Checked[delivery.GroupExclusive] < partitions {
		t.Errorf("missing %v, checked %v", missing, r.Checked)
	}
	broken := slices.ContainsFunc(r.Violations, func(v delivery.Violation) bool { return v.Guarantee == want })
	if broken != (want != "") || want == "" && len(r.Violations) > 0 {
		t.Errorf("violations: %+v", r.Violations)
	}
}
