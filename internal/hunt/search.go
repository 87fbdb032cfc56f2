// Package hunt decides which run to try next, from what the runs before it reached.
//
// A run that reached something new is kept. What is tried is a kept run whose schedule
// was changed a little, or a fresh seed. A feature is anything that a run can be said to
// have reached, by name; what features there are is for who makes runs to say.
//
// It is pure: the same seed and the same answers make the same search. Schedules are
// lines, a family and words name=value, as they are printed and parsed elsewhere; what a
// line means it does not know, and a changed line may make no sense to who runs it.
package hunt

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A Trial is one run to be made.
type Trial struct {
	Seed   uint64
	Faults []string // a line a fault; nil: those that the seed draws
}

// A Reached is what came of a trial.
type Reached struct {
	Faults   []string      // the schedule that it had
	Features []string      // distinct
	Time     time.Duration // in which faults begin
	Bound    bool          // its faults are within a budget: they stay whose they are
	Useless  bool          // it tested nothing
}

// A Search is what was tried so far.
type Search struct {
	rand  *rand.Rand
	next  uint64 // fresh seed
	kept  []*run
	times map[string]int // by feature, how many runs had it
	words vocabulary
}

// A run is one that was kept.
type run struct {
	seed     uint64
	schedule schedule
	features []string
	bound    bool
	tried    int // how often it was changed
}

// New begins a search with a seed of its own. Fresh seeds of runs go from first on.
func New(seed, first uint64) *Search {
	return &Search{
		rand: rand.New(rand.NewPCG(seed, 0x68756e74)), next: first,
		times: map[string]int{}, words: vocabulary{},
	}
}

// freshOneIn is how many trials of a running search one fresh seed is among: what a
// mutation cannot reach, such as another size of a cluster, comes from seeds alone.
const freshOneIn = 4

// fewKept is how many kept runs there must be before any is changed.
const fewKept = 3

// Next returns what to try. Whether it can be run is for who runs it to say: acceptable
// is asked about each changed schedule, and after some refusals it is a fresh seed.
func (s *Search) Next(acceptable func(Trial) bool) Trial {
	if len(s.kept) >= fewKept && s.rand.IntN(freshOneIn) != 0 {
		for range 8 {
			if t, ok := s.changed(); ok && acceptable(t) {
				return t
			}
		}
	}
	t := Trial{Seed: s.next}
	s.next++
	return t
}

// Learn takes what came of a trial, and returns the features that no run had before.
func (s *Search) Learn(t Trial, r Reached) (unseen []string) {
	for _, f := range r.Features {
		if s.times[f]++; s.times[f] == 1 {
			unseen = append(unseen, f)
		}
	}
	schedule := parse(r.Faults, r.Time)
	if !r.Bound {
		s.words.learn(schedule)
	}
	if len(unseen) > 0 && !r.Useless {
		s.kept = append(s.kept, &run{seed: t.Seed, schedule: schedule, features: r.Features, bound: r.Bound})
	}
	return unseen
}

// Kept returns how many runs were kept.
func (s *Search) Kept() int { return len(s.kept) }

// Features returns how many features there are that some run had.
func (s *Search) Features() int { return len(s.times) }

// pick returns a kept run: of some drawn the one with the rarest feature, and of those
// with equally rare ones the one that was tried least.
func (s *Search) pick() *run {
	var best *run
	for range 4 {
		r := s.kept[s.rand.IntN(len(s.kept))]
		if best == nil || s.rarity(r)*(1+r.tried) < s.rarity(best)*(1+best.tried) {
			best = r
		}
	}
	best.tried++
	return best
}

// rarity returns how many runs had the rarest feature of a run.
func (s *Search) rarity(r *run) int {
	least := s.times[r.features[0]]
	for _, f := range r.features[1:] {
		least = min(least, s.times[f])
	}
	return least
}

// changed returns a kept run with one to three changes, and whether there is any.
func (s *Search) changed() (Trial, bool) {
	from := s.pick()
	seed, schedule := from.seed, slices.Clone(from.schedule)
	any := false
	for range 1 + s.rand.IntN(3) {
		var ok bool
		if from.bound {
			ok = s.changeInTime(&schedule)
		} else {
			ok = s.change(&seed, &schedule)
		}
		any = any || ok
	}
	return Trial{Seed: seed, Faults: schedule.lines()}, any
}
