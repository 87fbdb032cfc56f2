package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/internal/shards"
)

type workFlags struct {
	results   string
	shard     int
	indexEnv  string
	jobs      int
	artifacts string
	canary    string
}

func newCampaignWork() *cobra.Command {
	var f workFlags
	cmd := &cobra.Command{
		Use:   "work PLAN",
		Short: "Do shards of a plan, and write what came of them into a folder",
		Long: `Do one shard, or shards that nobody has done until none are left. The result file of a
shard appears whole or not at all, and is the same whoever writes it: a worker may be
killed at any moment, and started again anywhere.

Without --shard and --index-from-env, workers that share a folder on one machine share
the shards out: none is done twice at a time, and that of a worker that died is done by
another. Who finds nothing left waits for the others, and takes over if they die.

The exit code tells of the work, not of the verdicts: 0 the results are written, failures
or not; 2 this klamm is not the one that the plan is for, or usage; 70 internal error; 130
interrupted. klamm campaign merge judges.`,
		Example: `  klamm campaign work plan.json --results results --jobs 2
  klamm campaign work plan.json --results results --shard 17
  klamm campaign work plan.json --results /results --index-from-env JOB_COMPLETION_INDEX`,
		Args: oneArgument("a plan file"),
		RunE: func(cmd *cobra.Command, args []string) error { return judging(f.run(cmd, args[0])) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.results, "results", "", "the `FOLDER` of result files")
	flags.IntVar(&f.shard, "shard", -1, "do this shard, `NUMBER` from 0 on, and no other")
	flags.StringVar(&f.indexEnv, "index-from-env", "", "do the shard whose number is in this `VARIABLE`, and no other")
	flags.IntVarP(&f.jobs, "jobs", "j", runtime.NumCPU(), "how many processes make runs side by side")
	flags.StringVar(&f.artifacts, "artifacts", "", "write the evidence of each failure below this `folder`")
	flags.StringVar(&f.canary, "canary-binary", "", "the binary that makes the canary's runs, if the plan's canary is a mutant; a `FILE`")
	return cmd
}

// A shardWorker does shards of one plan.
type shardWorker struct {
	workFlags
	plan *shards.Plan
	out  io.Writer
}

func (f workFlags) run(cmd *cobra.Command, name string) error {
	if f.jobs < 1 || f.jobs > 1024 {
		return usage(fmt.Errorf("--jobs %d: want 1 to 1024", f.jobs))
	}
	if f.results == "" {
		return usage(errors.New("where to? want --results FOLDER"))
	}
	plan, err := readPlan(name)
	if err != nil {
		return err
	}
	number, alone, err := f.number(cmd.Flags().Changed("shard"))
	if err != nil {
		return usage(err)
	}
	if err := f.checkCanary(plan); err != nil {
		return usage(err)
	}
	for _, dir := range []string{f.results, f.artifacts} {
		if dir != "" {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return usage(err)
			}
		}
	}
	ctx, stop := signal.NotifyContext(background(cmd), os.Interrupt, syscall.SIGTERM)
	defer stop()
	w := &shardWorker{f, plan, cmd.OutOrStdout()}
	if alone {
		err = w.one(ctx, number)
	} else {
		err = w.many(ctx)
	}
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	return err
}

// number returns the only shard that is to be done, if there is only one.
func (f workFlags) number(shardGiven bool) (number int, alone bool, err error) {
	switch {
	case shardGiven && f.indexEnv != "":
		return 0, false, errors.New("--shard and --index-from-env exclude each other")
	case shardGiven:
		return f.shard, true, nil
	case f.indexEnv == "":
		return 0, false, nil
	}
	text := os.Getenv(f.indexEnv)
	if number, err = strconv.Atoi(text); err != nil {
		return 0, false, fmt.Errorf("--index-from-env %s: it is %q: want the number of a shard", f.indexEnv, text)
	}
	return number, true, nil
}

// checkCanary compares the binary of the canary with the one that the plan asks for.
func (f workFlags) checkCanary(p *shards.Plan) error {
	switch {
	case p.Canary == nil || p.Canary.Mutant == "":
		if f.canary != "" {
			return errors.New("--canary-binary: the plan's canary is no mutant")
		}
		return nil
	case f.canary == "":
		return fmt.Errorf("the plan's canary is the mutant %s: want --canary-binary FILE", p.Canary.Mutant)
	}
	code, err := mutantCode(f.canary, p.Canary.Mutant)
	if err == nil && code != p.Canary.Code {
		err = fmt.Errorf("%s: the plan's canary is %s, and this is %s", f.canary, p.Canary.Code, code)
	}
	return err
}

// one does one shard, unless it is done.
func (w *shardWorker) one(ctx context.Context, number int) error {
	s, err := w.plan.Shard(number)
	if err != nil {
		return usage(err)
	}
	if done, err := w.plan.Done(w.results, s); err != nil {
		return usage(err)
	} else if done {
		_, err = fmt.Fprintf(w.out, "shard %d is done already\n", number)
		return err
	}
	return w.do(ctx, s)
}

// many does shards until none are left.
func (w *shardWorker) many(ctx context.Context) error {
	folder, err := shards.NewFolder(w.plan, w.results)
	if err != nil {
		return usage(err)
	}
	for {
		c, err := folder.Next(ctx)
		if err != nil {
			return err
		}
		if c == nil {
			_, err := fmt.Fprintf(w.out, "all %d shards are done\n", w.plan.Shards())
			return err
		}
		if err := w.do(ctx, c.Shard); err != nil {
			return errors.Join(err, c.Abandon())
		}
		if err := c.Finish(); err != nil {
			return err
		}
	}
}

// do makes the runs of a shard, and writes what came of them.
func (w *shardWorker) do(ctx context.Context, s shards.Shard) error {
	c := newCampaign(w.plan.Scenarios, runFlags{jobs: w.jobs, repeat: w.plan.Repeat})
	runs, canary := shardOrders(w.plan, s)
	for i := range runs {
		runs[i].Artifacts = w.artifacts
	}
	ours := pool{jobs: w.jobs, repeat: w.plan.Repeat}
	found, err := ours.makeAll(ctx, runs, func(f finding) {
		if f.Died == nil {
			c.take(f)
		}
	})
	if err != nil {
		return err
	}
	c.progress.clear()
	lines, err := w.canaryLines(ctx, canary)
	if err != nil {
		return err
	}
	lines, err = appendLines(nil, found, lines)
	if err != nil {
		return err
	}
	if err := w.plan.Save(w.results, s, lines); err != nil {
		return err
	}
	return w.tell(s, found)
}

// canaryLines makes the runs of the canary, and those of which a judge complains once
// more without what is wrong with them.
func (w *shardWorker) canaryLines(ctx context.Context, orders []order) (lines [][]byte, err error) {
	ill := pool{binary: w.canary, jobs: w.jobs, repeat: w.plan.Repeat}
	found, err := ill.makeAll(ctx, orders, func(finding) {})
	if err != nil {
		return nil, err
	}
	var twins []order
	for _, f := range found {
		if complains(f) {
			twins = append(twins, order{Spec: soundSpec(w.plan, f.Spec.Seed)})
		}
	}
	well := pool{jobs: w.jobs, repeat: w.plan.Repeat}
	sound, err := well.makeAll(ctx, twins, func(finding) {})
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		r := shardRun{finding: f}
		if complains(f) {
			r.sound, sound = verdictOf(sound[0]), sound[1:]
		}
		line, err := r.encode()
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// appendLines returns the lines of runs, and others behind.
func appendLines(lines [][]byte, found []finding, behind [][]byte) ([][]byte, error) {
	for _, f := range found {
		line, err := shardRun{finding: f}.encode()
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return append(lines, behind...), nil
}

// tell prints what a shard came to, with a line to paste for each failure.
func (w *shardWorker) tell(s shards.Shard, found []finding) error {
	failures := 0
	for _, f := range found {
		if verdictOf(f) == "held" {
			continue
		}
		if failures++; failures <= failuresShown {
			fmt.Fprintf(w.out, "%s\n  replay: %s\n", f.headline(), f.replay())
		}
	}
	_, err := fmt.Fprintf(w.out, "shard %d of %d: %d runs, %d failures: %s\n", s.Number, w.plan.Shards(), len(found), failures,
		filepath.Join(w.results, shards.FileName(s.Number)))
	return err
}
