package main

import (
	"os"
	"regexp"
	"slices"
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

// readmeCommands are the lines of the README that begin with klamm, as words.
func readmeCommands(t *testing.T) (text string, lines [][]string) {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text = string(b)
	joined := strings.ReplaceAll(text, "\\\n", " ")
	for _, line := range regexp.MustCompile(`(?m)^(?:go run ./cmd/)?klamm .*$`).FindAllString(joined, -1) {
		line, _, _ = strings.Cut(line, "  #")
		for _, end := range []string{" | ", " < ", " > "} {
			line, _, _ = strings.Cut(line, end)
		}
		words, err := splitLine(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		lines = append(lines, words[slices.IndexFunc(words, func(w string) bool { return strings.HasSuffix(w, "klamm") })+1:])
	}
	return text, lines
}

// What the README has a reader type has the commands, the flags and the arguments that
// this klamm takes.
func TestReadmeCommandsAreUnderstood(t *testing.T) {
	_, lines := readmeCommands(t)
	if len(lines) < 30 {
		t.Fatalf("the README has %d commands", len(lines))
	}
	for _, words := range lines {
		cmd, rest, err := newRoot().Find(words)
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err == nil {
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err != nil {
			t.Errorf("klamm %s: %v", strings.Join(words, " "), err)
		}
	}
}

// Every command can be found from the README, by its name; what is below one, by its help.
func TestReadmeNamesEveryCommand(t *testing.T) {
	text, _ := readmeCommands(t)
	root := newRoot()
	campaign, _, err := root.Find([]string{"campaign"})
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range slices.Concat(root.Commands(), campaign.Commands()) {
		named := regexp.MustCompile(`\b` + regexp.QuoteMeta(cmd.CommandPath()) + `\b`).MatchString(text)
		if !cmd.Hidden && cmd.Name() != "completion" && cmd.Name() != "help" && !named && !cmd.IsAdditionalHelpTopicCommand() {
			t.Errorf("the README does not name %s", cmd.CommandPath())
		}
	}
}
