package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/internal/shards"
)

// runsOfAShard is how many runs a shard has unless somebody wants another size: some
// minutes of one processor, which is what a killed worker loses.
const runsOfAShard = 500

// What the canary is unless somebody wants another: a broker that says "written" before
// the disk does, and disks that lose their power.
const (
	defaultCanary    = "power-loss"
	defaultCanarySet = "log.flush=os"
	noCanary         = "none"
)

type planFlags struct {
	seeds      string
	set        []string
	repeat     int
	shards     uint64
	shardSeeds uint64
	out        string
	canary     shards.Canary
	binary     string
}

func newCampaignPlan() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan [SCENARIO ...]",
		Short: "Write a plan: scenarios, seeds and settings, divided into shards; print how many",
		Long: `Write a plan, and print how many shards it has. Without arguments: every scenario.

The plan names the commit that this klamm was built from, or this very binary if the build
does not tell or had changes on top; no other klamm works on it, as it would make other runs.

The canary is a scenario with settings that break a promise, or a scenario run by a binary
into which a bug was planted (go run ./internal/mutants -only NAME -build DIR). Its runs are
spread over the shards. It counts as found when a judge complains of a run, and does not
complain of the same run without the settings or the bug.`,
		Example: `  klamm campaign plan everything --seeds 1+1000000 --shard-seeds 100 --out plan.json
  klamm campaign plan --seeds $(git rev-parse HEAD)+100 --shards 256
  klamm campaign plan crash --seeds 1+50 --canary crash --canary-mutant reorder-on-retry --canary-binary mutants/reorder-on-retry`,
		RunE: func(cmd *cobra.Command, args []string) error { return judging(f.run(cmd, args)) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.seeds, "seeds", "", "seeds A..B (B exclusive) or A+N of each scenario")
	flags.StringArrayVar(&f.set, "set", nil, "set a config or an option of every run, `name=value`; repeatable")
	flags.IntVar(&f.repeat, "repeat", 1, "make each run so often, each time in another process, and compare their chains")
	flags.Uint64Var(&f.shards, "shards", 0, "divide the seeds into so many shards at most")
	flags.Uint64Var(&f.shardSeeds, "shard-seeds", 0, fmt.Sprintf("divide them into shards of so many seeds of each scenario; by default %d runs", runsOfAShard))
	flags.StringVar(&f.out, "out", "plan.json", "write the plan to this `FILE`")
	flags.StringVar(&f.canary.Scenario, "canary", "", fmt.Sprintf("the scenario of the canary, or %s; by default %s with %s", noCanary, defaultCanary, defaultCanarySet))
	flags.StringArrayVar(&f.canary.Set, "canary-set", nil, "set what breaks a promise in the canary's runs, `name=value`; repeatable")
	flags.StringVar(&f.canary.Mutant, "canary-mutant", "", "the `NAME` of the bug that is planted into the binary that makes the canary's runs")
	flags.StringVar(&f.binary, "canary-binary", "", "that binary, a `FILE`")
	flags.Uint64Var(&f.canary.Seeds, "canary-seeds", 20, "seeds of the canary, from the first seed on")
	return cmd
}

func (f *planFlags) run(cmd *cobra.Command, args []string) error {
	p, err := f.plan(args)
	if err != nil {
		return usage(err)
	}
	b, err := p.Encode()
	if err != nil {
		return usage(err)
	}
	if err := writeOnce(f.out, b); err != nil {
		return usage(err)
	}
	s, _ := p.Shard(0) // there is one
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d runs, %d seeds of each of %d scenarios, in shards of %d seeds; for %s\n",
		f.out, p.Runs(), p.Seeds, len(p.Scenarios), s.Seeds.Count, p.Code)
	if p.Canary == nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "there is no canary: nothing will show that the judges can complain")
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), p.Shards())
	return err
}

func (f *planFlags) plan(args []string) (*shards.Plan, error) {
	names, err := chosenScenarios(args)
	if err != nil {
		return nil, err
	}
	if f.seeds == "" {
		return nil, errors.New("which seeds? want --seeds A+N")
	}
	seeds, err := parseSeeds(f.seeds)
	if err != nil {
		return nil, err
	}
	p := &shards.Plan{
		Kind: shards.Kind, Version: shards.Version, MadeBy: buildVersion().line(),
		Scenarios: names, First: seeds.first, Seeds: seeds.count, Set: append([]string{}, f.set...), Repeat: f.repeat,
	}
	if p.Code, err = ownCode(); err != nil {
		return nil, err
	}
	if p.ShardSeeds, err = f.size(seeds.count, len(names)); err != nil {
		return nil, err
	}
	if p.Canary, err = f.bird(p.Code); err != nil {
		return nil, err
	}
	return p, cmp.Or(p.Check(), checkPlan(p))
}

// size returns how many seeds of each scenario a shard has.
func (f *planFlags) size(seeds uint64, scenarios int) (uint64, error) {
	switch {
	case f.shards > 0 && f.shardSeeds > 0:
		return 0, errors.New("--shards and --shard-seeds exclude each other")
	case f.shards > 0:
		return (seeds-1)/f.shards + 1, nil
	case f.shardSeeds > 0:
		return f.shardSeeds, nil
	}
	return min(seeds, max(1, uint64(runsOfAShard/scenarios))), nil
}

// bird returns the canary, nil if none is wanted.
func (f *planFlags) bird(code string) (*shards.Canary, error) {
	c := f.canary
	switch {
	case c.Scenario == noCanary && (len(c.Set) > 0 || c.Mutant != "" || f.binary != ""):
		return nil, fmt.Errorf("--canary %s has no settings and no mutant", noCanary)
	case c.Scenario == noCanary:
		return nil, nil
	case (c.Mutant == "") != (f.binary == ""):
		return nil, errors.New("--canary-mutant NAME and --canary-binary FILE go together")
	case c.Scenario == "" && (len(c.Set) > 0 || c.Mutant != ""):
		return nil, errors.New("which scenario is the canary's? want --canary SCENARIO")
	case c.Scenario == "":
		c.Scenario, c.Set = defaultCanary, []string{defaultCanarySet}
	}
	if c.Mutant == "" {
		return &c, nil
	}
	var err error
	if c.Code, err = mutantCode(f.binary, c.Mutant); err != nil {
		return nil, err
	}
	if commit, ok := strings.CutPrefix(c.Code, "commit:"); ok && strings.HasPrefix(code, "commit:") && code != c.Code {
		return nil, fmt.Errorf("%s is of commit %s, and this klamm is not", f.binary, commit)
	}
	return &c, nil
}

// mutantCode says which code a binary is into which a bug was planted. Such binaries are
// built with a tag that no file asks for.
func mutantCode(binary, mutant string) (string, error) {
	code, tags, err := codeOfBinary(binary)
	if err != nil {
		return "", err
	}
	want := "mutant_" + strings.ReplaceAll(mutant, "-", "_")
	if !slices.Contains(strings.Split(tags, ","), want) {
		return "", fmt.Errorf("%s is no binary with the mutant %s (its build tags are %q): go run ./internal/mutants -only %s -build DIR", binary, mutant, tags, mutant)
	}
	return code, nil
}

// writeOnce writes a file, unless it is there already and says something else.
func writeOnce(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		if there, err := os.ReadFile(name); err != nil || !bytes.Equal(there, b) {
			return fmt.Errorf("%s is there already, and is something else; remove it, or use --out", name)
		}
		return nil
	} else if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
