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

// A system answers for runs of a system that never was, which can all be made.
type system struct {
	draft func(seed uint64) Draft
	made  func(Trial) (r Reached, broken bool)
}

func (s system) Draft(seed uint64) Draft { return s.draft(seed) }
func (system) Acceptable(Trial) bool     { return true }

// plantedSystem has a bug that takes three faults.
var plantedSystem = system{
	draft: func(seed uint64) Draft { return Draft{Faults: drawn(seed), Time: firstTen} },
	made:  planted,
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
		r.Features = append(r.Features, Feature{Name: fmt.Sprintf("%d of three", i+1)})
	}
	r.Features = append(r.Features, Feature{Name: fmt.Sprintf("%d faults", len(r.Faults))})
	return r, steps == 3
}

// runsUntilFound returns how many runs a search makes until it finds what is planted.
func runsUntilFound(sys system, seed uint64, limit int) int {
	s := New(seed, 1+seed*1_000_000)
	for n := 1; n <= limit; n++ {
		trial := s.Next(sys)
		r, broken := sys.made(trial)
		if broken {
			return n
		}
		s.Learn(trial, r)
	}
	return limit
}

// medians returns how many runs it takes to find what is planted, with a search and with
// fresh seeds.
func medians(t *testing.T, sys system, limit int) (guided, fresh int) {
	t.Helper()
	var led, plain []int
	for seed := range uint64(41) {
		led = append(led, runsUntilFound(sys, seed, limit))
		n := 1
		for n < limit {
			if _, broken := sys.made(Trial{Seed: 1 + seed*1_000_000 + uint64(n)}); broken {
				break
			}
			n++
		}
		plain = append(plain, n)
	}
	slices.Sort(led)
	slices.Sort(plain)
	t.Logf("medians: %d guided %v\n%d fresh %v", led[20], led, plain[20], plain)
	return led[20], plain[20]
}

// What shows itself step by step is found in a fraction of the runs that fresh seeds take:
// one seed in about 560 has the three faults.
func TestWhatShowsItselfStepByStepIsFound(t *testing.T) {
	if guided, fresh := medians(t, plantedSystem, 5000); guided*3 > fresh {
		t.Errorf("medians: %d runs guided, %d of fresh seeds", guided, fresh)
	}
}

// The same seed and the same answers are the same search.
func TestASearchIsAFunctionOfItsSeed(t *testing.T) {
	trials := func() (out []Trial) {
		s := New(7, 1)
		for range 300 {
			trial := s.Next(plantedSystem)
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
	if changed < 120 {
		t.Errorf("%d of 300 trials are changed runs", changed)
	}
}

// Whose faults are within a budget keeps its seed, and its faults whom they strike.
func TestFaultsWithinABudgetStayWhoseTheyAre(t *testing.T) {
	bound := func(seed uint64) Draft {
		line := fmt.Sprintf("rot node=n%d at=1s for=1s", seed)
		return Draft{Faults: []string{line, line}, Time: firstTen, Bound: true}
	}
	s := New(1, 1)
	for i := range uint64(freshRuns) {
		s.Learn(Trial{Seed: i}, Reached{Draft: bound(i), Features: named(fmt.Sprint(i))})
	}
	changed := 0
	for range 500 {
		trial := s.Next(system{draft: bound})
		if trial.Faults != nil {
			changed++
		}
		for _, f := range trial.Faults {
			if !strings.HasPrefix(f, fmt.Sprintf("rot node=n%d ", trial.Seed)) || len(trial.Faults) > 2 {
				t.Fatalf("seed %d has %q", trial.Seed, trial.Faults)
			}
		}
	}
	if changed < 150 {
		t.Errorf("%d of 500 trials are changed runs", changed)
	}
}

func named(names ...string) (out []Feature) {
	for _, name := range names {
		out = append(out, Feature{Name: name})
	}
	return out
}

// A run that tested nothing, or reached nothing new, is not changed.
func TestOnlyWhatReachedSomethingNewIsKept(t *testing.T) {
	s := New(1, 1)
	for _, c := range []struct {
		r      Reached
		unseen int
		kept   int
	}{
		{Reached{Features: named("a", "b")}, 2, 1},
		{Reached{Features: named("b", "a")}, 0, 1},
		{Reached{Features: named("c"), Useless: true}, 1, 1},
		{Reached{Features: named("a", "d")}, 1, 2},
	} {
		if unseen := s.Learn(Trial{}, c.r); len(unseen) != c.unseen || s.Kept() != c.kept {
			t.Errorf("%v: new are %v, and %d are kept", c.r, unseen, s.Kept())
		}
	}
	if s.Features() != 4 {
		t.Errorf("%d features", s.Features())
	}
}

// A refusing one makes what seeds draw, and nothing else.
type refusing struct{ system }

func (refusing) Acceptable(Trial) bool { return false }

// Whatever is refused, there is always a run to make.
func TestARefusedScheduleIsASeedAsItIs(t *testing.T) {
	s := New(3, 10)
	for range 50 {
		trial := s.Next(refusing{plantedSystem})
		if trial.Faults != nil || trial.Luck.Number != 0 {
			t.Fatalf("%v", trial)
		}
		r, _ := planted(trial)
		s.Learn(trial, r)
	}
}

// Changed schedules begin while there is time, last for a while, and are not too many.
func TestChangesKeepSchedulesInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(rapid.Uint64().Draw(t, "seed"), 1)
		for range 60 {
			trial := s.Next(plantedSystem)
			r, _ := planted(trial)
			r.Features = append(r.Features, Feature{Name: strings.Join(r.Faults, "|")}) // keep everything
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
