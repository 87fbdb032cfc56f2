package scenarios

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/sim"
)

// pastBugs reads testdata/cases: runs that once showed a bug, each with the story that
// its about names. The code has changed since, and with it what becomes of these faults;
// the test that a story names is what holds its bug. They are run because they are cheap.
func pastBugs(t *testing.T) map[string]casefile.Case {
	t.Helper()
	return casesIn(t, "testdata/cases")
}

// casesIn reads the cases of a folder, by the names of their files.
func casesIn(t *testing.T, folder string) map[string]casefile.Case {
	t.Helper()
	files, err := filepath.Glob(folder + "/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	out := make(map[string]casefile.Case)
	for _, file := range files {
		c, err := casefile.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(file)] = c
	}
	return out
}

func TestCasesOfFixedBugs(t *testing.T) {
	cases := pastBugs(t)
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holds(t, cases[name])
		})
	}
}

// What shows a planted bug holds without it: go run ./internal/mutants -cases plants them.
func TestCasesOfMutantsHoldWithoutThem(t *testing.T) {
	cases := casesIn(t, "testdata/mutants")
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holds(t, cases[name])
		})
	}
}

func holds(t *testing.T, c casefile.Case) {
	t.Helper()
	spec := Spec{Scenario: c.Scenario, Seed: c.Seed, Set: c.Set, Script: &Script{Faults: c.Faults}}
	if c.Continue != "" {
		var err error
		if spec.Continuation, err = sim.ParseContinuation(c.Continue); err != nil {
			t.Fatal(err)
		}
	}
	o, err := Run(spec, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	if o.Verdict != Held {
		t.Errorf("%s: %s\npending: %v", c.About, o.Headline(), o.Pending)
	}
}

var (
	storyOfACase = regexp.MustCompile(`^docs/bugs/\d{4}\.md\b`)
	whyThereIsNo = regexp.MustCompile(`(?m)^\*\*Seed\.\*\* None\b.{10}`)
)

// Every story of docs/bugs is told by a case, or says why no run can tell it; every case
// is called what it runs, and tells a story that there is.
func TestEveryStoryHasACase(t *testing.T) {
	told := make(map[string]bool)
	for name, c := range pastBugs(t) {
		if want := fmt.Sprintf("%s-%d.yaml", c.Scenario, c.Seed); name != want {
			t.Errorf("%s runs %s", name, want)
		}
		story := storyOfACase.FindString(c.About)
		if _, err := os.Stat(filepath.Join("..", story)); err != nil || story == "" {
			t.Errorf("%s has no story: about: %q: %v", name, c.About, err)
		}
		told[filepath.Base(story)] = true
	}
	stories, err := filepath.Glob("../docs/bugs/*.md")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, story := range stories {
		text, err := os.ReadFile(story)
		if err != nil {
			t.Fatal(err)
		}
		if !told[filepath.Base(story)] && !whyThereIsNo.Match(text) {
			t.Errorf("%s has no case in testdata/cases, and does not say why: want a case, or **Seed.** None: ...", story)
		}
	}
}

func TestWhatTakesThePageCacheAwayExcusesFlushOS(t *testing.T) {
	for family, want := range map[Family]checker.PowerLoss{
		"power-loss": checker.AnyPowerLoss, "disk-sync-revert": checker.AnyPowerLoss,
		"crash": "", "disk-sync-keep": "", "disk-sync-error": "", "disk-shutdown": "",
	} {
		r := &run{drawn: Options{Families: []Family{"latency", family}}}
		if got := r.demands().PowerLoss; got != want {
			t.Errorf("%s: page caches are lost: %q, want %q", family, got, want)
		}
	}
}
