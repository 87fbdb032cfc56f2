// Package hunt decides which run to try next, from what the runs before it reached.
//
// At first fresh seeds are tried. A run that reached something new is kept; when there is
// something to go by, what is tried is also a kept run that was changed, in its faults or in its
// luck, or a seed that is set up unlike those tried, with or without faults of a kept run.
// Now and then it is a fresh seed. A feature is anything that a run can be said to have
// reached, by name; what features there are is for who makes runs to say.
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
	Luck   Luck
}

// A Luck is another way for a run to go on from an instant on; what happens before is as
// it is without. Number 0 is the run itself.
type Luck struct {
	From   time.Duration
	Number uint64
}

// A Draft is what is known of a run before it is made.
type Draft struct {
	Faults []string      // its schedule
	Words  []string      // how it is set up
	Time   time.Duration // in which faults begin
	Bound  bool          // its faults are within a budget: they stay whose they are
}

// A Court knows what can be known of runs before they are made.
type Court interface {
	Draft(seed uint64) Draft
	Acceptable(Trial) bool // it can be made; asked about runs that are not just a seed's
}

// A Reached is what came of a trial.
type Reached struct {
	Draft
	Features []Feature // of distinct names
	Useless  bool      // it tested nothing
}

// A Feature is something that a run reached.
type Feature struct {
	Name string
	At   time.Duration // when first; 0: nobody knows
}

// A Search is what was tried so far.
type Search struct {
	rand  *rand.Rand
	next  uint64 // fresh seed
	made  int    // runs that are known
	kept  []*run
	times map[string]int // by feature, how many runs had it
	words vocabulary
	setup setups
}

// A run is one that was kept.
type run struct {
	seed     uint64
	luck     Luck
	schedule schedule
	features []Feature
	bound    bool
	tried    int // how often it was changed
}

// New begins a search with a seed of its own. Fresh seeds of runs go from first on.
func New(seed, first uint64) *Search {
	return &Search{
		rand: rand.New(rand.NewPCG(seed, 0x68756e74)), next: first,
		times: map[string]int{}, words: vocabulary{}, setup: newSetups(),
	}
}

// freshOneIn is how many trials of a running search one fresh seed is among: whatever
// leads a search astray, it is never worse than this fraction of a plain one.
const freshOneIn = 4

// freshRuns is how many fresh seeds are tried before anything else. What is found sooner
// nothing leads to: of the first runs each reaches something new, so that what they reached
// says nothing of which are worth more than others (results/hunt.md).
const freshRuns = 60

// unlikeOneIn is how many of the other trials one is among that is set up as none before:
// how a run is set up, as the size of its cluster, changes of kept runs do not reach.
const unlikeOneIn = 3

// graftOneIn is how many of those one is among that has faults of kept runs besides.
const graftOneIn = 2

// Next returns what to try: after some changed runs that cannot be made, a fresh seed.
func (s *Search) Next(c Court) Trial {
	if s.made >= freshRuns && len(s.kept) > 0 && s.rand.IntN(freshOneIn) != 0 {
		if s.rand.IntN(unlikeOneIn) == 0 {
			t, d := s.unlike(c)
			if s.rand.IntN(graftOneIn) != 0 {
				return t
			}
			return s.graft(c, t, d)
		}
		for range 8 {
			if t, ok := s.changed(); ok && c.Acceptable(t) {
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
	s.made++
	for _, f := range r.Features {
		if s.times[f.Name]++; s.times[f.Name] == 1 {
			unseen = append(unseen, f.Name)
		}
	}
	s.setup.learn(r.Words)
	schedule := parse(r.Faults, r.Time)
	if !r.Bound {
		s.words.learn(schedule)
	}
	if len(unseen) > 0 && !r.Useless {
		s.kept = append(s.kept, &run{seed: t.Seed, luck: t.Luck, schedule: schedule, features: r.Features, bound: r.Bound})
	}
	return unseen
}

// Kept returns how many runs were kept.
func (s *Search) Kept() int { return len(s.kept) }

// Features returns how many features there are that some run had.
func (s *Search) Features() int { return len(s.times) }

// pick returns a kept run: of some drawn the one that is worth most.
func (s *Search) pick() *run {
	var best *run
	for range 4 {
		r := s.kept[s.rand.IntN(len(s.kept))]
		if best == nil || s.worth(r) > s.worth(best) {
			best = r
		}
	}
	best.tried++
	return best
}

// worth is how rare what a run reached is, all together, and less the more often it was
// tried: a run in which much happened that seldom does is where more of that may happen.
func (s *Search) worth(r *run) float64 {
	sum := 0.0
	for _, f := range r.features {
		sum += 1 / float64(s.times[f.Name])
	}
	return sum / float64(1+r.tried)
}

// changed returns a kept run with one, two or four changes, and whether there is any.
func (s *Search) changed() (Trial, bool) {
	from := s.pick()
	t, schedule := Trial{Seed: from.seed, Luck: from.luck}, slices.Clone(from.schedule)
	any := false
	for range 1 << s.rand.IntN(3) {
		ok := true
		switch {
		case s.rand.IntN(4) == 0:
			s.turn(from, &t.Luck)
		case from.bound:
			ok = s.changeBound(from, &schedule)
		default:
			ok = s.change(from, &schedule)
		}
		any = any || ok
	}
	t.Faults = schedule.lines()
	return t, any
}
