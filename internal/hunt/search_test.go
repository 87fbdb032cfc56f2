package hunt

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const firstTen = 10 * time.Second

// drawn is the schedule of a seed of a system that never was.
func drawn(seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 1))
	var out []string
	for range 3 {
		family := []string{"crash", "pause", "cut"}[r.IntN(3)]
		out = append(out, fmt.Sprintf("%s node=n%d at=%s for=%s", family, 1+r.IntN(5),
			time.Duration(r.Int64N(int64(firstTen))), time.Duration(1+r.Int64N(int64(time.Second)))))
	}
	return out
}

// planted is what such a run reached. Its bug takes three faults of three nodes, and each
// of them shows a little.
func planted(t Trial) (r Reached, broken bool) {
	if r.Faults, r.Time = t.Faults, firstTen; t.Faults == nil {
		r.Faults = drawn(t.Seed)
	}
	steps := 0
	for _, part := range []string{"crash node=n3 ", "pause node=n4 ", "cut node=n5 "} {
		if slices.ContainsFunc(r.Faults, func(line string) bool { return strings.HasPrefix(line, part) }) {
			steps++
		}
	}
	for i := range steps {
		r.Features = append(r.Features, fmt.Sprintf("%d of three", i+1))
	}
	r.Features = append(r.Features, fmt.Sprintf("%d faults", len(r.Faults)))
	return r, steps == 3
}

func sure(Trial) bool { return true }

// runsUntilFound returns how many runs a search makes until it finds the planted bug.
func runsUntilFound(seed uint64, limit int) int {
	s := New(seed, 1+seed*1_000_000)
	for n := 1; n <= limit; n++ {
		trial := s.Next(sure)
		r, broken := planted(trial)
		if broken {
			return n
		}
		s.Learn(trial, r)
	}
	return limit
}

// What shows itself step by step is found in a fraction of the runs that fresh seeds take:
// one seed in about 560 has the three faults.
func TestWhatShowsItselfStepByStepIsFound(t *testing.T) {
	var guided, fresh []int
	for seed := range uint64(21) {
		guided = append(guided, runsUntilFound(seed, 5000))
		n := 1
		for n < 5000 {
			if _, broken := planted(Trial{Seed: 1 + seed*1_000_000 + uint64(n)}); broken {
				break
			}
			n++
		}
		fresh = append(fresh, n)
	}
	slices.Sort(guided)
	slices.Sort(fresh)
	t.Logf("guided %v\nfresh %v", guided, fresh)
	if guided[10]*3 > fresh[10] {
		t.Errorf("medians: %d runs guided, %d of fresh seeds", guided[10], fresh[10])
	}
}

// The same seed and the same answers are the same search.
func TestASearchIsAFunctionOfItsSeed(t *testing.T) {
	trials := func() (out []Trial) {
		s := New(7, 1)
		for range 300 {
			trial := s.Next(sure)
			r, _ := planted(trial)
			s.Learn(trial, r)
			out = append(out, trial)
		}
		return out
	}
	a, b := trials(), trials()
	changed := 0
	for i := range a {
		if a[i].Seed != b[i].Seed || !slices.Equal(a[i].Faults, b[i].Faults) {
			t.Fatalf("trial %d is %v, and %v", i, a[i], b[i])
		}
		if a[i].Faults != nil {
			changed++
		}
	}
	if changed < 150 {
		t.Errorf("%d of 300 trials are changed runs", changed)
	}
}

// Whose faults are within a budget keeps its seed, and its faults whom they strike.
func TestFaultsWithinABudgetStayWhoseTheyAre(t *testing.T) {
	const line = "rot node=n%d at=1s for=1s"
	s := New(1, 1)
	for i := range 5 {
		s.Learn(Trial{Seed: uint64(i)}, Reached{
			Faults: []string{fmt.Sprintf(line, i), fmt.Sprintf(line, i)}, Features: []string{fmt.Sprint(i)}, Time: firstTen, Bound: true,
		})
	}
	changed := 0
	for range 500 {
		trial := s.Next(sure)
		if trial.Faults != nil {
			changed++
		}
		for _, f := range trial.Faults {
			if !strings.HasPrefix(f, fmt.Sprintf("rot node=n%d ", trial.Seed)) || len(trial.Faults) > 2 {
				t.Fatalf("seed %d has %q", trial.Seed, trial.Faults)
			}
		}
	}
	if changed < 200 {
		t.Errorf("%d of 500 trials are changed runs", changed)
	}
}

// A run that tested nothing, or reached nothing new, is not changed.
func TestOnlyWhatReachedSomethingNewIsKept(t *testing.T) {
	s := New(1, 1)
	for _, c := range []struct {
		r      Reached
		unseen int
		kept   int
	}{
		{Reached{Features: []string{"a", "b"}}, 2, 1},
		{Reached{Features: []string{"b", "a"}}, 0, 1},
		{Reached{Features: []string{"c"}, Useless: true}, 1, 1},
		{Reached{Features: []string{"a", "d"}}, 1, 2},
	} {
		if unseen := s.Learn(Trial{}, c.r); len(unseen) != c.unseen || s.Kept() != c.kept {
			t.Errorf("%v: new are %v, and %d are kept", c.r, unseen, s.Kept())
		}
	}
	if s.Features() != 4 {
		t.Errorf("%d features", s.Features())
	}
}

// Whatever is refused, there is always a run to make.
func TestARefusedScheduleIsAFreshSeed(t *testing.T) {
	s := New(3, 10)
	for want := uint64(10); want < 60; want++ {
		trial := s.Next(func(Trial) bool { return false })
		if trial.Seed != want || trial.Faults != nil {
			t.Fatalf("%v, want seed %d", trial, want)
		}
		r, _ := planted(trial)
		s.Learn(trial, r)
	}
}

// Changed schedules begin while there is time, last for a while, and are not too many.
func TestChangesKeepSchedulesInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(rapid.Uint64().Draw(t, "seed"), 1)
		for range 200 {
			trial := s.Next(sure)
			r, _ := planted(trial)
			r.Features = append(r.Features, strings.Join(r.Faults, "|")) // keep everything
			s.Learn(trial, r)
			for _, f := range parse(r.Faults, firstTen) {
				at, ok := f.duration("at")
				lasts, lasting := f.duration("for")
				if !ok || at > firstTen || !lasting || lasts > firstTen/2 {
					t.Fatalf("%v", f)
				}
			}
			if len(r.Faults) > maxFaults {
				t.Fatalf("%d faults", len(r.Faults))
			}
		}
	})
}
