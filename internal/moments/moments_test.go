package moments

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// tries draws continuations that fail with a probability that depends on the instant,
// and counts them.
type tries struct {
	draws   *rand.Rand
	fails   func(Instant) float64
	made    int
	allowed int
	seen    map[[2]int64]bool
}

// mustBeNew panics if a continuation was tried before.
func (t *tries) mustBeNew(at Instant, number int) {
	if t.seen == nil {
		t.seen = map[[2]int64]bool{}
	}
	if key := [2]int64{int64(at), int64(number)}; number < 1 || t.seen[key] {
		panic("tried twice")
	} else {
		t.seen[key] = true
	}
}

var errEnough = errors.New("enough")

func (t *tries) try(at []Instant, first, each int) (hits []int, err error) {
	for _, at := range at {
		for n := range each {
			t.mustBeNew(at, first+n)
		}
		n := 0
		for range each {
			if t.allowed > 0 && t.made == t.allowed {
				return hits, errEnough
			}
			t.made++
			if t.draws.Float64() < t.fails(at) {
				n++
			}
		}
		hits = append(hits, n)
	}
	return hits, nil
}

const second = Instant(1e9)

var search = Search{End: 30 * second, Grid: 8, Each: 20, Resolution: second / 1000}

func step(at Instant, before, after float64) func(Instant) float64 {
	return func(t Instant) float64 {
		if t <= at {
			return before
		}
		return after
	}
}

// Of Wilson's intervals, some that can be looked up.
func TestIntervalsAreWilsons(t *testing.T) {
	for _, c := range []struct {
		hits, runs int
		low, high  float64
	}{
		{0, 20, 0, 0.1611}, {20, 20, 0.8389, 1}, {1, 20, 0.0089, 0.2361}, {10, 20, 0.2993, 0.7007}, {0, 0, 0, 1}, {1, 1, 0.2065, 1},
		{50, 100, 0.4038, 0.5962}, {95, 100, 0.8882, 0.9785}, {0, 1, 0, 0.7935},
	} {
		low, high := (Moment{Runs: c.runs, Hits: c.hits}).Interval()
		if math.Abs(low-c.low) > 1e-4 || math.Abs(high-c.high) > 1e-4 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.hits, c.runs, low, high, c.low, c.high)
		}
	}
}

// An interval holds the share that was seen, and the true one about as often as it says.
func TestIntervalsHoldTheTruth(t *testing.T) {
	draws := rand.New(rand.NewPCG(1, 2))
	const rounds = 4000
	for _, p := range []float64{0.02, 0.1, 0.5, 0.9} {
		held := 0
		for range rounds {
			m := Moment{Runs: 40}
			for range m.Runs {
				if draws.Float64() < p {
					m.Hits++
				}
			}
			low, high := m.Interval()
			if s := m.Share(); s < low || s > high {
				t.Fatalf("%d of %d is not between %f and %f", m.Hits, m.Runs, low, high)
			}
			if low <= p && p <= high {
				held++
			}
		}
		if share := float64(held) / rounds; share < 0.92 || share > 0.99 {
			t.Errorf("the intervals of %.2f hold it in %.3f of all rounds, want about 0.95", p, share)
		}
	}
}

// A failure that is decided at one instant is found there, whatever it was before.
func TestAStepIsFound(t *testing.T) {
	for _, before := range []float64{0, 0.05, 0.2} {
		for _, at := range []Instant{0, 1, 3 * second, 12_345_678_901, 30*second - 2} {
			missed := 0
			for seed := range uint64(20) {
				tries := &tries{draws: rand.New(rand.NewPCG(seed, 0)), fails: step(at, before, 1)}
				f, err := Find(search, tries.try)
				if err != nil {
					t.Fatal(err)
				}
				if f.Before.At > at || f.After.At <= at || !f.Sharp(search) {
					missed++
				}
				if f.Open.At > at || f.Decided.At <= at || f.Decided.At-f.Open.At > search.Resolution {
					t.Errorf("decided from %d to %d, want %d", f.Open.At, f.Decided.At, at)
				}
				if tries.made > 45*search.Each {
					t.Errorf("%d continuations were tried", tries.made)
				}
			}
			if missed > 1 { // by chance, as a step from 0.2 to 1 can look otherwise
				t.Errorf("step from %.2f at %d: missed %d times of 20", before, at, missed)
			}
		}
	}
}

// Both of two steps have moments close to them, and the second is where it became likely.
func TestTwoStepsAreFound(t *testing.T) {
	const first, second_ = 4_000_000_001, 21_000_000_001
	tries := &tries{draws: rand.New(rand.NewPCG(5, 0)), fails: func(t Instant) float64 {
		return 0.4*step(first, 0, 1)(t) + 0.6*step(second_, 0, 1)(t)
	}}
	s := search
	s.Each = 60
	f, err := Find(s, tries.try)
	if err != nil || f.Before.At > second_ || f.After.At <= second_ || !f.Sharp(s) {
		t.Errorf("%+v and %+v, %v", f.Before, f.After, err)
	}
	near := 0
	for _, m := range f.Moments {
		if d := m.At - first; d > -10*s.Resolution && d < 10*s.Resolution {
			near++
		}
	}
	if near < 2 {
		t.Errorf("the first step was not looked at: %+v", f.Moments)
	}
}

// What was likely long before it was decided is told apart from it.
func TestWhereItWasDecidedIsFound(t *testing.T) {
	const likely, decided = 4_000_000_001, 21_000_000_001
	missed := 0
	for seed := range uint64(20) {
		tries := &tries{draws: rand.New(rand.NewPCG(seed, 0)), fails: func(t Instant) float64 {
			return 0.8*step(likely, 0, 1)(t) + 0.2*step(decided, 0, 1)(t)
		}}
		f, err := Find(search, tries.try)
		if err != nil || f.Before.At > likely || f.After.At <= likely {
			t.Errorf("likely from %d to %d, %v", f.Before.At, f.After.At, err)
		}
		if f.Open.At > decided {
			t.Errorf("from %d on a continuation held", f.Open.At)
		}
		if f.Decided.At <= decided {
			missed++
		}
	}
	if missed > 0 { // all of 80 failed, with 0.8 each
		t.Errorf("decided too early %d times of 20", missed)
	}
}

// What grows slowly became likely at no single moment.
func TestASlopeIsNotSharp(t *testing.T) {
	for seed := range uint64(10) {
		tries := &tries{draws: rand.New(rand.NewPCG(seed, 0)), fails: func(t Instant) float64 { return float64(t) / float64(search.End) }}
		f, err := Find(search, tries.try)
		if err != nil || f.Sharp(search) || f.Before.At < 4*second || f.After.At > 26*second {
			t.Errorf("%+v to %+v, %v", f.Before, f.After, err)
		}
	}
}

// A failure that the run's faults make certain was likely from the beginning on.
func TestWhatAlwaysFailsWasLikelyFromTheBeginningOn(t *testing.T) {
	tries := &tries{draws: rand.New(rand.NewPCG(1, 0)), fails: step(0, 1, 1)}
	f, err := Find(search, tries.try)
	if err != nil || f.Before != f.After || f.Open != f.Decided || f.After.At != 0 || f.Sharp(search) || tries.made != search.Grid*search.Each {
		t.Errorf("%+v, %v, %d tries", f, err, tries.made)
	}
}

// With an error what was found so far is told.
func TestASearchThatEndsEarlyTellsWhatItKnows(t *testing.T) {
	for _, allowed := range []int{1, search.Each, search.Grid*search.Each - 1, search.Grid * search.Each, search.Grid*search.Each + search.Each} {
		tries := &tries{draws: rand.New(rand.NewPCG(1, 0)), fails: step(7*second, 0, 1), allowed: allowed}
		f, err := Find(search, tries.try)
		if !errors.Is(err, errEnough) || len(f.Moments) != 1+allowed/search.Each {
			t.Errorf("after %d: %d moments, %v", allowed, len(f.Moments), err)
		}
	}
}

func TestFindIsWellBehaved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Search{
			End: Instant(rapid.Int64Range(1, 1e12).Draw(t, "end")), Grid: rapid.IntRange(1, 20).Draw(t, "grid"),
			Each: rapid.IntRange(1, 40).Draw(t, "each"), Resolution: Instant(rapid.Int64Range(1, 1e9).Draw(t, "resolution")),
		}
		at := Instant(rapid.Int64Range(0, int64(s.End)).Draw(t, "step"))
		low, high := rapid.Float64Range(0, 1).Draw(t, "before"), rapid.Float64Range(0, 1).Draw(t, "after")
		tries := &tries{draws: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), fails: step(at, low, high), allowed: 20_000}
		f, err := Find(s, tries.try)
		if err != nil && !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		for i, m := range f.Moments {
			if i > 0 && f.Moments[i-1].At >= m.At || m.Hits > m.Runs {
				t.Fatalf("%+v", f.Moments)
			}
		}
		if last := f.Moments[len(f.Moments)-1]; last.At != s.End || last.Share() != 1 {
			t.Fatalf("the end is %+v", last)
		}
		if f.Before.At > f.After.At || f.Before != f.After && (f.Before.likely() || !f.After.likely()) {
			t.Fatalf("%+v to %+v", f.Before, f.After)
		}
		if f.Open.At > f.Decided.At || f.Open != f.Decided && f.Open.Hits == f.Open.Runs || err == nil && f.Decided.At-f.Open.At > s.Resolution {
			t.Fatalf("open at %+v, decided at %+v", f.Open, f.Decided)
		}
	})
}

// Moments are multiples of the resolution, which people can read and write, but for the
// run's end.
func TestMomentsAreRound(t *testing.T) {
	for _, s := range []Search{
		{End: 24_179_808_040, Grid: 8, Each: 20, Resolution: 1_000_000}, {End: 1_999_999_999, Grid: 8, Each: 10, Resolution: 1_000_000_000},
		{End: 777, Grid: 8, Each: 10, Resolution: 1}, {End: 5, Grid: 8, Each: 10, Resolution: 7},
	} {
		for at := s.End / 7; at < s.End; at += s.End/7 + 1 {
			tries := &tries{draws: rand.New(rand.NewPCG(uint64(at), 0)), fails: step(at, 0, 1)}
			f, err := Find(s, tries.try)
			if err != nil || f.Open.At > at || f.Decided.At <= at || f.Decided.At-f.Open.At > s.Resolution {
				t.Errorf("%+v: decided from %d to %d, want %d; %v", s, f.Open.At, f.Decided.At, at, err)
			}
			for _, m := range f.Moments {
				if m.At%s.Resolution != 0 && m.At != s.End {
					t.Errorf("%+v: a moment at %d", s, m.At)
				}
			}
		}
	}
}
