package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/internal/shards"
	"github.com/klammlog/klamm/scenarios"
)

func newCampaignCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "campaign",
		Short: "Run a campaign on as many machines as there are, and put together what came of it",
		Long: `A plan divides the seeds of a campaign into shards. Workers do shards, wherever and as
often as they like: what came of a shard is a file, the same whoever writes it. A worker
that is killed leaves its shard to another. A merge is the union of the files.

Every campaign has a canary, a bug that is known to be there: if no judge complains of
it, the campaign proves nothing and says so.

docs/campaigns.md has worked examples for Kubernetes and GitHub.`,
		Example: `  klamm campaign plan everything --seeds 1+1000 --out plan.json
  klamm campaign work plan.json --results results      as many of these as you like, side by side
  klamm campaign status plan.json --results results
  klamm campaign merge plan.json --results results`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCampaignPlan(), newCampaignWork(), newCampaignMerge(), newCampaignStatus())
	return cmd
}

// ownCode says what the runs of this program are a function of besides their plan.
var ownCode = sync.OnceValues(func() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	code, _, err := codeOfBinary(self)
	return code, err
})

// codeOfBinary says which code a binary is: the commit that it was built from, or, if
// that is not known or not all, the binary itself. Tags are those it was built with.
func codeOfBinary(name string) (code, tags string, err error) {
	info, err := buildinfo.ReadFile(name)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if commit := settings["vcs.revision"]; commit != "" && settings["vcs.modified"] != "true" {
		return "commit:" + commit, settings["-tags"], nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", "", err
	}
	return "binary:" + hex.EncodeToString(h.Sum(nil)), settings["-tags"], nil
}

// readPlan reads a plan that this very code is to work on.
func readPlan(name string) (*shards.Plan, error) {
	p, err := shards.ReadPlan(name)
	if err != nil {
		return nil, usage(err)
	}
	code, err := ownCode()
	if err != nil {
		return nil, err
	}
	if p.Code != code {
		return nil, usage(fmt.Errorf("%s: it is a plan for %s, made by %s; this klamm is %s, and would make other runs", name, p.Code, p.MadeBy, code))
	}
	if err := checkPlan(p); err != nil {
		return nil, usage(fmt.Errorf("%s: %w", name, err))
	}
	return p, nil
}

// checkPlan returns what a plan names that there is not, if anything.
func checkPlan(p *shards.Plan) error {
	if _, err := chosenScenarios(p.Scenarios); err != nil {
		return err
	}
	if err := scenarios.CheckSettings(p.Set); err != nil {
		return err
	}
	if p.Canary == nil {
		return nil
	}
	_, err := chosenScenarios([]string{p.Canary.Scenario})
	if err = errors.Join(err, scenarios.CheckSettings(p.Canary.Set)); err != nil {
		return fmt.Errorf("canary: %w", err)
	}
	return nil
}
