package scenarios

import (
	"fmt"
	"slices"
	"testing"
)

func TestLastReplicaStandingHasOneToFiveReplicasAndBothOrders(t *testing.T) {
	cases := map[string]int{}
	for seed := range uint64(200) {
		s := lastReplicaStanding
		o := draw(s, seed)
		schedule := drawSchedule(o, seed, cast{nodes: []string{"n1", "q1", "q2", "q3"}, clients: []string{"p1"}, partitions: 1, options: &o, scenario: s})
		cases[s.Case(&o, schedule)]++
		if o.Controllers != 3 || o.MinISR != 1 || o.Replicas != o.Brokers || len(schedule) != 1 {
			t.Errorf("seed %d: %s, schedule %v", seed, o.Cluster, schedule)
		}
	}
	want := []string{"replicas 1", "replicas 2"}
	for n := 3; n <= 5; n++ {
		want = append(want, fmt.Sprintf("replicas %d, at once", n), fmt.Sprintf("replicas %d, one by one", n))
	}
	for _, name := range want {
		if cases[name] < 10 {
			t.Errorf("200 seeds, and %d of them are %q", cases[name], name)
		}
	}
}

// A survivor that must not take writes alone is noticed.
func TestASurvivorThatDoesNotServeIsNoticed(t *testing.T) {
	for seed := uint64(0); seed < 40; seed++ {
		o, err := Run(Spec{Scenario: "last-replica-standing", Seed: seed, Set: []string{"min.insync.replicas=2"}}, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(o.Violations, func(v Violation) bool { return v.Guarantee == survivorServes }) {
			return
		}
	}
	t.Error("40 survivors that may not serve, and no judge complained")
}
