package checker

import (
	"math/rand/v2"
	"testing"
)

// Each judge against its definition, on histories of correct logs, on the same
// with a few things changed, and on histories of nonsense. A fair share must be
// bad, and a fair share good, or the comparison says nothing.
func TestJudgesAgreeWithDefinitions(t *testing.T) {
	definitions := map[Guarantee]func(naive) int{
		Agreement:       naive.agreement,
		NoInvention:     naive.noInvention,
		NoLostAck:       naive.noLostAck,
		NoDuplicate:     naive.noDuplicate,
		ProducerOrder:   naive.producerOrder,
		NoFailedVisible: naive.noFailedVisible,
		MonotonicPoll:   naive.monotonicPoll,
		NoPollSkip:      naive.noPollSkip,
		AckedOffsetTrue: naive.ackedOffsetTrue,
		OffsetsForward:  naive.offsetsForward,
		ByTimeFirst:     naive.byTimeFirst,

		ReadCommittedOnly: naive.readCommittedOnly,
		CompactedState:    naive.compactedState,
		UncleanBounded:    naive.uncleanBounded,
	}
	histories := uint64(12000)
	if testing.Short() {
		histories = 3000
	}
	good, bad := map[Guarantee]int{}, map[Guarantee]int{}
	for seed := range histories {
		rng := rand.New(rand.NewPCG(seed, 2))
		s, d := randomSketch(rng)
		h := s.build()
		r := Judge(h, d)
		for _, v := range r.Verdicts {
			define := definitions[v.Guarantee]
			if define == nil || v.Status == NotApplicable {
				continue
			}
			want := define(naive{h, d})
			if v.Total != want {
				t.Fatalf("seed %d: %s counts %d violations, its definition %d; demands %+v\n%v", seed, v.Guarantee, v.Total, want, d, &r)
			}
			good[v.Guarantee] += count(want == 0)
			bad[v.Guarantee] += count(want > 0)
		}
	}
	for _, g := range Guarantees() {
		if definitions[g] == nil {
			continue
		}
		t.Logf("%-18s %5d good %5d bad", g, good[g], bad[g])
		if min(good[g], bad[g]) < (good[g]+bad[g])/25 {
			t.Errorf("%s: %d good and %d bad histories: too few of one kind", g, good[g], bad[g])
		}
	}
}

// randomSketch returns a history that is as likely good as bad, and demands.
func randomSketch(rng *rand.Rand) (*sketch, Demands) {
	if rng.IntN(2) == 0 {
		return chaos(rng), randomDemands(rng)
	}
	z := smallRun(rng)
	z.steps /= 2
	s, d := goodRun(rng, z)
	if rng.IntN(5) > 0 {
		mutateSome(rng, s)
	}
	if rng.IntN(4) == 0 {
		d = randomDemands(rng)
	}
	return s, d
}
