package hunt

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A fortune is where the random numbers of a run come from: until its luck turns from its
// seed, and then from another; what its faults are they follow.
type fortune struct {
	trial        Trial
	first, after uint64
}

func fortuneOf(t Trial) fortune {
	h := fnv.New64a()
	fmt.Fprint(h, t.Seed, t.Faults)
	first := h.Sum64()
	fmt.Fprint(h, t.Luck.Number)
	return fortune{t, first, h.Sum64()}
}

// oneIn reports whether something happens at an instant that happens in one run of n.
func (f fortune) oneIn(n int, at time.Duration, what uint64) bool {
	from := f.first
	if f.trial.Luck.Number != 0 && at >= f.trial.Luck.From {
		from = f.after
	}
	return rand.New(rand.NewPCG(from, what)).IntN(n) == 0
}

// when returns at which instant of a run something may happen.
func (f fortune) when(what uint64) time.Duration {
	return time.Duration(rand.New(rand.NewPCG(f.trial.Seed, what)).Int64N(int64(firstTen)))
}

// setUp is how a seed sets its run up.
func setUp(seed uint64) (words []string) {
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range 12 {
		words = append(words, "word"+string(rune('a'+i))+string(rune('0'+r.IntN(4))))
	}
	return words
}

func drafted(seed uint64) Draft {
	return Draft{Faults: drawn(seed), Words: setUp(seed), Time: firstTen}
}

// things are their names.
var things = func() (out []string) {
	for i := range 50 {
		out = append(out, fmt.Sprintf("thing %d", i))
	}
	return out
}()

// begun returns what is known of a trial's run before it is made, and what happens in any
// run: fifty things, of which one happens in every second run and the last in one of fifty.
func begun(t Trial) (r Reached, f fortune) {
	if r.Draft = drafted(t.Seed); t.Faults != nil {
		r.Faults = t.Faults
	}
	f = fortuneOf(t)
	for i, name := range things {
		if at := f.when(uint64(i)); f.oneIn(i+2, at, uint64(i)) {
			r.Features = append(r.Features, Feature{name, at})
		}
	}
	return r, f
}

// gated has a bug that needs two settings, and luck: one seed in 48 shows it, and nothing
// of the run but that the two came together.
var gated = system{draft: drafted, made: func(t Trial) (Reached, bool) {
	r, f := begun(t)
	if !slices.Contains(r.Words, "wordd3") || !slices.Contains(r.Words, "wordi0") {
		return r, false
	}
	r.Features = append(r.Features, Feature{"both", time.Second})
	return r, f.oneIn(3, 2*time.Second, 100)
}}

// momentary has a bug that shows if a node crashes within 100 ms of something that happens
// in one run of five.
var momentary = system{draft: drafted, made: func(t Trial) (Reached, bool) {
	r, f := begun(t)
	at := f.when(100)
	if !f.oneIn(5, at, 100) {
		return r, false
	}
	r.Features = append(r.Features, Feature{"it", at})
	return r, slices.ContainsFunc(parse(r.Faults, firstTen), func(f fault) bool {
		begins, ok := f.duration("at")
		return ok && f.family == "crash" && begins >= at && begins < at+100*time.Millisecond
	})
}}

// crowded has a bug that takes a crash of one node while another is paused, in one
// setting of sixteen.
var crowded = system{draft: drafted, made: func(t Trial) (Reached, bool) {
	r, _ := begun(t)
	list := parse(r.Faults, firstTen)
	return r, slices.Contains(r.Words, "worda1") && slices.Contains(r.Words, "wordb2") && slices.ContainsFunc(list, func(f fault) bool {
		begins, _ := f.duration("at")
		return f.family == "crash" && slices.ContainsFunc(list, func(g fault) bool {
			paused, _ := g.duration("at")
			lasts, _ := g.duration("for")
			return g.family == "pause" && g.get("node") != f.get("node") && begins >= paused && begins < paused+lasts
		})
	})
}}

// What takes two faults at once is found in two thirds of the runs that fresh seeds take.
func TestWhatTakesManyFaultsIsFound(t *testing.T) {
	if guided, fresh := medians(t, crowded, 2000); guided*3 > fresh*2 {
		t.Errorf("medians: %d runs guided, %d of fresh seeds", guided, fresh)
	}
}

// What takes a fault at a moment is found sooner than by fresh seeds.
func TestWhatTakesAMomentIsFound(t *testing.T) {
	if guided, fresh := medians(t, momentary, 5000); guided*4 > fresh*3 {
		t.Errorf("medians: %d runs guided, %d of fresh seeds", guided, fresh)
	}
}

// Where nothing leads to a bug, being led costs little.
func TestWhatTakesSettingsAloneIsNotFoundMuchLater(t *testing.T) {
	if guided, fresh := medians(t, gated, 2000); guided*4 > fresh*5 {
		t.Errorf("medians: %d runs guided, %d of fresh seeds", guided, fresh)
	}
}
