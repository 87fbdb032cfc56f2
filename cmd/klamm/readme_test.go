package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/klammlog/klamm/scenarios"
)

// What the README shows of a run without the sync is what such runs print, but for
// the numbers.
func TestReadmeShowsARealViolation(t *testing.T) {
	inTheSimulator(t)
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^VIOLATED power-loss seed .*$`).FindString(string(text))
	replay := regexp.MustCompile(`(?m)^replay: klamm replay power-loss --seed \d+ --set log\.flush=os$`).FindString(string(text))
	if shown == "" || replay == "" {
		t.Fatal("the README shows no violation, or no line to paste")
	}
	numbers := regexp.MustCompile(`\d+`)
	mask := func(s string) string { return numbers.ReplaceAllString(s, "N") }
	var printed []string
	for seed := uint64(1); seed <= defaultSeeds; seed++ {
		o, err := scenarios.Run(scenarios.Spec{Scenario: "power-loss", Seed: seed, Set: []string{"log.flush=os"}}, scenarios.Watch{})
		if err != nil {
			t.Fatal(err)
		}
		if printed = append(printed, o.Headline()); mask(o.Headline()) == mask(shown) &&
			mask("replay: "+o.Replay()) == mask(replay) {
			return
		}
	}
	t.Errorf("the README shows\n%s\nand runs print\n%s", shown, strings.Join(printed, "\n"))
}
