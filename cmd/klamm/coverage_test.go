package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// reaching is a campaign of one scenario whose runs reached probes.
func reaching(scenario string, f runFlags, probes ...string) *campaign {
	c := newCampaign([]string{scenario}, f)
	for i, name := range probes {
		run := finding{order: order{Spec: scenarios.Spec{Scenario: scenario, Seed: uint64(i)}}}
		run.Result = scenarios.Result{Scenario: scenario, Seed: uint64(i), Verdict: scenarios.Held, Probes: []sim.Count{{Name: name, Times: 1}}}
		c.take(run)
	}
	return c
}

// A campaign that must reach what its scenarios are about fails if it does not.
func TestAGateThatReachedTooLittleIsMissed(t *testing.T) {
	about := scenarios.ExpectedProbes([]string{"isr-flap"})
	if len(about) < 2 {
		t.Fatalf("isr-flap is about %q", about)
	}
	must := runFlags{mustReach: true, repeat: 1}
	if err := reaching("isr-flap", must, about...).exit(); err != nil {
		t.Errorf("everything was reached: %v", err)
	}
	if err := reaching("isr-flap", runFlags{repeat: 1}).exit(); err != nil {
		t.Errorf("nothing must be reached: %v", err)
	}
	c := reaching("isr-flap", must, about[1:]...)
	if code := codeOf(c.exit()); code != exitMissed {
		t.Errorf("exit code %d with %q unreached", code, about[0])
	}
	if got := c.report(); !slices.Equal(got.Coverage.Missed, about[:1]) || got.Exit != exitMissed {
		t.Errorf("missed %q, exit code %d", got.Coverage.Missed, got.Exit)
	}
	var out bytes.Buffer
	if c.printCoverage(&out); out.String() != "\nMISSED no run reached: "+about[0]+"\n" {
		t.Errorf("printed %q", out.String())
	}
	if c.ended = errInterrupted; codeOf(c.exit()) != exitInterrupted {
		t.Errorf("a campaign that was interrupted missed something: exit code %d", codeOf(c.exit()))
	}
}

// A rare probe is none that a gate misses.
func TestRareProbesNeedNotBeReached(t *testing.T) {
	rare := scenarios.RareProbes()
	if len(rare) == 0 {
		t.Skip("no probe is rare")
	}
	c := newCampaign(scenarios.Names(), runFlags{mustReach: true, coverage: true, repeat: 1})
	if missed := c.missed(); slices.Contains(missed, rare[0].Name) || len(missed) == 0 {
		t.Errorf("no run was made, and missed are %q", missed)
	}
	var out bytes.Buffer
	if c.printCoverage(&out); !strings.Contains(out.String(), "\nno run reached, as few do: "+rare[0].Name+"\n") {
		t.Errorf("%q is not told", rare[0].Name)
	}
}
