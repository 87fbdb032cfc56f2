package main

import (
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

	"github.com/klammlog/klamm/scenarios"
	"github.com/spf13/cobra"
)

// questFlags are those of the commands that make run after run to answer one question:
// hunt, shrink and why.
type questFlags struct {
	seed   string
	set    []string
	runs   int
	budget time.Duration // of real time; 0: as much as it takes
	jobs   int
	output string
}

// add adds them to a command that makes at most so many runs if nobody says otherwise.
func (f *questFlags) add(cmd *cobra.Command, runs int) {
	flags := cmd.Flags()
	flags.IntVar(&f.runs, "runs", runs, "make at most so many runs")
	flags.DurationVar(&f.budget, "for", 0, "make runs until this much time has passed, and keep what is known by then")
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
	case f.budget < 0:
		return fmt.Errorf("--for %s: want a positive time", f.budget)
	case f.jobs < 1 || f.jobs > 1024:
		return fmt.Errorf("--jobs %d: want 1 to 1024", f.jobs)
	}
	return checkOutput(f.output)
}

// A quest is the runs that are made to answer one question.
type quest struct {
	ctx    context.Context // ends with an interrupt
	told   io.Writer       // how far it is
	errs   io.Writer
	begun  time.Time
	budget time.Duration // of that, 0: no bound; the run that is asked about is made in any case
	jobs   int
	runs   int // that were made

	guarantee string // that the run asked about breaks, or what else is wrong with it
}

// begin begins a quest, which stop ends.
func (f *questFlags) begin(cmd *cobra.Command) (q *quest, stop func()) {
	q = &quest{told: io.Discard, errs: cmd.ErrOrStderr(), begun: time.Now(), budget: f.budget, jobs: f.jobs}
	ctx, deaf := signal.NotifyContext(background(cmd), os.Interrupt, syscall.SIGTERM)
	ctx, gone := context.WithCancel(ctx)
	q.ctx = ctx
	if f.output == "text" {
		q.told = audience{q.errs, gone}
	}
	return q, func() { gone(); deaf() }
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
	ctx, stop := context.WithCancel(q.ctx)
	if q.budget > 0 && q.guarantee != "" {
		ctx, stop = context.WithDeadline(q.ctx, q.begun.Add(q.budget))
	}
	defer stop()
	err := runPool(ctx, orders, min(q.jobs, len(list)), 1, func(f finding) bool {
		q.runs++
		return report(f)
	})
	if errors.Is(err, errInterrupted) && q.ctx.Err() == nil {
		return errTimeUp
	}
	return err
}

// What ends a quest early, besides an interrupt: what it may take is used up.
var (
	errRunsUsedUp = errors.New("as many runs were made as --runs allows")
	errTimeUp     = errors.New("the time that --for gives is up")
)

// endedEarly reports whether an error is one with which what is known so far is told.
func endedEarly(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, errRunsUsedUp) || errors.Is(err, errTimeUp)
}

// An audience is told how far a quest is. When nobody listens any more, as behind a pipe
// to head, the quest ends as with an interrupt, and keeps what it has found.
type audience struct {
	out  io.Writer
	gone context.CancelFunc
}

func (a audience) Write(b []byte) (int, error) {
	// Whoever writes to standard error and is not heard dies of it, if he does not ask not to.
	signal.Ignore(syscall.SIGPIPE)
	if _, err := a.out.Write(b); err != nil {
		a.gone()
	}
	return len(b), nil
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
