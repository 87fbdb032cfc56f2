package main

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// They begin when faults do: none can be moved to begin earlier.
const first, second = "crash node=n1 at=300ms for=1s n=0", "crash node=n2 at=400ms for=1s n=0"

// knowing returns a shrinker of a run with two faults, which may make no run and knows
// all: that without the second fault the run breaks what it is to break with some
// schedules only, and without the first with none.
func knowing(others int, breaksWith ...uint64) *shrinker {
	broken := &scenarios.Result{Verdict: scenarios.Violated, Violations: []scenarios.Violation{{Guarantee: "no-lost-ack"}}}
	s := &shrinker{
		quest: &quest{told: io.Discard, guarantee: "no-lost-ack"}, flags: shrinkFlags{others: others},
		best:   scenarios.Spec{Scenario: "crash", Seed: 7, Script: &scenarios.Script{Faults: []string{first, second}}},
		result: broken, known: map[string]*scenarios.Result{},
	}
	for n := range uint64(others + 1) {
		var c sim.Continuation
		if n > 0 {
			c = sim.Continuation{From: scenarios.FaultsBegin, Number: n}
		}
		for _, faults := range [][]string{{}, {first}, {second}, {first, second}} {
			r := &scenarios.Result{Verdict: scenarios.Held}
			if len(faults) == 2 || len(faults) == 1 && faults[0] == first && slices.Contains(breaksWith, n) {
				r = broken
			}
			s.known[keyOf(s.scripted(faults, c))] = r
		}
	}
	return s
}

// What a smaller run does not show with the schedule at hand it may show with another: a
// fault is needed only if no schedule shows it without.
func TestShrinkTriesOtherSchedules(t *testing.T) {
	for _, c := range []struct {
		name   string
		s      *shrinker
		faults []string
		number uint64
		needed []neededFault
	}{
		{"with its own", knowing(2, 0, 1), []string{first}, 0, []neededFault{{first, "held", 3}}},
		{"with the second other one", knowing(2, 2), []string{first}, 2, []neededFault{{first, "held", 3}}},
		{"with none", knowing(2), []string{first, second}, 0, []neededFault{{first, "held", 3}, {second, "held", 3}}},
		{"others are not wanted", knowing(0, 1), []string{first, second}, 0, []neededFault{{first, "held", 1}, {second, "held", 1}}},
	} {
		if err := c.s.all(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if best := c.s.best; !slices.Equal(best.Script.Faults, c.faults) || best.Continuation.Number != c.number {
			t.Errorf("%s: %q with schedule %d", c.name, best.Script.Faults, best.Continuation.Number)
		}
		if d := cmp.Diff(c.needed, c.s.needed); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	s := knowing(2)
	delete(s.known, keyOf(s.scripted([]string{first}, sim.Continuation{From: scenarios.FaultsBegin, Number: 1})))
	if err := s.all(); !errors.Is(err, errRunsUsedUp) || len(s.needed) > 0 {
		t.Errorf("a run that is neither known nor allowed: %v, %v", err, s.needed)
	}
}

// So may a run with fewer operations; what else is large is not tried with other schedules.
func TestShrinkTriesFewerOperationsWithOtherSchedules(t *testing.T) {
	s := knowing(1)
	s.best.Script.Faults = []string{}
	s.result.Sizes = []scenarios.Size{{Name: "run.sends", Is: 2, Least: 1}, {Name: "run.producers", Is: 1, Least: 1}}
	other := sim.Continuation{From: scenarios.FaultsBegin, Number: 1}
	broken, fewer := *s.result, s.with("run.sends=1")
	broken.Sizes = []scenarios.Size{{Name: "run.sends", Is: 1, Least: 1}}
	s.known[keyOf(fewer)] = &scenarios.Result{Verdict: scenarios.Held}
	fewer.Continuation = other
	s.known[keyOf(fewer)] = &broken
	if err := s.all(); err != nil || !slices.Equal(s.best.Set, []string{"run.sends=1"}) || s.best.Continuation != other {
		t.Errorf("%v: %+v", err, s.best)
	}
}

// A case says with which schedule it fails, and is run with that one.
func TestACaseKeepsItsSchedule(t *testing.T) {
	file := filepath.Join(t.TempDir(), "case.yaml")
	spec := scenarios.Spec{Scenario: "quiet", Seed: 3, Continuation: sim.Continuation{From: scenarios.FaultsBegin, Number: 2}}
	if err := caseOf(spec, scenarios.Result{}).Write(file); err != nil {
		t.Fatal(err)
	}
	o, err := caseOrder(file, nil)
	if err != nil || o.Spec.Continuation != spec.Continuation {
		t.Errorf("%+v, %v", o.Spec, err)
	}
	// What the command line says comes on top, and takes the place of what would come later.
	for turn, want := range map[string][]sim.Continuation{ //klamm:unordered each by itself
		"1s#1": {spec.Continuation, {From: 1e9, Number: 1}}, "300ms#2": {spec.Continuation, spec.Continuation}, "299ms#2": {{From: 299e6, Number: 2}},
	} {
		if got, err := parseRun(file+"@"+turn, nil); err != nil || !slices.Equal(got.Turns(), want) {
			t.Errorf("%s: %v, %v", turn, got.Turns(), err)
		}
	}
	if err := (casefile.Case{Scenario: "quiet", Seed: 3, Continue: "soon"}).Write(file); err != nil {
		t.Fatal(err)
	}
	if _, err := caseOrder(file, nil); err == nil {
		t.Error("a schedule that is none was taken")
	}
}
