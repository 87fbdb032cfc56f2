package checker

import (
	"math/rand/v2"
	"testing"
)

// A correct log, with answers lost, requests late, and records removed where that
// is permitted, must never be judged wrong; and every judge must have had
// something to judge, or the test says nothing.
func TestGoodRunsHoldEveryPromise(t *testing.T) {
	held := map[Guarantee]int{}
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s, d := goodRun(rng, smallRun(rng))
		r := Judge(s.build(), d)
		if r.Status() == Violated {
			t.Fatalf("seed %d: a correct log was judged wrong:\n%v", seed, &r)
		}
		for _, v := range r.Verdicts {
			if v.Status == Held {
				held[v.Guarantee]++
			}
		}
	}
	for _, g := range Guarantees() {
		least := 1000
		if g == UncleanBounded {
			least = 250 // few runs have such elections
		}
		if held[g] < least {
			t.Errorf("%s was held only %d times of 3000", g, held[g])
		}
	}
}
