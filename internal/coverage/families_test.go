package coverage

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func checkFamilies(t *testing.T, f *Families, alone []Family, pairs []Pair) {
	t.Helper()
	if diff := cmp.Diff(alone, f.Alone()); diff != "" {
		t.Errorf("alone: %s", diff)
	}
	if diff := cmp.Diff(pairs, f.Pairs()); diff != "" {
		t.Errorf("in pairs: %s", diff)
	}
}

func TestFamiliesAreCountedAloneAndInPairs(t *testing.T) {
	var f Families
	f.Expect([]string{"rot", "crash", "pause"})
	f.Add([]string{"pause", "crash", "crash"}, []string{"crash"})
	f.Add([]string{"crash", "pause"}, []string{"pause", "crash"})
	f.Add(nil, nil)
	checkFamilies(t, &f,
		[]Family{{"crash", 2, 2}, {"pause", 2, 1}, {"rot", 0, 0}},
		[]Pair{{[2]string{"crash", "pause"}, 2, 1}, {[2]string{"crash", "rot"}, 0, 0}, {[2]string{"pause", "rot"}, 0, 0}})
}

// What nobody expected counts, too, and what took effect was there.
func TestUnexpectedFamiliesCount(t *testing.T) {
	var f Families
	f.Add([]string{"crash"}, []string{"disk-empty"})
	checkFamilies(t, &f,
		[]Family{{"crash", 1, 0}, {"disk-empty", 1, 1}},
		[]Pair{{[2]string{"crash", "disk-empty"}, 1, 0}})
}

// Two families that no scenario may have at once are no pair.
func TestPairsAreOfOneScenario(t *testing.T) {
	var f Families
	f.Expect([]string{"crash"})
	f.Expect([]string{"pause"})
	checkFamilies(t, &f, []Family{{"crash", 0, 0}, {"pause", 0, 0}}, []Pair{})
}
