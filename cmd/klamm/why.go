package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/internal/moments"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
	"github.com/spf13/cobra"
)

type whyFlags struct {
	questFlags
	each       int
	resolution time.Duration
}

// whyGrid is into how many parts the run is cut before anything is known.
const whyGrid = 8

// leastEach is how many continuations tell all from none.
const leastEach = 5

func newWhyCommand() *cobra.Command {
	var f whyFlags
	cmd := &cobra.Command{
		Use:   "why SCENARIO --seed N | CASE.yaml",
		Short: "Find from when on a failing run was likely to fail",
		Long: `Make the failing run again and again, each time the same up to some virtual time, and
otherwise from there on: every random choice of the scheduler, the network, the disks and
the clients is another one, and the faults stay those of the run. How a case goes on is
part of its run. Of each moment it counts
how many of these continuations break the same guarantee, and tells that with the 95 %
confidence interval of the probability (Wilson's). Where the probability jumps it looks
closer, until the moment is known to --resolution. That takes some hundreds of runs; with
less --continuations, a coarser --resolution, or --for, it knows less and sooner.

It tells two things, each with what happened in the run just then: when the failure became
likely, that is, more than every second continuation fails from there on; and when it was
decided: the last moment from which a continuation held. What was likely from the beginning
on is made so by the code, whatever happens, or by faults and settings: klamm shrink says
by which.

An interrupt shows what is known so far.

Exit codes: 0 it has told; 2 usage; 7 the run does not fail; 70 internal error;
130 interrupted.`,
		Example: `  klamm why everything --seed 7714
  klamm why lost.yaml --continuations 50 --resolution 100us
  klamm why everything --seed 7714 --continuations 8 --resolution 50ms --for 10m
  klamm diff lost.yaml lost.yaml@2.5s#3      the run, and a continuation that held`,
		Args: oneArgument(aCaseOrScenario),
		RunE: func(cmd *cobra.Command, args []string) error {
			return judging(whyRun(cmd, args[0], f))
		},
	}
	f.addRun(cmd)
	cmd.Flags().IntVar(&f.each, "continuations", 20, "how many to try from each moment")
	cmd.Flags().DurationVar(&f.resolution, "resolution", time.Millisecond, "how close, in virtual time, moments are looked at")
	f.add(cmd, 1000)
	return cmd
}

func (f whyFlags) check() error {
	switch {
	case f.each < leastEach || f.each > 10_000:
		return fmt.Errorf("--continuations %d: want %d to 10000", f.each, leastEach)
	case f.runs <= f.each:
		return fmt.Errorf("--runs %d: want more than the %d continuations of one moment", f.runs, f.each)
	case f.resolution < 1:
		return fmt.Errorf("--resolution %s: want a positive time", f.resolution)
	}
	return nil
}

func whyRun(cmd *cobra.Command, name string, f whyFlags) error {
	spec, err := f.run(name)
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return usage(err)
	}
	q, stop := f.begin(cmd)
	defer stop()
	failed, err := q.failing(spec, "ask")
	if err != nil {
		return err
	}
	w := &asker{quest: q, flags: f, name: name, spec: spec, failed: failed, siblings: map[moments.Instant]sibling{}}
	w.search = moments.Search{End: moments.Instant(w.failed.VirtualNanos), Grid: whyGrid, Each: f.each, Resolution: moments.Instant(f.resolution)}
	found, ended := moments.Find(w.search, w.try)
	if ended != nil && !endedEarly(ended) {
		return ended
	}
	report := w.report(found, ended)
	if !errors.Is(ended, errInterrupted) {
		if err := w.explain(&report); err != nil {
			return err
		}
	}
	if err := report.tell(cmd.OutOrStdout(), f.output); err != nil {
		return err
	}
	if errors.Is(ended, errInterrupted) {
		return exitCode(exitInterrupted)
	}
	return nil
}

// An asker makes continuations of a run that fails.
type asker struct {
	*quest
	flags    whyFlags
	name     string // as the run was named on the command line
	spec     scenarios.Spec
	failed   *scenarios.Result
	search   moments.Search
	odd      int // of the runs, that came to no verdict
	siblings map[moments.Instant]sibling
	shown    time.Time // when it last said how far it is
}

// A sibling is which continuations from a moment are the first that held, and the first
// that broke the guarantee; 0 for none.
type sibling struct{ held, broke uint64 }

// try makes continuations. If there are not runs enough for all of the instants, it makes
// those of the first.
func (w *asker) try(at []moments.Instant, first, each int) ([]int, error) {
	var ended error
	if fits := (w.flags.runs - w.runs) / each; fits < len(at) {
		at, ended = at[:fits], errRunsUsedUp
	}
	hits, made := make([]int, len(at)), make([]int, len(at))
	var orders []order
	for _, t := range at {
		for n := range each {
			orders = append(orders, order{Spec: w.spec.Turned(sim.Continuation{From: kafka.Instant(t), Number: uint64(first + n)})})
		}
	}
	if len(at) > 0 {
		err := w.make(orders, func(f finding) bool {
			i := slices.Index(at, moments.Instant(triedIn(f.Spec).From))
			if made[i]++; w.take(f) {
				hits[i]++
			}
			w.tell(moments.Moment{At: at[i], Runs: made[i], Hits: hits[i]}, each)
			return true
		})
		ended = errors.Join(err, ended)
	}
	whole := 0 // with an interrupt, the last of them may not be
	for whole < len(at) && made[whole] == each {
		whole++
	}
	return hits[:whole], ended
}

// triedIn returns the continuation that try has given a run: those of the run that is asked
// about come before it.
func triedIn(spec scenarios.Spec) sim.Continuation {
	turns := spec.Turns()
	return turns[len(turns)-1]
}

// take notes what a continuation came to, and reports whether it broke the guarantee.
func (w *asker) take(f finding) bool {
	tried := triedIn(f.Spec)
	at, number := moments.Instant(tried.From), tried.Number
	s := w.siblings[at]
	hit := false
	switch {
	case f.Died != nil || f.Error != "":
		w.odd++
	case w.breaks(&f.Result):
		hit = true
		s.broke = earliest(s.broke, number)
	case f.Result.Verdict == scenarios.Held:
		s.held = earliest(s.held, number)
	}
	w.siblings[at] = s
	return hit
}

// earliest returns the lesser of two numbers, where 0 is none.
func earliest(a, b uint64) uint64 {
	if a == 0 || b < a {
		return b
	}
	return a
}

// whyPace is how often it says how far it is while a moment is not complete.
const whyPace = 10 * time.Second

// tell says how far it is: when a moment has all of its continuations, and now and then.
func (w *asker) tell(m moments.Moment, each int) {
	more := ""
	if m.Runs < each {
		if time.Since(w.shown) < whyPace {
			return
		}
		more = fmt.Sprintf(", %d more", each-m.Runs)
	}
	w.shown = time.Now()
	fmt.Fprintf(w.told, "  %s: from %s on %d of %d break it%s\n", w.sofar(), time.Duration(m.At), m.Hits, m.Runs, more)
}
