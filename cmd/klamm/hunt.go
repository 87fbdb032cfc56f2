package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/internal/hunt"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
	"github.com/spf13/cobra"
)

type huntFlags struct {
	questFlags
	out string
}

func newHuntCommand() *cobra.Command {
	var f huntFlags
	cmd := &cobra.Command{
		Use:   "hunt SCENARIO",
		Short: "Look for a run that breaks a guarantee, led by what runs reach",
		Long: `Make runs of a scenario until one breaks a guarantee. The first sixty are of fresh
seeds. A run that reached something new is kept: a probe, a buggify point, one of them
more often than any run before, a probe together with a family of faults. Kept runs are
changed then: faults are left out, moved to when something rare was reached, made longer,
aimed at others, doubled; and luck turns there. Other runs are of seeds that are set up as
none before, some with faults of kept runs; and one run in four is that of a fresh seed.
What is found is written to a case file.

With --jobs 1 a hunt is a function of its seed and this binary.

Exit codes: 0 nothing was found; 1 a safety guarantee was broken; 2 usage; 3 something
never finished after the faults stopped; 70 internal error; 130 interrupted.`,
		Example: `  klamm hunt everything --runs 2000
  klamm hunt leader-crash --for 10m --seed 7 --case found.yaml
  klamm shrink found.yaml --case small.yaml`,
		Args: oneArgument("one of the scenarios that klamm list scenarios prints"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return judging(huntRun(cmd, args[0], f))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.seed, "seed", "1", "the search's seed, and its first run's: a number, 0x…, a commit, or random")
	flags.StringArrayVar(&f.set, "set", nil, "settings of every run, `name=value`; repeatable")
	flags.StringVar(&f.out, "case", "", "write what is found to this `file` (default SCENARIO-hunt-SEED.yaml)")
	f.add(cmd, 1000)
	return cmd
}

func huntRun(cmd *cobra.Command, scenario string, f huntFlags) error {
	seed, err := f.check(scenario)
	if err != nil {
		return usage(err)
	}
	q, stop := f.begin(cmd)
	defer stop()
	h := &hunter{quest: q, flags: f, scenario: scenario, search: hunt.New(seed, seed), mayLose: map[uint64]bool{}}
	ended := h.run()
	if ended != nil && !errors.Is(ended, errInterrupted) {
		return ended
	}
	if h.found != nil {
		if err := h.written().Write(f.out); err != nil {
			return err
		}
	}
	if err := h.print(cmd.OutOrStdout()); err != nil {
		return err
	}
	if h.found != nil {
		return exitCode(h.code())
	}
	return ended
}

// check returns what is wrong with the flags, or the seed; it completes them.
func (f *huntFlags) check(scenario string) (seed uint64, err error) {
	if seed, err = parseSeed(f.seed); err != nil {
		return 0, err
	}
	if err := f.questFlags.check(); err != nil {
		return 0, err
	}
	switch {
	case scenarios.Find(scenario) == nil:
		return 0, noScenario(scenario)
	case f.out == "":
		f.out = fmt.Sprintf("%s-hunt-%d.yaml", scenario, seed)
	case !casefile.IsName(f.out):
		return 0, fmt.Errorf("--case %s: want a name that ends in .yaml", f.out)
	}
	if err := checkTarget(f.out); err != nil {
		return 0, err
	}
	return seed, scenarios.CheckSettings(f.set)
}

// A hunter makes the runs that a search wants, and tells it what they reached.
type hunter struct {
	*quest
	flags    huntFlags
	scenario string

	mu      sync.Mutex // the search is asked by one goroutine, and told by another
	search  *hunt.Search
	mayLose map[uint64]bool // by seed of a run that was made: its faults are within a budget

	found *finding // the first that broke something
	shown time.Time
}

// run makes runs until one breaks a guarantee or there may be no more. A run is chosen
// when there is a process to make it, and everything that ended before has been learned.
func (h *hunter) run() error {
	var timeUp <-chan time.Time
	if h.flags.budget > 0 {
		timeUp = time.After(h.flags.budget)
	}
	free := make(chan struct{}, h.flags.jobs)
	for range h.flags.jobs {
		free <- struct{}{}
	}
	orders := make(chan order)
	working, stop := context.WithCancel(h.ctx)
	defer stop()
	go func() {
		defer close(orders)
		for range h.flags.runs {
			select {
			case <-free:
			case <-timeUp:
				return
			case <-working.Done():
				return
			}
			select {
			case orders <- h.next():
			case <-working.Done():
				return
			}
		}
	}()
	var trouble error
	err := runPool(h.ctx, orders, h.flags.jobs, 1, func(f finding) bool {
		if trouble = h.take(f); trouble != nil || h.found != nil {
			return false
		}
		free <- struct{}{}
		return true
	})
	stop()
	for range orders {
		// Whoever chose runs has ended when there are no more.
	}
	return errors.Join(trouble, err)
}

// next orders what the search wants to try.
func (h *hunter) next() order {
	h.mu.Lock()
	defer h.mu.Unlock()
	return order{Spec: h.spec(h.search.Next(h)), When: true}
}

func (h *hunter) spec(t hunt.Trial) scenarios.Spec {
	spec := scenarios.Spec{Scenario: h.scenario, Seed: t.Seed, Set: h.flags.set}
	if t.Faults != nil {
		spec.Script = &scenarios.Script{Faults: t.Faults}
	}
	spec.Continuation = sim.Continuation{From: kafka.Instant(t.Luck.From), Number: t.Luck.Number}
	return spec
}

// take learns what a run came to.
func (h *hunter) take(f finding) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs++
	switch {
	case f.Died != nil:
		return fmt.Errorf("%s seed %d, %d faults: %w", f.Spec.Scenario, f.Spec.Seed, len(trialOf(f.Spec).Faults), f.Died)
	case f.Error != "":
		return errors.New(f.Error)
	case brokenBy(&f.Result) != "":
		h.found = &f
		return nil
	}
	budgeted, err := scenarios.Budgeted(f.Spec)
	if err != nil {
		return err
	}
	h.mayLose[f.Spec.Seed] = budgeted
	unseen := h.search.Learn(trialOf(f.Spec), hunt.Reached{
		Draft: draftOf(f.Result, budgeted), Features: featuresOf(f.answer), Useless: f.Result.Verdict != scenarios.Held,
	})
	h.tell(f, unseen)
	return nil
}

// huntPace is how often a hunt without anything new says how far it is.
const huntPace = 10 * time.Second

// tell says how far the hunt is.
func (h *hunter) tell(f finding, unseen []string) {
	if len(unseen) == 0 && time.Since(h.shown) < huntPace {
		return
	}
	h.shown = time.Now()
	what := "nothing new"
	if len(unseen) > 0 {
		what = fmt.Sprintf("%s seed %d, %d faults: %d new, such as %q", f.Spec.Scenario, f.Spec.Seed, len(f.Result.Drawn), len(unseen), unseen[0])
	}
	fmt.Fprintf(h.told, "  %s, %d kept: %s\n", h.sofar(), h.search.Kept(), what)
}

// code is the exit code for what was found.
func (h *hunter) code() int {
	for _, e := range exitOf {
		if e.verdict == verdictOf(*h.found) {
			return e.code
		}
	}
	return exitInternal
}

// written is the case to be written.
func (h *hunter) written() casefile.Case {
	c := caseOf(h.found.Spec, h.found.Result)
	c.About = fmt.Sprintf("found by klamm hunt %s --seed %s, run %d", h.scenario, h.flags.seed, h.runs)
	return c
}

// A huntReport is what hunt prints as JSON; see docs/json.md.
type huntReport struct {
	Kind      string `json:"_kind"`
	Version   int    `json:"_version"`
	Scenario  string `json:"scenario"`
	Found     bool   `json:"found"`
	Verdict   string `json:"verdict,omitempty"`
	Guarantee string `json:"guarantee,omitempty"`
	Sentence  string `json:"sentence,omitempty"`
	Case      string `json:"case,omitempty"`
	Runs      int    `json:"runs"`
	Kept      int    `json:"kept"`
	Features  int    `json:"features"`
	Exit      int    `json:"exit_code"`
}

func (h *hunter) print(out io.Writer) error {
	r := huntReport{Kind: "klamm.hunt", Version: 1, Scenario: h.scenario, Runs: h.runs, Kept: h.search.Kept(), Features: h.search.Features()}
	if h.found != nil {
		c := h.written()
		r.Found, r.Case, r.Exit = true, h.flags.out, h.code()
		r.Verdict, r.Guarantee, r.Sentence = c.Found.Verdict, c.Found.Guarantee, c.Found.Sentence
	}
	if h.flags.output == "json" {
		return printJSON(out, r)
	}
	if h.found == nil {
		_, err := fmt.Fprintf(out, "nothing was found: %d runs, %d kept for %d features, %s\n", r.Runs, r.Kept, r.Features, time.Since(h.begun).Round(time.Second))
		return err
	}
	printResult(out, h.found.Result, 1)
	_, err := fmt.Fprintf(out, "%s\nreplay: klamm replay %s\n", h.sofar(), h.flags.out)
	return err
}
