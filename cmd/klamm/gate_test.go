package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
)

// issued returns the first orders that a gate issues, so many at most.
func issued(t *testing.T, g *gate, most int) (out []order) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	orders := make(chan order)
	go func() { defer close(orders); g.issue(ctx, orders) }()
	for o := range orders {
		if out = append(out, o); len(out) == most {
			break
		}
	}
	cancel()
	for range orders { // until it has ended: what it reads is changed by its test
	}
	return out
}

// The cases come first, one of them twice; then seed after seed the scenarios in turn,
// one run in a hundred twice.
func TestAGateIssuesItsCasesAndThenFreshSeeds(t *testing.T) {
	g := &gate{names: []string{"crash", "quiet"}, base: 1 << 63, budget: time.Hour, artifacts: "out", cases: []order{
		{File: "a.yaml", Times: 1}, {File: "b.yaml", Times: 2}, {File: "c.yaml", Times: 1},
	}}
	var twice []int
	for i, o := range issued(t, g, 3+250) {
		if o.Times > 1 {
			twice = append(twice, i)
		}
		switch fresh := uint64(i - 3); {
		case i < 3 && o.File != g.cases[i].File:
			t.Errorf("order %d is %+v", i, o)
		case i >= 3 && (o.Spec.Scenario != g.names[fresh%2] || o.Spec.Seed != 1<<63+fresh/2 || o.Artifacts != "out"):
			t.Errorf("order %d is %+v", i, o)
		}
	}
	if want := []int{1, 3, 103, 203}; !slices.Equal(twice, want) {
		t.Errorf("made twice: %v, want %v", twice, want)
	}
	g.names = nil
	if got := issued(t, g, 100); len(got) != 3 {
		t.Errorf("a gate of 3 cases issues %d orders", len(got))
	}
	g.budget = 0
	if got := issued(t, g, 100); len(got) != 0 {
		t.Errorf("without time it issues %d orders", len(got))
	}
}

// A run of a crew is made as often as its order says.
func TestAnOrderSaysHowOftenItIsMade(t *testing.T) {
	workersAreThisTest(t)
	c, err := startCrew(gateTimes)
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	for times, again := range map[int]int{0: 1, 1: 0, 2: 1} {
		f := c.run(order{Spec: scenarios.Spec{Scenario: "quiet", Seed: 1, Until: 1e8}, Times: times})
		if len(f.Again) != again || f.Died != nil || f.Took <= 0 {
			t.Errorf("times %d: %d repetitions, %v", times, len(f.Again), f.Died)
		}
	}
}

// What was not run does not pass, whatever has held.
func TestAGateThatIsNotMadeWholeIsMissed(t *testing.T) {
	for _, c := range []struct {
		claim string
		runs  []string // what was run, and what it came to
		ended error
		fail  int
		code  int
		want  string
	}{
		{"whole", []string{"a.yaml held", "b.yaml held", "quiet held"}, nil, 0, 0, ""},
		{"a case is left", []string{"a.yaml held"}, nil, 0, exitMissed, "1 of 2 cases were not run: its budget of 5m0s was used up"},
		{"no time for seeds", []string{"a.yaml held", "b.yaml held"}, nil, 0, exitMissed, "no fresh seed was run: its cases used up its budget of 5m0s"},
		{"a broken promise outranks it", []string{"a.yaml violated"}, nil, 0, exitViolated, "1 of 2 cases were not run"},
		{"an interrupt ended it", []string{"a.yaml held"}, errInterrupted, 0, exitInterrupted, ""},
		{"enough has failed", []string{"a.yaml stuck"}, nil, 1, exitStuck, ""},
	} {
		t.Run(c.claim, func(t *testing.T) {
			g := &gate{file: "gate.yaml", budget: 5 * time.Minute, names: []string{"quiet"}, cases: []order{{File: "a.yaml"}, {File: "b.yaml"}}}
			camp := newCampaign(append(rowsOf(g.cases), g.names...), runFlags{output: "text", failFast: c.fail})
			camp.gate = g
			for _, run := range c.runs {
				name, verdict, _ := strings.Cut(run, " ")
				f := parseFinding(t, "quiet 1 "+verdict, 1)
				if casefile.IsName(name) {
					f.File = name
				}
				camp.take(f)
			}
			camp.ended = c.ended
			var out, errs bytes.Buffer
			if err := camp.print(&out, &errs); err != nil {
				t.Fatal(err)
			}
			if code := codeOf(camp.exit()); code != c.code || c.want != "" != strings.Contains(errs.String(), "the gate is missed: "+c.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, c.code, c.want, &errs)
			}
		})
	}
}

// Seeds are made of the commit that is checked out where the gate lies; where nothing
// is, of what the workflow is about.
func TestSeedsOfAGateAreMadeOfTheCommit(t *testing.T) {
	const sha = "00000000000000ff00000000000000000000000a"
	dir := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	f := runFlags{gate: filepath.Join(dir, "gate.yaml")}
	t.Setenv("GITHUB_SHA", "")
	if base, _, err := f.seedBase(); err == nil || !strings.Contains(err.Error(), "want --seed") {
		t.Errorf("without a commit: %d, %v", base, err)
	}
	t.Setenv("GITHUB_SHA", sha)
	if base, from, err := f.seedBase(); err != nil || base != 0xff || from != sha {
		t.Errorf("in a workflow: %d of %s, %v", base, from, err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "one"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Skipf("no git: %v: %s", err, out)
		}
	}
	base, from, err := f.seedBase()
	if err != nil || from == sha || len(from) != 40 || fmt.Sprintf("%016x", base) != from[:16] {
		t.Errorf("in a checkout: %d of %s, %v", base, from, err)
	}
	f.seed = fmt.Sprint(base)
	if again, _, err := f.seedBase(); err != nil || again != base {
		t.Errorf("by hand: %d, %v, want %d", again, err, base)
	}
}

// aGate writes a gate over two cases, one that holds and one that loses what it
// acknowledged, both short.
func aGate(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, c := range map[string]casefile.Case{
		"held.yaml": {Scenario: "quiet", Seed: 1, Set: []string{"run.sends=50"}},
		"lost.yaml": {Scenario: "power-loss", Seed: 2, Set: []string{"log.flush=os", "run.sends=400"}, Faults: lossOfPower(t)},
	} {
		if err := c.Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "gate.yaml")
	put(t, file, text)
	return file
}

// lossOfPower is what happens in the run that the README shows.
func lossOfPower(t *testing.T) []string {
	t.Helper()
	o, err := scenarios.Run(scenarios.Spec{Scenario: "power-loss", Seed: 2, Until: 1}, scenarios.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	return o.Drawn
}

// A gate is told to people, to programs, to a CI server and to GitHub alike.
func TestAGateTellsWhatCameOfIt(t *testing.T) {
	inTheSimulator(t)
	file := aGate(t, "klamm: 1\ncases: ['*d.yaml', lost.yaml]\nscenarios: [quiet]\nbudget: 1h\n")
	dir := filepath.Dir(file)
	t.Setenv("GITHUB_STEP_SUMMARY", filepath.Join(dir, "summary.md"))
	cmd := klamm(t, "run", "--gate", file, "--seed", "77", "--fail-fast", "1", "--jobs", "1", "--junit", filepath.Join(dir, "klamm.xml"), "--github", "-o", "json")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != exitViolated {
		t.Fatalf("exit code %d:\n%s%s", code, out, &errs)
	}
	var r runReport
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	lost := filepath.Join(dir, "lost.yaml")
	if r.Gate.SeedBase != 77 || r.Gate.Cases != 2 || r.Gate.CasesRun != 2 || r.Gate.Missed != "" || len(r.Failures) != 1 ||
		r.Failures[0].Replay != "klamm replay "+lost || r.Rows[0].Repeated+r.Rows[1].Repeated != 1 {
		t.Errorf("%+v %+v", r.Gate, r)
	}
	if !strings.Contains(errs.String(), "gate "+file+": 2 cases, then seeds from 77 on (of 77) of quiet, for 1h0m0s") ||
		!strings.Contains(errs.String(), "\n::error title=klamm%3A "+lost+" seed 2::VIOLATED power-loss seed 2: ") ||
		!strings.Contains(errs.String(), "%0Areplay: klamm replay "+lost+"\n") {
		t.Errorf("standard error: %s", &errs)
	}
	var suites junitSuites
	readXML(t, filepath.Join(dir, "klamm.xml"), &suites)
	if s := suites.Suites[0]; s.Failures != 1 || s.Errors != 0 || s.Tests != 3 || !strings.Contains(s.Cases[1].Failure.Text, "replay: klamm replay "+lost) {
		t.Errorf("%+v", s)
	}
	summary, err := os.ReadFile(filepath.Join(dir, "summary.md"))
	if err != nil || !strings.Contains(string(summary), "\nklamm replay "+lost+"\n") {
		t.Errorf("summary: %v: %s", err, summary)
	}
}

// A gate's time may be up before its cases are through: then nobody knows whether they
// hold, and the gate is not passed.
func TestAGateWithoutTimeIsMissed(t *testing.T) {
	inTheSimulator(t)
	file := aGate(t, "klamm: 1\ncases: [held.yaml]\nbudget: 1h\n")
	out, code := exitOfCommand(t, "run", "--gate", file, "--seed", "1", "--for", "1ns", "-o", "json")
	if code != exitMissed || !strings.Contains(out, `"missed": "1 of 1 cases were not run: its budget of 1ns was used up"`) {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := exitOfCommand(t, "run", "--gate", file, "--seed", "1", "--jobs", "1"); code != 0 || !strings.Contains(out, "held, identical 1") {
		t.Errorf("with time, exit code %d: %s", code, out)
	}
}

func TestRunRefusesGates(t *testing.T) {
	good := aGate(t, "klamm: 1\ncases: [held.yaml]\nbudget: 1h\n")
	for want, args := range map[string][]string{
		"--gate says by itself":           {"--gate", good, "quiet"},
		"want --seed for where they":      {"--gate", good, "--seeds", "1+5"},
		"makes one run in 100 twice":      {"--gate", good, "--repeat", "2"},
		"it is another gate":              {"--gate", good, "--set", "log.flush=os"},
		`seed "tomorrow"`:                 {"--gate", good, "--seed", "tomorrow"},
		`scenarios: no scenario "loud"`:   {"--seed", "1", "--gate", aGate(t, "klamm: 1\nscenarios: [loud]\nbudget: 1h\n")},
		"there is no key cases":           {"--seed", "1", "--gate", aGate(t, "klamm: 1\ncases: [gate.yaml]\nbudget: 1h\n")},
		"no such file or directory":       {"--gate", good + ".yaml"},
		"--junit: open /proc/klamm/x.xml": {"quiet", "--junit", "/proc/klamm/x.xml"},
	} {
		cmd := klamm(t, append([]string{"run"}, args...)...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitUsage || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), want) {
			t.Errorf("%v: code %d, %q, want one line with %q", args, code, out, want)
		}
	}
}

func readXML(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, v); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
}
