package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
	c, err := caseOrder(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := scenarios.Run(c.Spec, scenarios.Watch{})
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

// A counting one counts what it refuses.
type counting struct {
	*hunter
	refused int
}

func (c *counting) Acceptable(t hunt.Trial) bool {
	ok := c.hunter.Acceptable(t)
	if !ok {
		c.refused++
	}
	return ok
}

// Changed schedules are schedules: scenarios read them, and names of hosts are right often
// enough. Whoever may lose something keeps its seed.
func TestChangedSchedulesCanBeRun(t *testing.T) {
	h := &hunter{scenario: "everything", search: hunt.New(1, 1), mayLose: map[uint64]bool{}}
	court, changed := &counting{hunter: h}, 0
	for run := range 160 {
		trial := h.search.Next(court)
		spec := h.spec(trial)
		r, err := scenarios.Unmade(spec)
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
		h.search.Learn(trial, hunt.Reached{
			Draft: draftOf(r, budgeted), Features: []hunt.Feature{{Name: strings.Repeat("x", run), At: time.Second}},
		})
	}
	if changed < 30 {
		t.Errorf("%d of 160 runs are changed ones, %d were refused", changed, court.refused)
	}
}

func TestFeaturesOfARun(t *testing.T) {
	r := scenarios.Result{
		Faults:  []sim.Count{{Name: "crash", Times: 1}, {Name: "pause"}},
		Probes:  []sim.Count{{Name: "a tail was torn", Times: 5}},
		Buggify: []sim.Count{{Name: "roll early", Times: 2}},
	}
	torn := 3 * time.Second
	want := []hunt.Feature{
		{Name: "a tail was torn, 4 times", At: torn}, {Name: "a tail was torn, 2 times", At: torn}, {Name: "a tail was torn, 1 times", At: torn},
		{Name: "crash and a tail was torn", At: torn},
		{Name: "roll early, 2 times"}, {Name: "roll early, 1 times"}, {Name: "crash, 1 times"},
	}
	if got := featuresOf(answer{Result: r, Moments: []sim.Moment{{Name: "a tail was torn", At: 3e9}}}); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Numbers and times that are about as large are alike; other words are what they are.
func TestWordsOfARun(t *testing.T) {
	a := wordsOf([]string{"producers=2 flush=ack", "safety=5s keys=0"})
	b := wordsOf([]string{"producers=3 flush=os", "safety=6s keys=1"})
	if len(a) != 4 || len(b) != 4 || a[0] != b[0] || a[1] == b[1] || a[2] != b[2] || a[3] == b[3] {
		t.Errorf("%q and %q", a, b)
	}
}
