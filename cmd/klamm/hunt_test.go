package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/internal/hunt"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// huntPowerLoss looks for a promise that a setting cannot keep.
func huntPowerLoss(t *testing.T, file string) (r huntReport) {
	t.Helper()
	args := []string{"hunt", "power-loss", "--set", "log.flush=os", "--seed", "40", "--jobs", "1", "--runs", "60", "--case", file, "-o", "json"}
	var out, errs bytes.Buffer
	if code := execute(args, streams{strings.NewReader(""), &out, &errs}); code != exitViolated {
		t.Fatalf("exit code %d: %s%s", code, &out, &errs)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// A promise that a setting cannot keep is found, and written down as a case that shows it.
// The same hunt finds the same.
func TestHuntFindsABrokenPromise(t *testing.T) {
	inTheSimulator(t)
	t.Setenv("KLAMM_TEST_RUN", "1")
	file := filepath.Join(t.TempDir(), "found.yaml")
	r := huntPowerLoss(t, file)
	again := huntPowerLoss(t, filepath.Join(t.TempDir(), "again.yaml"))
	if again.Case = file; again != r {
		t.Errorf("hunted twice: %+v, and %+v", r, again)
	}
	if !r.Found || r.Case != file || r.Guarantee == "" || r.Runs < 1 || r.Exit != exitViolated {
		t.Errorf("%+v", r)
	}
	c, err := casefile.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	o, err := scenarios.Run(scenarios.Spec{Scenario: c.Scenario, Seed: c.Seed, Set: c.Set, Script: &scenarios.Script{Faults: c.Faults}}, scenarios.Watch{})
	if err != nil || o.Verdict != scenarios.Violated || o.Violations[0].Guarantee != r.Guarantee {
		t.Errorf("the case comes to %s (%v), the hunt to %+v", o.Verdict, err, r)
	}
}

// Where nothing breaks a hunt ends with its budget, and says so.
func TestHuntEndsWithItsBudget(t *testing.T) {
	inTheSimulator(t)
	t.Setenv("KLAMM_TEST_RUN", "1")
	var out, errs bytes.Buffer
	code := execute([]string{"hunt", "quiet", "--jobs", "2", "--runs", "3"}, streams{strings.NewReader(""), &out, &errs})
	if code != 0 || !strings.HasPrefix(out.String(), "nothing was found: 3 runs, ") {
		t.Errorf("exit code %d: %s%s", code, &out, &errs)
	}
}

// Changed schedules are schedules: scenarios read them, and names of hosts are right often
// enough. Whoever may lose something keeps its seed.
func TestChangedSchedulesCanBeRun(t *testing.T) {
	h := &hunter{scenario: "everything", search: hunt.New(1, 1), mayLose: map[uint64]bool{}}
	changed, refused := 0, 0
	for run := range 60 {
		trial := h.search.Next(func(t hunt.Trial) bool {
			ok := h.acceptable(t)
			if !ok {
				refused++
			}
			return ok
		})
		spec := h.spec(trial)
		drawn, err := scenarios.Schedule(spec)
		if err != nil {
			t.Fatalf("%v: %v", trial, err)
		}
		budgeted, err := scenarios.Budgeted(spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, made := h.mayLose[trial.Seed]; trial.Faults != nil && !made && budgeted {
			t.Errorf("seed %d may lose something, and has faults of another", trial.Seed)
		}
		if trial.Faults != nil {
			changed++
		}
		h.mayLose[trial.Seed] = budgeted
		h.search.Learn(trial, hunt.Reached{Faults: drawn, Features: []string{strings.Repeat("x", run)}, Time: 5e9, Bound: budgeted})
	}
	if changed < 25 {
		t.Errorf("%d of 60 runs are changed ones, %d were refused", changed, refused)
	}
}

func TestFeaturesOfARun(t *testing.T) {
	r := scenarios.Result{
		Faults:  []sim.Count{{Name: "crash", Times: 1}, {Name: "pause"}},
		Probes:  []sim.Count{{Name: "a tail was torn", Times: 5}},
		Buggify: []sim.Count{{Name: "roll early", Times: 2}},
	}
	want := []string{
		"a tail was torn, 4 times", "a tail was torn, 2 times", "a tail was torn, 1 times", "crash and a tail was torn",
		"roll early, 2 times", "roll early, 1 times", "crash, 1 times",
	}
	if got := featuresOf(r); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
