package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klammlog/klamm/scenarios"
)

func TestFirstDifference(t *testing.T) {
	common := "1 one\n2 two\n3 three\n4 four\n5 five\n6 six\n7 seven\n"
	for _, c := range []struct {
		name, first, second string
		want                []string
		not                 string
	}{
		{"another event", common + "8 left\n9 x\n", common + "8 right\n9 x\n",
			[]string{"both  3 three", "both  7 seven", "first  8 left", "second  8 right"}, "2 two"},
		{"the first event", "1 a\n", "1 b\n", []string{"first  1 a", "second  1 b"}, "both  "},
		{"one ended", common, common + "8 more\n", []string{"first  (ended)", "second  8 more"}, ""},
		{"one was cut", common + "8 mo", common + "8 more\n", []string{"first  8 mo\n", "second  8 more"}, ""},
		{"no difference", common, common, []string{"the two runs were the same"}, "diverging"},
		{"nothing recorded", "", "", []string{"the two runs were the same"}, "diverging"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
			for file, text := range map[string]string{first: c.first, second: c.second} { //klamm:unordered two files
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			if err := firstDifference(&out, first, second); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing", want)
				}
			}
			if c.not != "" && strings.Contains(out.String(), c.not) {
				t.Errorf("%q is there", c.not)
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}

// Recorded in two processes, a deterministic run shows no difference.
func TestExplainDivergenceOfARunThatIsTheSame(t *testing.T) {
	workersAreThisTest(t)
	var out strings.Builder
	if err := explainDivergence(&out, scenarios.Spec{Scenario: "quiet", Seed: 5, Until: 1e8}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "the two runs were the same") {
		t.Error(out.String())
	}
}

func TestExplainDivergenceSaysThatARunCannotBeMade(t *testing.T) {
	workersAreThisTest(t)
	var out strings.Builder
	for _, scenario := range []string{"no-such-scenario", deadlyScenario} {
		if err := explainDivergence(&out, scenarios.Spec{Scenario: scenario}); err == nil {
			t.Errorf("%s: no error", scenario)
		}
	}
}
