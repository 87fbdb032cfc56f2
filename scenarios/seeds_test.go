package scenarios

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/klammlog/klamm/checker"
)

// A pastBug is one line of testdata/seeds.txt.
type pastBug struct {
	spec  Spec
	story string
}

func pastBugs(t *testing.T) []pastBug {
	t.Helper()
	text, err := os.ReadFile("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []pastBug
	for i, line := range strings.Split(string(text), "\n") {
		run, story, _ := strings.Cut(line, "#")
		words := strings.Fields(run)
		if len(words) == 0 {
			continue
		}
		if len(words) < 2 {
			t.Fatalf("line %d: %q: want scenario and seed", i+1, line)
		}
		seed, err := strconv.ParseUint(words[1], 10, 64)
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		out = append(out, pastBug{Spec{Scenario: words[0], Seed: seed, Set: words[2:]}, strings.TrimSpace(story)})
	}
	if len(out) == 0 {
		t.Fatal("no seeds")
	}
	return out
}

func TestSeedsOfFixedBugs(t *testing.T) {
	for _, b := range pastBugs(t) {
		if _, err := os.Stat(filepath.Join("..", b.story+".md")); err != nil || b.story == "" {
			t.Errorf("%s seed %d has no story: %v", b.spec.Scenario, b.spec.Seed, err)
		}
		o, err := Run(b.spec, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		if o.Verdict != Held {
			t.Errorf("%s, again: %s\npending: %v", b.story, o.Headline(), o.Pending)
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
