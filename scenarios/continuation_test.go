package scenarios

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// recorded makes a run and returns its events.
func recorded(t *testing.T, s Spec) []string {
	t.Helper()
	var text bytes.Buffer
	r := sim.NewRecorder(&text)
	if _, err := Run(s, Watch{Recorder: r}); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	return strings.Split(text.String(), "\n")
}

// Whatever happens before a continuation begins is what happens without, and the same
// faults are to come.
func TestAContinuationOfAScenarioIsTheRunUntilItBegins(t *testing.T) {
	const from = kafka.Instant(2 * time.Second)
	spec := Spec{Scenario: "leader-crash", Seed: 7, Until: from + kafka.Instant(200*time.Millisecond)}
	plain := recorded(t, spec)
	spec.Continuation = sim.Continuation{From: from, Number: 1}
	turned := recorded(t, spec)
	at := slices.IndexFunc(turned, func(line string) bool { return strings.HasSuffix(line, " rand continuation 1") })
	if at < 1000 || !slices.Equal(plain[:at], turned[:at]) {
		t.Fatalf("the continuation begins with event %d, and the events before it are not those of the run", at)
	}
	if _, when, _ := strings.Cut(plain[at], " "); !strings.HasPrefix(when, "2") {
		t.Errorf("it begins where the run has %q, want the first event from %s on", plain[at], from)
	}
	if slices.Equal(plain[at:], turned[at+1:]) {
		t.Error("it goes on as the run does")
	}
	first, second := mustRun(t, spec), mustRun(t, spec)
	if first.Chain != second.Chain {
		t.Errorf("made twice, the continuation has the chains %s and %s", first.Chain, second.Chain)
	}
	if want := mustRun(t, Spec{Scenario: "leader-crash", Seed: 7, Until: 1}).Drawn; !slices.Equal(first.Drawn, want) {
		t.Errorf("faults %q, want %q", first.Drawn, want)
	}
	if want := "klamm replay leader-crash --seed 7 --continue 2s#1"; first.Replay() != want {
		t.Errorf("%q, want %q", first.Replay(), want)
	}
}

// A run can be stopped at an event, in any of its phases, and has no verdict then.
func TestARunStopsAtAnEvent(t *testing.T) {
	whole := mustRun(t, Spec{Scenario: "quiet", Seed: 1})
	for _, n := range []uint64{1, 5000, whole.Chain.Events} {
		o := mustRun(t, Spec{Scenario: "quiet", Seed: 1, UntilEvent: n})
		if o.Verdict != "" || o.Chain.Events < n || o.Chain.Events > n+1000 || len(o.State) == 0 {
			t.Errorf("asked for event %d: %d events, verdict %q", n, o.Chain.Events, o.Verdict)
		}
	}
	if o := mustRun(t, Spec{Scenario: "quiet", Seed: 1, UntilEvent: whole.Chain.Events + 1}); o.Chain != whole.Chain || o.Verdict != Held {
		t.Errorf("%s %s, want the whole run", o.Verdict, o.Chain)
	}
}
