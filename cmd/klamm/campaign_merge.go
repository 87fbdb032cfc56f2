package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/internal/shards"
)

type mergeFlags struct {
	results  []string
	coverage bool
	output   string
}

func newCampaignMerge() *cobra.Command {
	var f mergeFlags
	cmd := &cobra.Command{
		Use:   "merge PLAN",
		Short: "Put together what came of the shards of a plan, and judge the campaign",
		Long: `Print what klamm run would print of the whole campaign. Result files may lie in several
folders and have been written by any workers in any order; a shard that was done twice
counts once, and is compared: two workers must have made the same runs. Damaged results,
and those of another plan, are refused.

Exit codes: those of klamm run if they say that something is wrong; otherwise 6 if shards
are missing, or if the canary was not found; 2 if results are damaged or another plan's,
or if there is no such folder.`,
		Example: `  klamm campaign merge plan.json --results results
  klamm campaign merge plan.json --results monday --results tuesday -o json`,
		Args: oneArgument("a plan file"),
		RunE: func(cmd *cobra.Command, args []string) error { return judging(f.merge(cmd, args[0])) },
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.coverage, "coverage", false, "tell what the runs had, as klamm run --coverage does")
	return cmd
}

func newCampaignStatus() *cobra.Command {
	var f mergeFlags
	cmd := &cobra.Command{
		Use:   "status PLAN",
		Short: "Tell how far the workers of a plan are, and what they have found",
		Long: `Tell which shards are done, which are missing, how many runs failed so far, and whether
the canary has been found. The exit code is 0 if that could be told, whatever it is, and
2 if not: there is no such folder, or it holds damaged results, or another plan's.`,
		Example: `  klamm campaign status plan.json --results results
  klamm campaign status plan.json --results results -o json | jq .missing`,
		Args: oneArgument("a plan file"),
		RunE: func(cmd *cobra.Command, args []string) error { return judging(f.status(cmd, args[0])) },
	}
	f.register(cmd)
	return cmd
}

func (f *mergeFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.results, "results", nil, "a `FOLDER` of result files; repeatable")
	outputFlag(cmd, &f.output)
}

func (f *mergeFlags) merge(cmd *cobra.Command, name string) error {
	m, err := f.gather(name)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.output == "json" {
		err = m.printJSON(out)
	} else {
		m.printText(out, cmd.ErrOrStderr())
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	return m.exit()
}

func (f *mergeFlags) status(cmd *cobra.Command, name string) error {
	m, err := f.gather(name)
	if err != nil {
		return err
	}
	if f.output == "json" {
		return printJSON(cmd.OutOrStdout(), m.status())
	}
	return m.printStatus(cmd.OutOrStdout())
}

// gather reads every result file there is of a plan.
func (f *mergeFlags) gather(name string) (*merged, error) {
	if err := checkOutput(f.output); err != nil {
		return nil, err
	}
	if err := f.checkFolders(); err != nil {
		return nil, usage(err)
	}
	plan, err := readPlan(name)
	if err != nil {
		return nil, err
	}
	m := &merged{plan: plan, campaign: newCampaign(plan.Scenarios, runFlags{repeat: plan.Repeat, output: f.output, coverage: f.coverage})}
	if c := plan.Canary; c != nil {
		m.canary = &canaryJSON{Scenario: c.Scenario, Set: append([]string{}, c.Set...), Mutant: c.Mutant, Planned: c.Seeds}
	}
	for _, dir := range f.results {
		if err := plan.CheckFolder(dir); err != nil {
			return nil, usage(err)
		}
	}
	for number := range plan.Shards() {
		if err := m.addShard(number, f.results); err != nil {
			return nil, usage(err)
		}
	}
	m.campaign.progress.clear()
	m.campaign.conclude()
	return m, nil
}

// checkFolders refuses a folder that is not there: its name is mistyped, or no worker has
// begun, which makes its own. Nobody shall take either for a campaign that has found
// nothing yet.
func (f *mergeFlags) checkFolders() error {
	if len(f.results) == 0 {
		return errors.New("of which results? want --results FOLDER")
	}
	for _, dir := range f.results {
		if info, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--results %s: there is no such folder: klamm campaign work makes it", dir)
		} else if err == nil && !info.IsDir() {
			return fmt.Errorf("--results %s: it is a file, and a folder is wanted", dir)
		}
	}
	return nil
}

// A merged campaign is the union of result files.
type merged struct {
	plan     *shards.Plan
	campaign *campaign
	canary   *canaryJSON // nil if the plan has none
	missing  []int
}

// addShard adds one shard from every folder that has it.
func (m *merged) addShard(number int, dirs []string) error {
	s, err := m.plan.Shard(number)
	if err != nil {
		return err
	}
	var files [][][]byte
	var last string // of them
	for _, dir := range dirs {
		lines, err := m.plan.Load(dir, s)
		if err != nil {
			return err
		}
		if lines != nil {
			files, last = append(files, lines), filepath.Join(dir, shards.FileName(number))
		}
	}
	if len(files) == 0 {
		m.missing = append(m.missing, number)
		return nil
	}
	runs, canary := shardOrders(m.plan, s)
	for i, o := range append(runs, canary...) {
		var lines [][]byte
		for _, file := range files {
			lines = append(lines, file[i])
		}
		r, err := unite(lines, o)
		if err != nil {
			return fmt.Errorf("%s: damaged: %w", last, err)
		}
		if i < len(runs) {
			m.campaign.take(r.finding)
		} else {
			m.canary.take(r)
		}
	}
	return nil
}

// exit returns the campaign's exit code as an error. What was found outranks what is
// missing; what is missing outranks runs that tested nothing.
func (m *merged) exit() error {
	err := m.campaign.exit()
	if code := codeOf(err); code != 0 && code != exitInconclusive {
		return err
	}
	if len(m.missing) > 0 || m.canary != nil && m.canary.Found == 0 {
		return exitCode(exitMissed)
	}
	return err
}

func (m *merged) done() int { return m.plan.Shards() - len(m.missing) }
