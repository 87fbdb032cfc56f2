package scenarios

import (
	"slices"
	"testing"

	"github.com/klammlog/klamm/sim"
)

// What seeds draw is what their scenario may have, and of that each is drawn by some.
func TestSeedsDrawFamiliesThatTheirScenarioMayHave(t *testing.T) {
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			left := s.MayHave()
			for seed := uint64(1); seed <= 200 && (seed <= 10 || len(left) > 0); seed++ {
				r, err := newRun(Spec{Scenario: s.Name, Seed: seed}, Watch{})
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range r.families() {
					if !slices.Contains(s.MayHave(), Family(name)) {
						t.Errorf("seed %d has %s", seed, name)
					}
					left = slices.DeleteFunc(left, func(f Family) bool { return f == Family(name) })
				}
				r.k.Close()
			}
			if len(left) > 0 {
				t.Errorf("none of 200 seeds has %v", left)
			}
		})
	}
}

func TestFamiliesOfReadersTakeEffectWhenTheyRead(t *testing.T) {
	r := Result{
		Families: []string{"crash", "groups", "topic-compaction"},
		Faults:   []sim.Count{{Name: "crash", Times: 2}, {Name: "pause"}},
	}
	if got := r.Effective(); !slices.Equal(got, []string{"crash"}) {
		t.Errorf("nobody read: %v", got)
	}
	r.Deliveries, r.Probes = make([]Delivery, 1), []sim.Count{{Name: swapProbe, Times: 1}}
	if got := r.Effective(); !slices.Equal(got, r.Families) {
		t.Errorf("everything was read: %v", got)
	}
	r.Families = r.Families[:1] // a scenario that is about groups
	if got := r.Effective(); !slices.Equal(got, []string{"crash"}) {
		t.Errorf("no such family: %v", got)
	}
}
