package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/klammlog/klamm/internal/coverage"
	"github.com/klammlog/klamm/scenarios"
)

// A cover is what the runs of a campaign had and reached.
type cover struct {
	families        coverage.Families
	probes, buggify coverage.Marks
}

// A coverageReport is its JSON form; see docs/json.md.
type coverageReport struct {
	Families []coverage.Family `json:"families"`
	Pairs    []coverage.Pair   `json:"pairs"`
	Probes   []coverage.Mark   `json:"probes"`
	Buggify  []coverage.Mark   `json:"buggify"`
	Missed   []string          `json:"missed"`
}

// expect says what runs of scenarios may have, and are to reach between them. Nothing is
// expected of cases.
func (c *cover) expect(names []string) {
	for _, name := range names {
		if s := scenarios.Find(name); s != nil {
			var families []string
			for _, f := range s.MayHave() {
				families = append(families, string(f))
			}
			c.families.Expect(families)
		}
	}
	rare := map[string]bool{}
	for _, p := range scenarios.RareProbes() {
		rare[p.Name] = true
	}
	for _, name := range scenarios.ExpectedProbes(names) {
		expected := coverage.Expected
		if rare[name] {
			expected = coverage.Rare
		}
		c.probes.Expect(name, expected)
	}
	for _, name := range scenarios.ExpectedPoints(names) {
		c.buggify.Expect(name, coverage.Expected)
	}
}

// add counts a run, if it came to anything.
func (c *cover) add(f finding) {
	if f.Result.Verdict == "" {
		return
	}
	c.families.Add(f.Result.Families, f.Result.Effective())
	run := coverage.Run{Number: f.Spec.Seed, Name: f.replay()}
	for _, p := range f.Result.Probes {
		c.probes.Add(run, p.Name, p.Times)
	}
	for _, p := range f.Result.Buggify {
		c.buggify.Add(run, p.Name, p.Times)
	}
}

// missed returns the probes that some run was to reach and none did, if that is a failure.
// Of buggify points it is none: which of them a run has is the seed's alone, whatever its
// scenario, and the few seeds of a gate leave some out.
func (c *campaign) missed() []string {
	if !c.flags.mustReach {
		return nil
	}
	return c.had.probes.Unreached(coverage.Expected)
}

// coverage tells what the runs had and reached, nil if nobody asked.
func (c *campaign) coverage() *coverageReport {
	if !c.flags.coverage && !c.flags.mustReach {
		return nil
	}
	return &coverageReport{
		Families: c.had.families.Alone(), Pairs: c.had.families.Pairs(),
		Probes: c.had.probes.All(), Buggify: c.had.buggify.All(), Missed: append([]string{}, c.missed()...),
	}
}

// printCoverage prints what the runs had and reached, and what some run had to reach and
// none did, as far as that was asked for.
func (c *campaign) printCoverage(out io.Writer) {
	if r := c.coverage(); c.flags.coverage {
		printFamilies(out, r.Families, r.Pairs)
		printPairs(out, r.Pairs)
		printMarks(out, "PROBE", r.Probes)
		printMarks(out, "BUGGIFY POINT", r.Buggify)
	}
	missed := c.missed()
	if len(missed) > 0 {
		fmt.Fprintln(out)
	}
	for _, name := range missed {
		fmt.Fprintf(out, "MISSED no run reached: %s\n", name)
	}
}

// printMarks prints which marks came up, and names those that were expected and did not.
func printMarks(out io.Writer, what string, marks []coverage.Mark) {
	lines := [][]string{{what, "RUNS", "TIMES", "FIRST"}}
	var unreached []string
	for _, m := range marks {
		switch {
		case m.Runs > 0:
			lines = append(lines, []string{m.Name, fmt.Sprint(m.Runs), fmt.Sprint(m.Times), m.First})
		case m.Expected == coverage.Rare:
			unreached = append(unreached, "no run reached, as few do: "+m.Name)
		default:
			unreached = append(unreached, "no run reached: "+m.Name)
		}
	}
	if len(marks) == 0 {
		return
	}
	fmt.Fprintln(out)
	writeColumns(out, lines)
	for _, line := range unreached {
		fmt.Fprintln(out, line)
	}
}

// matrixFamilies is how many families a table of their pairs may have.
const matrixFamilies = 16

// printFamilies prints in how many runs each family was and, unless there are too many,
// in how many it took effect together with each other: - where no run had both.
func printFamilies(out io.Writer, families []coverage.Family, pairs []coverage.Pair) {
	if len(families) == 0 {
		return
	}
	both := map[[2]string]string{}
	for _, p := range pairs {
		if both[p.Families] = fmt.Sprint(p.Effective); p.Drawn == 0 {
			both[p.Families] = "-"
		}
	}
	lines := [][]string{{"FAMILY", "DRAWN", "EFFECTIVE"}}
	matrix := len(families) <= matrixFamilies && len(pairs) > 0
	if matrix {
		lines[0] = append(lines[0], "WITH")
	}
	for i, f := range families {
		line := []string{f.Family, fmt.Sprint(f.Drawn), fmt.Sprint(f.Effective)}
		if matrix {
			lines[0], line = append(lines[0], fmt.Sprint(i+1)), append(line, fmt.Sprint(i+1))
			for _, g := range families[:i] {
				line = append(line, both[[2]string{g.Family, f.Family}])
			}
		}
		lines = append(lines, line)
	}
	fmt.Fprintln(out)
	writeColumns(out, lines)
}

// printPairs tells how many pairs there were, and names those that no run had.
func printPairs(out io.Writer, pairs []coverage.Pair) {
	if len(pairs) == 0 {
		return
	}
	drawn, effective := 0, 0
	var never [][]string // a family, and those it never was with
	for _, p := range pairs {
		if p.Drawn > 0 {
			drawn++
		} else if last := len(never) - 1; last >= 0 && never[last][0] == p.Families[0] {
			never[last] = append(never[last], p.Families[1])
		} else {
			never = append(never, p.Families[:])
		}
		if p.Effective > 0 {
			effective++
		}
	}
	fmt.Fprintf(out, "\nof %d pairs of families %d were in one run, and %d took effect in one\n", len(pairs), drawn, effective)
	for _, names := range never {
		fmt.Fprintf(out, "no run had %s with %s\n", names[0], strings.Join(names[1:], ", "))
	}
}
