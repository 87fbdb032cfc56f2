package scenarios

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// probesText lists the probes of node code, one a line; TestProbesAreListed keeps
// it true.
//
//go:embed probes.txt
var probesText string

// pointsText does so with the buggify points.
//
//go:embed points.txt
var pointsText string

// rareText lists probes that it takes many runs to reach, and runs that did.
//
//go:embed rare.txt
var rareText string

// KnownProbes returns the names of all probes in node code, sorted.
func KnownProbes() []string { return strings.Split(strings.TrimSpace(probesText), "\n") }

// KnownPoints returns the names of all buggify points in node code, sorted.
func KnownPoints() []string { return strings.Split(strings.TrimSpace(pointsText), "\n") }

// ExpectedProbes returns the probes that runs of scenarios reach between them, if there
// are enough of them, sorted. Of all scenarios together that is every probe there is; of
// some, those that they say they are about.
func ExpectedProbes(names []string) []string {
	var out []string
	if everyScenario(names) {
		out = KnownProbes()
	}
	for _, name := range names {
		if s := Find(name); s != nil {
			out = slices.Concat(out, s.Needs, s.Reaches)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ExpectedPoints returns the buggify points at which runs of scenarios are unlucky, if
// there are enough of them, sorted: all points for all scenarios, and none for some.
func ExpectedPoints(names []string) []string {
	if everyScenario(names) {
		return KnownPoints()
	}
	return nil
}

func everyScenario(names []string) bool {
	return !slices.ContainsFunc(registry, func(s *Scenario) bool { return !slices.Contains(names, s.Name) })
}

// A RareProbe is one that a gate's few runs need not reach.
type RareProbe struct {
	Name string
	Runs []Spec // that reached it; none if nobody knows one
}

// RareProbes returns them, sorted by name.
func RareProbes() []RareProbe {
	out, err := parseRare(rareText)
	if err != nil {
		panic("scenarios: " + err.Error()) // the tests have read the same text
	}
	return out
}

// parseRare reads lines of a probe, and behind <- scenarios with seeds, with commas
// between them. Lines that begin with # say why.
func parseRare(text string) ([]RareProbe, error) {
	var out []RareProbe
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, runs, _ := strings.Cut(line, "<-")
		p := RareProbe{Name: strings.TrimSpace(name)}
		for run := range strings.SplitSeq(strings.TrimSpace(runs), ",") {
			scenario, number, _ := strings.Cut(strings.TrimSpace(run), " ")
			if scenario == "" {
				continue
			}
			seed, err := strconv.ParseUint(number, 10, 64)
			if err != nil || Find(scenario) == nil {
				return nil, fmt.Errorf("rare.txt: %q: want a scenario and a seed", run)
			}
			p.Runs = append(p.Runs, Spec{Scenario: scenario, Seed: seed})
		}
		out = append(out, p)
	}
	return out, nil
}
