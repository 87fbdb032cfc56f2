package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
	"github.com/spf13/cobra"
)

// defaultSeeds is how many seeds of each scenario a bare `klamm run` makes.
const defaultSeeds = 6

type runFlags struct {
	seed, seeds string
	budget      time.Duration
	jobs        int
	repeat      int
	failFast    int
	set         []string
	artifacts   string
	gate        string
	junit       string
	github      bool
	output      string
	coverage    bool
	mustReach   bool
}

func newRunCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [SCENARIO | CASE.yaml ...]",
		Short: "Throw seeded faults at a real broker in the simulator, and judge what clients saw",
		Long: `Run scenarios over seeds. Without arguments: every scenario over a few seeds.
Case files are run first, each once: a case says its seed and its faults (klamm shrink).

A run is a function of its scenario, its seed, its settings and this binary. What is
demanded is fixed by the scenario and the seed; --set changes the system, never the
demands, so it shows what a judge says of a weaker configuration.

A gate is a YAML file: cases (files and patterns of them, relative to it), scenarios, and a
budget of time. The cases are run, then fresh seeds of the scenarios until the budget is used.
Seeds begin at a number that is made of the commit, HEAD where the gate's file lies or else
$GITHUB_SHA; it is printed, and --seed gives it by hand. One run in a hundred is made twice and compared.

Exit codes: 0 every guarantee held; 1 a safety guarantee was broken; 2 usage;
3 something never finished after the faults stopped; 4 a run tested nothing;
5 a repeated run was not the same; 6 --must-reach or --gate was missed; 70 internal error;
see klamm help exit-codes.`,
		Example: `  klamm run                                     every scenario, a few seeds
  klamm run everything --seeds 0..1000 --jobs 2
  klamm run power-loss crash --for 30s          fresh seeds until the time is up
  klamm run everything --seeds 1+100 --repeat 2 each seed in two processes, compared
  klamm run power-loss --set log.flush=os       a promise that this setting cannot keep
  klamm run cases/*.yaml everything --for 5m    what was broken once, then fresh seeds
  klamm run --gate .github/gate.yaml --junit klamm.xml --github   a gate, in a GitHub workflow`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return judging(runScenarios(cmd, args, f))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.seed, "seed", "", "one seed: a number, 0x…, a commit of 40 hexadecimal digits, or random")
	flags.StringVar(&f.seeds, "seeds", "", "seeds A..B (B exclusive) or A+N of each scenario")
	flags.DurationVar(&f.budget, "for", 0, "take fresh seeds until this much time has passed")
	flags.IntVarP(&f.jobs, "jobs", "j", runtime.NumCPU(), "how many processes make runs side by side")
	flags.IntVar(&f.repeat, "repeat", 1, "make each run so often, each time in another process, and compare their chains")
	flags.IntVar(&f.failFast, "fail-fast", 0, "stop after this many failures; 0 never")
	flags.StringArrayVar(&f.set, "set", nil, "set a config or an option of the run, `name=value`; repeatable")
	flags.StringVar(&f.artifacts, "artifacts", "", "write the evidence of each failure below this `folder`")
	flags.BoolVar(&f.coverage, "coverage", false, "tell which families of faults the runs had, alone and in pairs, and which probes and buggify points they reached")
	flags.BoolVar(&f.mustReach, "must-reach", false, "fail if no run reached a probe that the scenarios shall, unless it is a rare one (klamm list probes)")
	flags.StringVar(&f.gate, "gate", "", "run what this `file` says; --for replaces its budget")
	flags.StringVar(&f.junit, "junit", "", "write what came of each scenario and case to this `file`, as JUnit's XML")
	flags.BoolVar(&f.github, "github", false, "tell failures as annotations of GitHub, and add to the step's summary in $GITHUB_STEP_SUMMARY")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	return cmd
}

func runScenarios(cmd *cobra.Command, args []string, f runFlags) error {
	c, orders, err := f.campaign(args)
	if err != nil {
		return usage(err)
	}
	if f.artifacts != "" {
		if err := os.MkdirAll(f.artifacts, 0o755); err != nil {
			return usage(fmt.Errorf("--artifacts: %w", err))
		}
	}
	if f.junit != "" { // what an earlier campaign left would be taken for this one's
		if err := os.WriteFile(f.junit, nil, 0o644); err != nil {
			return usage(fmt.Errorf("--junit: %w", err))
		}
	}
	if c.gate != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), c.gate.opening())
	}
	ctx, stop := signal.NotifyContext(background(cmd), os.Interrupt, syscall.SIGTERM)
	issued := make(chan order)
	go func() {
		defer close(issued)
		orders(ctx, issued)
	}()
	poolErr := runPool(ctx, issued, f.jobs, c.flags.repeat, c.take)
	stop() // from here on a signal ends the process at once
	c.progress.clear()
	c.ended = poolErr
	if err := c.print(cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil {
		return err
	}
	return c.exitAfter(c.tellOthers(cmd.ErrOrStderr()), cmd.ErrOrStderr())
}

// campaign sorts out what a command line asks for: what is counted, and what issues
// the orders.
func (f runFlags) campaign(args []string) (*campaign, func(context.Context, chan<- order), error) {
	plan, err := f.plan()
	if err != nil {
		return nil, nil, err
	}
	if err := scenarios.CheckSettings(f.set); err != nil {
		return nil, nil, err
	}
	if f.gate != "" {
		g, err := f.openGate(args)
		if err != nil {
			return nil, nil, err
		}
		f.repeat = gateTimes
		c := newCampaign(append(rowsOf(g.cases), g.names...), f)
		c.gate = g
		return c, g.issue, nil
	}
	cases, names, err := f.chosen(args)
	if err != nil {
		return nil, nil, err
	}
	return newCampaign(append(rowsOf(cases), names...), f), func(ctx context.Context, orders chan<- order) {
		issueCases(ctx, orders, cases)
		issueOrders(ctx, orders, names, plan, f)
	}, nil
}

// tellOthers tells what came of a campaign to those who read no text.
func (c *campaign) tellOthers(errs io.Writer) error {
	var junit, github error
	if c.flags.junit != "" {
		junit = c.writeJUnit(c.flags.junit)
	}
	if c.flags.github {
		github = c.tellGitHub(errs, os.Getenv("GITHUB_STEP_SUMMARY"))
	}
	return errors.Join(junit, github)
}

// exitAfter returns the exit code. That telling it failed decides if nothing else does.
func (c *campaign) exitAfter(telling error, errs io.Writer) error {
	exit := c.exit()
	if exit == nil || telling == nil {
		return cmp.Or(exit, telling)
	}
	fmt.Fprintf(errs, "klamm: %v\n", telling)
	return exit
}

// noScenario says where the names of scenarios are to be had: there are too many of them
// for a line.
func noScenario(name string) error {
	return fmt.Errorf("no scenario %q: klamm list scenarios prints those that there are", name)
}

func chosenScenarios(args []string) ([]string, error) {
	if len(args) == 0 || slices.Equal(args, []string{"all"}) {
		return scenarios.Names(), nil
	}
	for _, name := range args {
		if scenarios.Find(name) == nil {
			return nil, noScenario(name)
		}
	}
	return args, nil
}

// chosen sorts what a command line names into case files and scenarios.
func (f runFlags) chosen(args []string) (cases []order, names []string, err error) {
	var words []string
	for _, a := range args {
		if !casefile.IsName(a) {
			words = append(words, a)
			continue
		}
		o, err := caseOrder(a, f.set)
		if err != nil {
			return nil, nil, err
		}
		o.Artifacts = f.artifacts
		cases = append(cases, o)
	}
	if len(words) > 0 || len(cases) == 0 {
		names, err = chosenScenarios(words)
	} else if f.seed != "" || f.seeds != "" || f.budget > 0 {
		err = errors.New("--seed, --seeds and --for are for scenarios, and only cases are named: a case has its own seed")
	}
	return cases, names, err
}

// plan says which seeds each scenario runs, and checks the numbers given.
func (f runFlags) plan() (seedRange, error) {
	switch {
	case f.jobs < 1 || f.jobs > 1024:
		return seedRange{}, fmt.Errorf("--jobs %d: want 1 to 1024", f.jobs)
	case f.repeat < 1 || f.repeat > 16:
		return seedRange{}, fmt.Errorf("--repeat %d: want 1 to 16", f.repeat)
	case f.failFast < 0:
		return seedRange{}, fmt.Errorf("--fail-fast %d: want 0 or more", f.failFast)
	case f.budget < 0:
		return seedRange{}, fmt.Errorf("--for %s: want a positive time", f.budget)
	case f.output != "text" && f.output != "json":
		return seedRange{}, fmt.Errorf("--output %q: want text or json", f.output)
	case f.seed != "" && f.seeds != "":
		return seedRange{}, fmt.Errorf("--seed and --seeds exclude each other")
	case f.seeds != "":
		return parseSeeds(f.seeds)
	case f.seed != "":
		first, err := parseSeed(f.seed)
		if f.budget > 0 {
			return seedRange{first, maxSeeds}, err
		}
		return seedRange{first, 1}, err
	case f.budget > 0:
		return seedRange{1, maxSeeds}, nil
	}
	return seedRange{1, defaultSeeds}, nil
}

// issueOrders hands out runs, the scenarios in turn for each seed, until the seeds
// or the time are used up.
func issueOrders(ctx context.Context, orders chan<- order, names []string, seeds seedRange, f runFlags) {
	var timeUp <-chan time.Time
	if f.budget > 0 {
		timeUp = time.After(f.budget)
	}
	for i := range seeds.count {
		if len(names) == 0 {
			return // cases only
		}
		for _, name := range names {
			o := order{Spec: scenarios.Spec{Scenario: name, Seed: seeds.first + i, Set: f.set}, Artifacts: f.artifacts}
			select {
			case orders <- o:
			case <-ctx.Done():
				return
			case <-timeUp:
				return
			}
		}
	}
}
