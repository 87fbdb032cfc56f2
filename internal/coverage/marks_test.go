package coverage

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestMarksAreCountedByRuns(t *testing.T) {
	runs := []Run{{7, "crash 7"}, {3, "pause 3"}, {3, "crash 3"}}
	for range runs { // in any order
		var m Marks
		m.Expect("a tail was torn", Rare)
		m.Expect("nobody answered", Expected)
		m.Expect("somebody waited", Expected)
		for _, r := range runs {
			m.Add(r, "somebody waited", r.Number)
			m.Add(r, "it was full", 1)
			m.Add(r, "nobody answered", 0)
		}
		want := []Mark{
			{Name: "a tail was torn", Expected: Rare},
			{Name: "it was full", Runs: 3, Times: 3, First: "crash 3"},
			{Name: "nobody answered", Expected: Expected},
			{Name: "somebody waited", Expected: Expected, Runs: 3, Times: 13, First: "crash 3"},
		}
		if diff := cmp.Diff(want, m.All(), cmpopts.IgnoreUnexported(Mark{})); diff != "" {
			t.Error(diff)
		}
		if got := m.Unreached(Expected); !slices.Equal(got, []string{"nobody answered"}) {
			t.Errorf("unreached: %q", got)
		}
		if got := m.Unreached(Rare); !slices.Equal(got, []string{"a tail was torn"}) {
			t.Errorf("rare and unreached: %q", got)
		}
		runs = append(runs[1:], runs[0])
	}
}
