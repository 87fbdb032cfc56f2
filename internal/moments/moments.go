// Package moments finds from when on a failure of a run became likely.
//
// It decides from which instants of the run other continuations are tried, and knows
// nothing of what is tried: whoever asks makes them, and counts how many fail as the run
// did. It is pure but for the trials that it is given.
//
// What it shows is the probability of the failure, given everything that had happened in
// the run until an instant. It is 1 in the end, as the run did fail. It may rise and
// fall on the way there, at once or slowly.
package moments

import (
	"cmp"
	"math"
	"slices"
)

// An Instant is a point of the run's time, in nanoseconds since it began.
type Instant int64

// A Moment is an instant, and what came of the continuations that were tried from it.
type Moment struct {
	At   Instant
	Runs int // that were tried
	Hits int // of them, that failed as the run did
}

// Share returns which part of the continuations failed.
func (m Moment) Share() float64 {
	if m.Runs == 0 {
		return 0
	}
	return float64(m.Hits) / float64(m.Runs)
}

// z is how many standard deviations to each side hold 95 % of a normal distribution.
const z = 1.959963984540054

// Interval returns Wilson's 95 % confidence interval of the probability that a
// continuation fails (E. B. Wilson, Probable Inference, 1927): 0 to 1 if none was tried.
func (m Moment) Interval() (low, high float64) {
	if m.Runs == 0 {
		return 0, 1
	}
	n, p := float64(m.Runs), m.Share()
	scale := 1 + z*z/n
	middle := (p + z*z/(2*n)) / scale
	half := z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n)) / scale
	low, high = max(0, middle-half), min(1, middle+half)
	if m.Hits == 0 { // the formula says so, but for what is rounded away
		low = 0
	}
	if m.Hits == m.Runs {
		high = 1
	}
	return low, high
}

// differs reports whether the intervals of two moments have nothing in common.
func (m Moment) differs(n Moment) bool {
	low, high := m.Interval()
	otherLow, otherHigh := n.Interval()
	return high < otherLow || otherHigh < low
}

// likely reports whether at least a half of the continuations failed.
func (m Moment) likely() bool { return 2*m.Hits >= m.Runs }

// A Search is how far to look.
type Search struct {
	End        Instant // of the run: whoever continues from there fails
	Grid       int     // into how many parts the run is cut at first, 1 or more
	Each       int     // how many continuations are tried from a moment
	Resolution Instant // moments that are not farther apart are not told apart, 1 or more
}

// A Trial makes continuations of the run from each of the instants, those with the numbers
// from first on, so many from each, and returns how many of them failed, in the same order.
// An error ends the search: then it may return fewer.
type Trial func(at []Instant, first, each int) (hits []int, err error)

// confirmed is with how many times as many continuations a moment is tried once more from
// which all have failed, if the one before is open: it may have been chance.
const confirmed = 4

// A Finding is what is known of a run.
type Finding struct {
	Moments []Moment // by their instants, the first at 0, the last at the run's end

	// From Before, the last moment with which the failure was not likely, to After, the
	// next one, it became so, and stayed so. It was likely from the beginning on if
	// Before is After, the first moment.
	Before, After Moment

	// Open is the last moment from which some continuation did not fail, and Decided the
	// next one: from there on all have failed that were tried. They are one, the first
	// moment, if none ever held.
	Open, Decided Moment
}

// round returns the last multiple of the resolution that is not after an instant: people
// read these times, and write them.
func (s Search) round(at Instant) Instant { return at / s.Resolution * s.Resolution }

// between returns an instant about in the middle of two that are farther apart than the
// resolution.
func (s Search) between(a, b Instant) Instant {
	return max(s.round(a+(b-a)/2), s.round(a)+s.Resolution)
}

// Sharp reports whether the failure became likely at once: Before and After are apart by
// more than chance, and by no more time than the search was to tell apart. Open and
// Decided need no such proof: that one continuation held is one.
func (f Finding) Sharp(s Search) bool {
	return f.Before.differs(f.After) && f.After.At-f.Before.At <= s.Resolution
}

// Find looks for the moments at which the failure became more likely, or less, or was
// decided. First it tries some all over the run, then some between any two neighbours
// that differ by more than chance, where the difference is largest first, until they are
// as close as the search is to tell apart; and then likewise behind the last moment from
// which a continuation held. With an error of the trial it returns what it has found so far.
func Find(s Search, try Trial) (Finding, error) {
	moments := []Moment{{At: s.End, Runs: s.Each, Hits: s.Each}} // it did fail
	var grid []Instant
	for i := range s.Grid {
		if at := s.round(s.End / Instant(s.Grid) * Instant(i)); !slices.Contains(grid, at) && at < s.End {
			grid = append(grid, at)
		}
	}
	first := 1
	for len(grid) > 0 {
		hits, err := try(grid, first, s.Each)
		for i, n := range hits {
			moments = with(moments, Moment{At: grid[i], Runs: s.Each, Hits: n})
		}
		if err != nil {
			return found(moments), err
		}
		grid, first = next(s, moments)
	}
	return found(moments), nil
}

// with adds what came of a moment to what is known, of this moment too.
func with(moments []Moment, m Moment) []Moment {
	at, there := slices.BinarySearchFunc(moments, m, func(a, b Moment) int { return cmp.Compare(a.At, b.At) })
	if !there {
		return slices.Insert(moments, at, m)
	}
	moments[at].Runs += m.Runs
	moments[at].Hits += m.Hits
	return moments
}

// next returns what to try next, nothing if all is known, and the number of the first
// continuation to be tried.
func next(s Search, moments []Moment) (at []Instant, first int) {
	if middle := widest(s, moments); middle > 0 {
		return []Instant{middle}, 1
	}
	f := found(moments)
	switch gap := f.Decided.At - f.Open.At; {
	case gap > s.Resolution:
		return []Instant{s.between(f.Open.At, f.Decided.At)}, 1
	case gap > 0 && f.Decided.At < s.End && f.Decided.Runs < confirmed*s.Each:
		return []Instant{f.Decided.At}, f.Decided.Runs + 1
	}
	return nil, 0
}

// widest returns the instant in the middle of the two neighbours that differ most, of
// those that differ by more than chance and are not too close; 0 if there are none.
func widest(s Search, moments []Moment) (middle Instant) {
	most := 0.0
	for i := 1; i < len(moments); i++ {
		a, b := moments[i-1], moments[i]
		by := math.Abs(a.Share() - b.Share())
		if b.At-a.At > s.Resolution && a.differs(b) && by > most {
			most, middle = by, s.between(a.At, b.At)
		}
	}
	return middle
}

// found says where the failure became likely, and where it was decided, for good.
func found(moments []Moment) Finding {
	f := Finding{Moments: moments, Before: moments[0], After: moments[0], Open: moments[0], Decided: moments[0]}
	for i := len(moments) - 1; i > 0; i-- {
		if m := moments[i-1]; m.Hits < m.Runs {
			f.Open, f.Decided = m, moments[i]
			break
		}
	}
	for i := len(moments) - 1; i > 0; i-- {
		if !moments[i-1].likely() {
			f.Before, f.After = moments[i-1], moments[i]
			break
		}
	}
	return f
}
