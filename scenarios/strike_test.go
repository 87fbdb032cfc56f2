package scenarios

import (
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/sim"
)

// What a scenario is about strikes somebody, too, where the faults' time passes before
// anybody is there: in the last three the topic comes when the faults are over.
func TestWhatAScenarioIsAboutStrikesSomebody(t *testing.T) {
	const nobodyThere = "crash node=@all at=1ms for=1h"
	for _, c := range []struct {
		scenario string
		fault    string
		want     Family
	}{
		{"pause", "pause node=n1 at=1s for=1s; crash node=@all at=500ms for=3s", "pause"},
		{"minority-partition", "split at=1s for=1ns left=n1 right=n2,n3", "split"},
		{"cluster-compaction", "isolate at=1s for=1ns hosts=n1", "isolate"},
		{"nearest-replica", nobodyThere, nearestReads},
		{"grow-and-shrink", nobodyThere, replicaMoves},
		{"mistakes", nobodyThere, operatorMistakes},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			o := mustRun(t, Spec{Scenario: c.scenario, Seed: 7, Set: []string{"run.safety=2s", "run.sends=4"}, Script: &Script{Faults: strings.Split(c.fault, ";")}})
			if o.Verdict != Held || !slices.ContainsFunc(o.Faults, func(n sim.Count) bool { return n.Name == string(c.want) && n.Times > 0 }) {
				t.Errorf("%s: %s\n%v", o.Verdict, o.Headline(), o.Faults)
			}
		})
	}
}
