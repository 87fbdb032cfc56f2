package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// A case says what it came to when it was written; whoever replays it learns whether
// that is so still.
func TestAReplayTellsWhatTheCaseWasWrittenOf(t *testing.T) {
	chain := sim.Chain{Sum: 7, Events: 9}
	other := sim.Chain{Sum: 8, Events: 9}
	broken := []scenarios.Violation{{Guarantee: "agreement", Sentence: "two records"}}
	file := filepath.Join(t.TempDir(), "case.yaml")
	for _, c := range []struct {
		found *casefile.Found
		now   scenarios.Result
		want  string
	}{
		{nil, scenarios.Result{Verdict: scenarios.Held, Chain: chain}, ""},
		{&casefile.Found{Verdict: "held", Chain: chain.String(), By: "k"}, scenarios.Result{Verdict: scenarios.Held, Chain: chain},
			"the same run as when it was written, by k\n"},
		{&casefile.Found{Verdict: "held", Chain: chain.String(), By: "k"}, scenarios.Result{Chain: other}, ""}, // --until
		{&casefile.Found{Verdict: "violated", Guarantee: "agreement", Chain: chain.String(), By: "k"},
			scenarios.Result{Verdict: scenarios.Violated, Violations: broken, Chain: other},
			"another run than when it was written (chain " + chain.String() + ", by k), that came to the same\n"},
		{&casefile.Found{Verdict: "violated", Guarantee: "no-lost-ack", Sentence: "gone", Chain: chain.String(), By: "k"},
			scenarios.Result{Verdict: scenarios.Violated, Violations: broken, Chain: other},
			"another run than when it was written (chain " + chain.String() + ", by k): it was violated: no-lost-ack: gone then\n"},
		{&casefile.Found{Verdict: "held", Chain: chain.String(), By: "k"}, scenarios.Result{Verdict: scenarios.Stuck, Chain: other},
			"another run than when it was written (chain " + chain.String() + ", by k): it was held then\n"},
	} {
		if err := (casefile.Case{Scenario: "quiet", Seed: 1, Found: c.found}).Write(file); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := tellFound(&b, file, c.now); err != nil || b.String() != c.want {
			t.Errorf("%+v: %q, %v, want %q", c.found, &b, err, c.want)
		}
		b.Reset()
		if err := tellFound(&b, "quiet", c.now); err != nil || b.Len() > 0 {
			t.Errorf("of a scenario: %q, %v", &b, err)
		}
	}
}
