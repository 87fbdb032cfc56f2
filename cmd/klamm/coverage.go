package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/klammlog/klamm/internal/coverage"
	"github.com/klammlog/klamm/scenarios"
)

// A coverageReport is what the runs of a campaign had; see docs/json.md.
type coverageReport struct {
	Families []coverage.Family `json:"families"`
	Pairs    []coverage.Pair   `json:"pairs"`
}

// expect adds what the runs of a scenario may have. Of a case nothing is expected.
func (c *campaign) expect(name string) {
	s := scenarios.Find(name)
	if s == nil {
		return
	}
	var families []string
	for _, f := range s.MayHave() {
		families = append(families, string(f))
	}
	c.families.Expect(families)
}

// cover counts what a run had, if it came to anything.
func (c *campaign) cover(f finding) {
	if f.Result.Verdict != "" {
		c.families.Add(f.Result.Families, f.Result.Effective())
	}
}

// coverage tells what the runs had, nil if nobody asked.
func (c *campaign) coverage() *coverageReport {
	if !c.flags.coverage {
		return nil
	}
	return &coverageReport{Families: c.families.Alone(), Pairs: c.families.Pairs()}
}

func (c *campaign) printCoverage(out io.Writer) {
	if r := c.coverage(); r != nil {
		printFamilies(out, r.Families, r.Pairs)
		printPairs(out, r.Pairs)
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
