package shrink

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// firstOf makes a test of what decides about one candidate, and counts how many it was
// asked about.
func firstOf[T any](shows func(T) bool, tried *int) Test[T] {
	return func(candidates []T) (int, error) {
		for i, c := range candidates {
			*tried++
			if shows(c) {
				return i, nil
			}
		}
		return -1, nil
	}
}

// What is left shows it, is a part of what there was in the same order, and lacks
// nothing that can be left out.
func TestNothingThatIsLeftCanBeLeftOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "elements")
		needed := rapid.SliceOfN(rapid.SliceOfNDistinct(rapid.IntRange(0, 40), 0, 4, rapid.ID), 1, 3).Draw(t, "sets of which one has to be there")
		shows := func(list []int) bool {
			return slices.ContainsFunc(needed, func(set []int) bool {
				return !slices.ContainsFunc(set, func(e int) bool { return !slices.Contains(list, e) })
			})
		}
		var all []int
		for i := range n {
			all = append(all, i)
		}
		if !shows(all) {
			return
		}
		tried, told := 0, all
		left, err := List(all, firstOf(shows, &tried), func(l []int) { told = l })
		if err != nil || !shows(left) || !slices.IsSorted(left) || !slices.Equal(told, left) {
			t.Fatalf("left %v (%v), told of %v", left, err, told)
		}
		for i := range left {
			if less := slices.Delete(slices.Clone(left), i, i+1); shows(less) {
				t.Fatalf("of %v element %d is not needed", left, left[i])
			}
		}
		if most := n*n + 4*n + 1; tried > most {
			t.Fatalf("%d tries for %d elements", tried, n)
		}
	})
}

// Two faults of a schedule of sixteen are found in few runs.
func TestFewTriesForFewElements(t *testing.T) {
	all := make([]int, 16)
	for i := range all {
		all[i] = i
	}
	tried := 0
	left, err := List(all, firstOf(func(l []int) bool { return slices.Contains(l, 3) && slices.Contains(l, 12) }, &tried), func([]int) {})
	if err != nil || !slices.Equal(left, []int{3, 12}) || tried > 40 {
		t.Errorf("%v after %d tries, %v", left, tried, err)
	}
}

func TestANumberIsMadeSmaller(t *testing.T) {
	for _, c := range []struct {
		low, high, want int
		shows           func(int) bool
	}{
		{1, 1000, 1, func(int) bool { return true }},
		{1, 1000, 1000, func(n int) bool { return n == 1000 }},
		{1, 1000, 40, func(n int) bool { return n >= 40 }},
		{5, 5, 5, func(int) bool { return true }},
		{1, 9, 5, func(n int) bool { return n%4 == 1 && n > 1 }},
	} {
		tried := 0
		got, err := Number(c.low, c.high, firstOf(c.shows, &tried), func(int) {})
		if err != nil || !c.shows(got) || got > 2*c.want || tried > 40 {
			t.Errorf("from %d to %d: %d after %d tries, want about %d, %v", c.low, c.high, got, tried, c.want, err)
		}
	}
}

// What was found before the time was up is not lost.
func TestTheBestSoFarIsKept(t *testing.T) {
	over := errors.New("time is up")
	asked := 0
	left, err := List([]int{1, 2, 3, 4}, func(candidates [][]int) (int, error) {
		if asked++; asked > 2 {
			return 0, over
		}
		return slices.IndexFunc(candidates, func(l []int) bool { return slices.Contains(l, 4) }), nil
	}, func([]int) {})
	if !errors.Is(err, over) || !slices.Equal(left, []int{3, 4}) {
		t.Errorf("%v, %v", left, err)
	}
	n, err := Number(0, 100, func([]int) (int, error) { return 0, over }, func(int) {})
	if n != 100 || !errors.Is(err, over) {
		t.Errorf("%d, %v", n, err)
	}
}
