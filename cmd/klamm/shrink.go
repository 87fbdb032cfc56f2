package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
	"github.com/spf13/cobra"
)

type shrinkFlags struct {
	questFlags
	out    string
	others int // schedules
}

func newShrinkCommand() *cobra.Command {
	var f shrinkFlags
	cmd := &cobra.Command{
		Use:   "shrink SCENARIO --seed N | CASE.yaml",
		Short: "Make a failing run smaller, and write it down as a case",
		Long: `Leave out of a failing run what it can fail without: faults, guests, clients, operations,
partitions and time. It goes on breaking the same guarantee. What is left is written to a
case file, and each fault in it has been left out, alone, in vain.

A smaller run takes another course: it may hold only because what was left out had moved
something by a millisecond. So where nothing more can be left out, smaller runs are made
with other schedules too: all is drawn anew from the moment on at which faults begin. The
case says so if it needs that.

An interrupt keeps the smallest run found so far.

Exit codes: 0 a case was written; 2 usage; 7 the run does not fail; 70 internal error;
130 interrupted, and the best so far was written.`,
		Example: `  klamm shrink everything --seed 7714
  klamm shrink everything --seed 7714 --case lost.yaml --runs 100 --for 10m
  klamm replay lost.yaml`,
		Args: oneArgument(aCaseOrScenario),
		RunE: func(cmd *cobra.Command, args []string) error {
			return judging(shrinkRun(cmd, args[0], f))
		},
	}
	f.addRun(cmd)
	cmd.Flags().StringVar(&f.out, "case", "", "write the case to this `file` (default SCENARIO-SEED.yaml)")
	cmd.Flags().IntVar(&f.others, "schedules", 3, "try so many other schedules before a fault is called needed")
	f.add(cmd, 300)
	return cmd
}

func shrinkRun(cmd *cobra.Command, name string, f shrinkFlags) error {
	spec, err := f.run(name)
	switch {
	case err != nil:
		return usage(err)
	case f.others < 0 || f.others > 1000:
		return usage(fmt.Errorf("--schedules %d: want 0 to 1000", f.others))
	case f.out == "" && casefile.IsName(name):
		return usage(errors.New("where to? want --case FILE"))
	case f.out == "":
		f.out = fmt.Sprintf("%s-%d.yaml", spec.Scenario, spec.Seed)
	case !casefile.IsName(f.out):
		return usage(fmt.Errorf("--case %s: want a name that ends in .yaml", f.out))
	}
	if err := checkTarget(f.out); err != nil {
		return usage(err)
	}
	q, stop := f.begin(cmd)
	defer stop()
	s := &shrinker{quest: q, flags: f, known: map[string]*scenarios.Result{}}
	if err := s.begin(spec); err != nil {
		return err
	}
	ended := s.all()
	if ended != nil && !endedEarly(ended) {
		return ended
	}
	if err := s.written(shrunkFully(ended == nil)).Write(f.out); err != nil {
		return err
	}
	if err := s.print(cmd.OutOrStdout(), ended); err != nil {
		return err
	}
	if errors.Is(ended, errInterrupted) {
		return ended
	}
	return nil
}

// shrunkFully says that nothing more can be left out.
type shrunkFully bool

// A shrinker looks for a smaller run that breaks the same guarantee.
type shrinker struct {
	*quest
	flags shrinkFlags

	before *scenarios.Result
	best   scenarios.Spec
	result *scenarios.Result            // of best
	known  map[string]*scenarios.Result // by what was run
	needed []neededFault
}

// A neededFault is a fault of the smallest run, and what the run comes to without it.
type neededFault struct {
	Fault     string `json:"fault"`
	Without   string `json:"without_it"` // with the schedule that the run has
	Schedules int    `json:"schedules"`  // with how many the guarantee is not broken without it
}

// begin makes the run as it is, with the faults that it has written down.
func (s *shrinker) begin(spec scenarios.Spec) error {
	r, err := s.failing(spec, "shrink")
	if err != nil {
		return err
	}
	spec.Script = &scenarios.Script{Faults: r.Drawn}
	s.before, s.best, s.result = r, spec, r
	return nil
}

// first makes runs until it is known which is the first that breaks the guarantee.
func (s *shrinker) first(specs []scenarios.Spec) (int, error) {
	results, err := s.makeOnce(specs, s.breaks)
	if err != nil {
		return -1, err
	}
	return slices.IndexFunc(results, s.breaks), nil
}

// keyOf names a run.
func keyOf(spec scenarios.Spec) string {
	b, _ := json.Marshal(spec) // of strings and numbers: it never fails
	return string(b)
}

// makeOnce makes runs, and returns what they came to: nil for one whose process died, or
// that was not made because enough tells of one before it. A run that was made before is
// not made again.
func (s *shrinker) makeOnce(specs []scenarios.Spec, enough func(*scenarios.Result) bool) ([]*scenarios.Result, error) {
	results, made := make([]*scenarios.Result, len(specs)), make([]bool, len(specs))
	index := map[string]int{}
	var todo []order
	for i, spec := range specs {
		key := keyOf(spec)
		if r, ok := s.known[key]; ok {
			results[i], made[i] = r, true
		} else if _, twice := index[key]; !twice {
			index[key] = i
			todo = append(todo, order{Spec: spec})
		}
	}
	over := func() bool {
		for i := range specs {
			if !made[i] {
				return false
			}
			if enough != nil && enough(results[i]) {
				return true
			}
		}
		return true
	}
	if over() {
		return results, nil
	}
	if s.runs+len(todo) > s.flags.runs {
		if todo = todo[:s.flags.runs-s.runs]; len(todo) == 0 {
			return nil, errRunsUsedUp
		}
	}
	err := s.make(todo, func(f finding) bool {
		i := index[keyOf(f.Spec)]
		made[i] = true
		if f.Died == nil && f.Error == "" {
			results[i] = &f.Result
		}
		s.known[keyOf(f.Spec)] = results[i]
		return !over()
	})
	if err == nil && !over() {
		err = errRunsUsedUp
	}
	return results, err
}

// written is the case to be written; complete says that nothing more can be left out.
func (s *shrinker) written(complete shrunkFully) casefile.Case {
	c := caseOf(s.best, *s.result)
	size := sizeOf(s.before)
	c.Shrunk = &casefile.Shrunk{Faults: size.Faults, Operations: size.Operations, VirtualNS: size.Virtual, Complete: bool(complete)}
	for _, n := range s.needed {
		c.Shrunk.Needed = append(c.Shrunk.Needed, casefile.Needed(n))
	}
	c.About = fmt.Sprintf("%s, shrunk from %d faults and %d operations", s.guarantee, len(s.before.Drawn), s.before.Operations.Total)
	return c
}

// A shrinkReport is what shrink prints as JSON; see docs/json.md.
type shrinkReport struct {
	Kind      string        `json:"_kind"`
	Version   int           `json:"_version"`
	Guarantee string        `json:"guarantee"`
	Before    shrinkSize    `json:"before"`
	After     shrinkSize    `json:"after"`
	Needed    []neededFault `json:"needed"`
	Runs      int           `json:"runs"`
	Complete  bool          `json:"complete"` // nothing more can be left out
	Case      string        `json:"case"`
}

type shrinkSize struct {
	Faults     int   `json:"faults"`
	Operations int   `json:"operations"`
	Virtual    int64 `json:"virtual_ns"`
}

func sizeOf(r *scenarios.Result) shrinkSize {
	return shrinkSize{len(r.Drawn), r.Operations.Total, r.VirtualNanos}
}

func (s *shrinker) print(out io.Writer, ended error) error {
	r := shrinkReport{
		Kind: "klamm.shrink", Version: 1, Guarantee: s.guarantee, Before: sizeOf(s.before), After: sizeOf(s.result),
		Needed: s.needed, Runs: s.runs, Complete: ended == nil, Case: s.flags.out,
	}
	if s.flags.output == "json" {
		if r.Needed == nil {
			r.Needed = []neededFault{}
		}
		return printJSON(out, r)
	}
	printResult(out, *s.result, 1)
	lines := [][]string{{"", "FAULTS", "OPERATIONS", "VIRTUAL"}}
	for _, row := range []struct {
		name string
		size shrinkSize
	}{{"before", r.Before}, {"after", r.After}} {
		lines = append(lines, []string{row.name, strconv.Itoa(row.size.Faults), strconv.Itoa(row.size.Operations),
			time.Duration(row.size.Virtual).Round(time.Millisecond).String()})
	}
	fmt.Fprintln(out)
	if err := writeColumns(out, lines); err != nil {
		return err
	}
	for _, n := range s.needed {
		fmt.Fprintf(out, "  needed: %s; without it: %s%s\n", n.Fault, n.Without, inSchedules(n.Schedules))
	}
	if ended != nil {
		fmt.Fprintf(out, "not complete: %v\n", ended)
	}
	_, err := fmt.Fprintf(out, "%s\nreplay: klamm replay %s\n", s.sofar(), s.flags.out)
	return err
}
