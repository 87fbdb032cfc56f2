package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/klammlog/klamm/scenarios"
	"github.com/spf13/cobra"
)

// questFlags are those of the commands that make run after run to answer one question:
// hunt, shrink and why.
type questFlags struct {
	seed   string
	set    []string
	runs   int
	jobs   int
	output string
}

// add adds them to a command that makes at most so many runs if nobody says otherwise.
func (f *questFlags) add(cmd *cobra.Command, runs int) {
	flags := cmd.Flags()
	flags.IntVar(&f.runs, "runs", runs, "make at most so many runs")
	flags.IntVarP(&f.jobs, "jobs", "j", runtime.NumCPU(), "how many processes make runs side by side")
	outputFlag(cmd, &f.output)
}

// addRun adds those that say, with an argument, which run is asked about.
func (f *questFlags) addRun(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.seed, "seed", "", "the run's seed")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "the run's settings, `name=value`; repeatable")
}

// run returns the run that is asked about.
func (f *questFlags) run(name string) (scenarios.Spec, error) {
	spec, err := replayFlags{seed: f.seed, set: f.set}.spec(name)
	if err == nil {
		err = f.check()
	}
	return spec, err
}

func (f *questFlags) check() error {
	switch {
	case f.runs < 1:
		return fmt.Errorf("--runs %d: want 1 or more", f.runs)
	case f.jobs < 1 || f.jobs > 1024:
		return fmt.Errorf("--jobs %d: want 1 to 1024", f.jobs)
	}
	return checkOutput(f.output)
}

// A quest is the runs that are made to answer one question.
type quest struct {
	ctx   context.Context // ends with an interrupt
	told  io.Writer       // how far it is
	errs  io.Writer
	begun time.Time
	jobs  int
	runs  int // that were made

	guarantee string // that the run asked about breaks, or what else is wrong with it
}

// begin begins a quest, which stop ends.
func (f *questFlags) begin(cmd *cobra.Command) (q *quest, stop func()) {
	q = &quest{told: io.Discard, errs: cmd.ErrOrStderr(), begun: time.Now(), jobs: f.jobs}
	if f.output == "text" {
		q.told = q.errs
	}
	q.ctx, stop = signal.NotifyContext(background(cmd), os.Interrupt, syscall.SIGTERM)
	return q, stop
}

// failing makes the run that is asked about, which must fail: else there is nothing of
// what the caller is there for.
func (q *quest) failing(spec scenarios.Spec, what string) (*scenarios.Result, error) {
	var first finding
	if err := q.make([]order{{Spec: spec}}, func(f finding) bool { first = f; return true }); err != nil {
		return nil, err
	}
	if first.Died != nil || first.Error != "" {
		return nil, fmt.Errorf("%s seed %d: %s", spec.Scenario, spec.Seed, first.trouble())
	}
	if q.guarantee = brokenBy(&first.Result); q.guarantee == "" {
		fmt.Fprintf(q.errs, "%s seed %d does not fail: there is nothing to %s\n", spec.Scenario, spec.Seed, what)
		return nil, exitCode(exitNotReproduced)
	}
	fmt.Fprintln(q.told, first.Result.Headline())
	return &first.Result, nil
}

// make makes runs side by side, until report says that it knows enough.
func (q *quest) make(list []order, report func(finding) bool) error {
	orders := make(chan order, len(list))
	for _, o := range list {
		orders <- o
	}
	close(orders)
	return runPool(q.ctx, orders, min(q.jobs, len(list)), 1, func(f finding) bool {
		q.runs++
		return report(f)
	})
}

// brokenBy names what is wrong with a run, "" if nothing is.
func brokenBy(r *scenarios.Result) string {
	switch {
	case r == nil || r.Verdict == scenarios.Held || r.Verdict == scenarios.Inconclusive:
		return ""
	case len(r.Violations) > 0:
		return r.Violations[0].Guarantee
	}
	return string(r.Verdict)
}

// breaks reports whether a run breaks the guarantee that is asked about, first or not.
func (q *quest) breaks(r *scenarios.Result) bool {
	if brokenBy(r) == q.guarantee {
		return true
	}
	return r != nil && slices.ContainsFunc(r.Violations, func(v scenarios.Violation) bool { return v.Guarantee == q.guarantee })
}

// sofar says how many runs there were, in what time.
func (q *quest) sofar() string {
	return fmt.Sprintf("%d runs, %s", q.runs, time.Since(q.begun).Round(time.Second))
}
