package scenarios

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/klammlog/klamm/checker/delivery"
)

// Groups are summed up by mode: the first record after the heal is the group's, the
// longest wait any partition's.
func TestDeliveriesAreSummedUp(t *testing.T) {
	got := SummaryOfDeliveries([]Delivery{
		{Mode: "with-output", Records: 10, ResumedNanos: []int64{5, 90}},
		{Mode: "commit-first", Records: 10, Missed: 3, ResumedNanos: []int64{}},
		{Mode: "with-output", Records: 20, ResumedNanos: []int64{7}},
		{Mode: "with-output", Records: 30, Repeated: 1, ResumedNanos: []int64{6, 8}},
	})
	want := []DeliverySummary{
		{Mode: "commit-first", Groups: 1, Records: 10, Missed: 3},
		{Mode: "with-output", Groups: 3, Records: 60, Repeated: 1, ResumedNanos: 6, LongestNanos: 7, EverywhereNanos: 90},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Groups that are set by hand are those that run, and each is told of: what it was to
// process, and when it went on after the heal.
func TestGroupsSetByHandAreToldOf(t *testing.T) {
	o, err := Run(Spec{Scenario: "zombie-member", Seed: 1, Set: []string{
		"run.groups=process-first,commit-first", "run.group.protocol=consumer", "run.families=none", "run.sink.crashes=0",
	}}, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Deliveries) != 2 {
		t.Fatalf("%s %s: %+v", o.Verdict, o.Reason, o.Deliveries)
	}
	for i, d := range o.Deliveries {
		mode := []delivery.Mode{delivery.ProcessFirst, delivery.CommitFirst}[i].String()
		if d.Mode != mode || d.Protocol != "consumer" || d.Records == 0 || len(d.ResumedNanos) == 0 || d.ResumedNanos[0] < 0 || !slices.IsSorted(d.ResumedNanos) {
			t.Errorf("%+v, want one that is %s", d, mode)
		}
	}
}

// Groups are of scenarios that have some.
func TestGroupsAreNotSetWhereThereAreNone(t *testing.T) {
	r, err := newRun(Spec{Scenario: "cluster", Seed: 1, Set: []string{"run.groups=process-first"}}, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.k.Close()
	if len(r.groups) > 0 {
		t.Errorf("%d groups", len(r.groups))
	}
}

// A plain producer waits for all replicas and tries again, without sequences.
func TestPlainProducers(t *testing.T) {
	r, err := newRun(Spec{Scenario: "cluster", Seed: 1, Set: []string{"run.producers=4", "run.plain=2"}}, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.k.Close()
	for _, p := range r.producers[2:] {
		if c := p.config; c.Idempotent || c.Acks != -1 || c.Retries == 0 {
			t.Errorf("%s: %+v", p.node.Name(), c)
		}
	}
}
