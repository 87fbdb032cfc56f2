package main

import (
	_ "embed"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// absent says which bugs of real systems are not planted, and why.
//
//go:embed planted/absent.md
var absent string

// found returns in how many campaigns the mutant was found.
func (t trophy) found() (n int) {
	for _, c := range t.Campaigns {
		if c.Found {
			n++
		}
	}
	return n
}

// line sums a trophy up.
func (t trophy) line(limit int) string {
	var seeds []int
	var judges []string
	replay := "-"
	for _, c := range t.Campaigns {
		n := limit
		if c.Found {
			n, replay = c.Seeds, "`"+t.witness(c)+"`"
			if !slices.Contains(judges, c.Guarantee) {
				judges = append(judges, c.Guarantee)
			}
		}
		seeds = append(seeds, n)
	}
	slices.Sort(seeds)
	return fmt.Sprintf("| `%s` | %s | %d/%d | %d (%d to %d) | %s | %s | %s |", t.Name, t.Source, t.found(), len(t.Campaigns),
		median(seeds), seeds[0], seeds[len(seeds)-1], strings.Join(judges, ", "), t.script(), replay)
}

// witness returns the command that shows what was found again.
func (t trophy) witness(c campaign) string {
	if !t.Repeat {
		return c.Replay
	}
	return strings.Replace(c.Replay, "klamm replay", "klamm run", 1) + " --repeat 2"
}

// script says what its scripted test does.
func (t trophy) script() string {
	switch {
	case t.Repeat:
		return "none: runs are repeated and compared"
	case t.Scripted:
		return "fails with it"
	}
	return "PASSES with it"
}

func (t trophy) virtual() (d time.Duration) {
	for _, c := range t.Campaigns {
		d += c.Virtual
	}
	return d.Round(time.Second)
}

// unsound returns how many complaints were not the mutant's.
func (t trophy) unsound() (n int) {
	for _, c := range t.Campaigns {
		n += c.Unsound
	}
	return n
}

// render writes the report of the mutants hunted so far, of so many.
func render(trophies []trophy, of int, o *options) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Planted bugs, hunted

%sgo run ./internal/mutants -campaigns %d -limit %d -scenarios %s -o results/mutants.md%s, at commit %s.

Each mutant is a change to klamm's own code (%sinternal/mutants/planted%s), planted with %sgo build -overlay%s and hunted
with the ordinary scenarios %s: %d campaigns of up to %d seeds of each,
ended by the first complaint that the same run without the mutant does not earn. *Seeds*: how many of each scenario
it took, median over the campaigns (least to most). *Scripted test*: a test of the mechanism in the package concerned, which
passes without the mutant and must fail with it.

| mutant | seen in | found | seeds | complained | scripted test | a witness, in the mutant's binary |
|---|---|---|---|---|---|---|
`, "`", o.campaigns, o.limit, strings.Join(o.scenarios, ","), "`", commit(o.root), "`", "`", "`", "`", strings.Join(o.scenarios, ", "), o.campaigns, o.limit)
	for _, t := range trophies {
		fmt.Fprintln(&b, t.line(o.limit))
	}
	if n := of - len(trophies); n > 0 {
		fmt.Fprintf(&b, "\n**Cut short**: %d of %d mutants were not hunted.\n", n, of)
	}
	fmt.Fprint(&b, "\n## Mechanisms\n\n")
	for _, t := range trophies {
		fmt.Fprintf(&b, "* `%s`: %s", t.Name, t.Mechanism)
		if !t.Repeat {
			fmt.Fprintf(&b, " Scripted: `%s` in `%s`.", t.Test[1], t.Test[0])
		}
		fmt.Fprintf(&b, " Hunted for %s of virtual time.", t.virtual())
		if n := t.unsound(); n > 0 {
			fmt.Fprintf(&b, " %d complaints were not its own.", n)
		}
		fmt.Fprintln(&b)
	}
	return b.String() + "\n" + absent
}

// commit names the state of the repository.
func commit(root string) string {
	out, err := exec.Command("git", "-C", root, "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
