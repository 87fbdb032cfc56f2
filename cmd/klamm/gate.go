package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
)

// One run in gateRepeats of a gate is made gateTimes, each time in another process, and
// compared.
const (
	gateTimes   = 2
	gateRepeats = 100
)

// A gate is what a change has to pass: cases that have to hold, and then as many fresh
// seeds as there is time for.
type gate struct {
	file      string
	budget    time.Duration
	cases     []order
	names     []string // scenarios, of which fresh seeds are run
	base      uint64   // where the seeds begin
	from      string   // what base is made of
	artifacts string
}

// openGate reads a gate, and everything that it names.
func (f runFlags) openGate(args []string) (*gate, error) {
	switch {
	case len(args) > 0:
		return nil, fmt.Errorf("%q: --gate says by itself what is run", args[0])
	case f.seeds != "":
		return nil, errors.New("--seeds: a gate takes seeds until its time is up: want --seed for where they begin")
	case f.repeat != 1:
		return nil, fmt.Errorf("--repeat: a gate makes one run in %d twice, and the others once", gateRepeats)
	case len(f.set) > 0:
		return nil, fmt.Errorf("--set %s: with other settings it is another gate", f.set[0])
	}
	file, err := casefile.ReadGate(f.gate)
	if err != nil {
		return nil, err
	}
	g := &gate{file: f.gate, budget: file.Budget, artifacts: f.artifacts}
	if f.budget > 0 {
		g.budget = f.budget
	}
	if len(file.Scenarios) > 0 {
		if g.names, err = chosenScenarios(file.Scenarios); err != nil {
			return nil, fmt.Errorf("%s: scenarios: %w", f.gate, err)
		}
	}
	if g.base, g.from, err = f.seedBase(); err != nil {
		return nil, err
	}
	for i, name := range file.Cases {
		o, err := caseOrder(name, nil)
		if err != nil {
			return nil, err
		}
		o.Artifacts = f.artifacts
		count := uint64(len(file.Cases))
		o.Times = timesOf(g.base%count+uint64(i), count)
		g.cases = append(g.cases, o)
	}
	return g, nil
}

// timesOf returns how often a run is made, if one in every is repeated.
func timesOf(number, every uint64) int {
	if number%every == 0 {
		return gateTimes
	}
	return 1
}

// seedBase says where a gate's seeds begin, and what that is made of: of --seed, or of
// the commit, so that another commit has other seeds and the same one the same.
func (f runFlags) seedBase() (base uint64, from string, err error) {
	from = f.seed
	if from == "" {
		if from, err = commitOf(filepath.Dir(f.gate)); err != nil {
			return 0, "", fmt.Errorf("%s: %w", f.gate, err)
		}
	}
	base, err = parseSeed(from)
	return base, from, err
}

// commitOf returns the commit that is checked out where dir lies, or the one that a
// workflow of GitHub is about, as 40 hexadecimal digits.
func commitOf(dir string) (string, error) {
	head, err := exec.Command("git", "-C", dir, "rev-parse", "--verify", "--quiet", "HEAD").Output()
	if err != nil {
		head = nil // no git, or no checkout
	}
	for _, commit := range []string{strings.TrimSpace(string(head)), os.Getenv("GITHUB_SHA")} {
		if _, err := hex.DecodeString(commit); err == nil && len(commit) >= 40 {
			return commit[:40], nil // of SHA-256 there are 64
		}
	}
	return "", errors.New("it lies in no git checkout and $GITHUB_SHA is not set, so there is no commit to make seeds of: want --seed")
}

// opening says what a gate is going to do, with what it takes to do it again.
func (g *gate) opening() string {
	line := fmt.Sprintf("gate %s: %d cases", g.file, len(g.cases))
	if len(g.names) > 0 {
		line += fmt.Sprintf(", then seeds from %d on (of %s) of %s", g.base, g.from, strings.Join(g.names, ", "))
	}
	return fmt.Sprintf("%s, for %s", line, g.budget)
}

// again returns the command that passes the same gate, from the same seeds on.
func (g *gate) again() string {
	return fmt.Sprintf("klamm run --gate %s --seed %d", g.file, g.base)
}

// issue hands out the cases, and then runs of fresh seeds, the scenarios in turn for
// each, until the budget is used.
func (g *gate) issue(ctx context.Context, orders chan<- order) {
	ctx, cancel := context.WithTimeout(ctx, g.budget)
	defer cancel()
	for _, o := range g.cases {
		if !send(ctx, orders, o) {
			return
		}
	}
	for i := uint64(0); len(g.names) > 0; i++ {
		name, seed := g.names[i%uint64(len(g.names))], g.base+i/uint64(len(g.names))
		o := order{Spec: scenarios.Spec{Scenario: name, Seed: seed}, Artifacts: g.artifacts, Times: timesOf(i, gateRepeats)}
		if !send(ctx, orders, o) {
			return
		}
	}
}

// send hands out an order, unless ctx has ended.
func send(ctx context.Context, orders chan<- order, o order) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case orders <- o:
		return true
	case <-ctx.Done():
		return false
	}
}

// A gateReport is what a run's JSON says of its gate.
type gateReport struct {
	File     string        `json:"file"`
	SeedBase uint64        `json:"seed_base"`
	From     string        `json:"seed_base_of"`
	Budget   time.Duration `json:"budget_ns"`
	Cases    int           `json:"cases"`
	CasesRun int           `json:"cases_run"`
	Fresh    int           `json:"fresh"`
	Again    string        `json:"again"`
	Missed   string        `json:"missed,omitempty"`
}

// gateReport counts what was made of a gate, nil if there is none.
func (c *campaign) gateReport() *gateReport {
	if c.gate == nil {
		return nil
	}
	g := c.gate
	r := &gateReport{File: g.file, SeedBase: g.base, From: g.from, Budget: g.budget, Cases: len(g.cases), Again: g.again()}
	for _, o := range g.cases {
		if c.rows[o.row()].Seeds > 0 {
			r.CasesRun++
		}
	}
	for _, name := range g.names {
		r.Fresh += c.rows[name].Seeds
	}
	switch {
	case c.ended != nil || c.enough():
		// It was not the budget that ended it, and it does not pass as it is.
	case r.CasesRun < r.Cases:
		r.Missed = fmt.Sprintf("%d of %d cases were not run: its budget of %s was used up", r.Cases-r.CasesRun, r.Cases, g.budget)
	case len(g.names) > 0 && r.Fresh == 0:
		r.Missed = fmt.Sprintf("no fresh seed was run: its cases used up its budget of %s", g.budget)
	}
	return r
}

// gateMissed says in what a gate was not made whole, "" if it was or there is none.
func (c *campaign) gateMissed() string {
	if r := c.gateReport(); r != nil {
		return r.Missed
	}
	return ""
}
