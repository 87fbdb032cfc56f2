package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/internal/report"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
	"github.com/spf13/cobra"
)

type reportFlags struct {
	seed   string
	set    []string
	out    string
	output string
}

func newReportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report SCENARIO --seed N | CASE.yaml",
		Short: "Make one run again, and write what happened as a page of HTML",
		Long: `Make one run twice, the second time with everything written down, and explain it in one
page of HTML: the verdict in plain words, what led to it, who told whom what, what
clients did, the replicas' logs over time, the faults and the options. The page needs no
network and no other file, and has at most 5 MiB: what does not fit is left out, and it
says what. Where porcupine judged, what operators were told, its own page is written beside
this one. klamm run --artifacts writes both for each failure.

Exit codes: 0 the page was written, whatever the verdict; 2 usage; 5 the two runs were not
the same; 70 internal error.`,
		Example: `  klamm report power-loss --seed 7714
  klamm report lost.yaml --out lost.html`,
		Args: oneArgument(aCaseOrScenario),
		RunE: func(cmd *cobra.Command, args []string) error {
			return judging(reportRun(cmd.OutOrStdout(), args[0], f))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.seed, "seed", "", "the run's seed")
	flags.StringArrayVar(&f.set, "set", nil, "the run's settings, `name=value`; repeatable")
	flags.StringVar(&f.out, "out", "", "write the page to this `file` (default SCENARIO-SEED.html, or CASE.html)")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	return cmd
}

// reportJSON is what report prints as JSON; see docs/json.md.
type reportJSON struct {
	Kind     string `json:"_kind"`
	Version  int    `json:"_version"`
	Scenario string `json:"scenario"`
	Seed     uint64 `json:"seed"`
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason,omitempty"`
	Page     string `json:"page"`
	Bytes    int    `json:"bytes"`
	Picture  string `json:"picture,omitempty"`
}

func reportRun(out io.Writer, name string, f reportFlags) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	spec, err := replayFlags{seed: f.seed, set: f.set}.spec(name)
	if err != nil {
		return usage(err)
	}
	var c *casefile.Case
	page := fmt.Sprintf("%s-%d.html", spec.Scenario, spec.Seed)
	if casefile.IsName(name) {
		read, err := casefile.Read(name)
		if err != nil {
			return usage(err)
		}
		c, page = &read, strings.TrimSuffix(strings.TrimSuffix(name, ".yml"), ".yaml")+".html"
	}
	if f.out != "" {
		page = f.out
	}
	if err := checkTarget(page); err != nil {
		return usage(err)
	}
	first, err := guarded(spec, scenarios.Watch{})
	if err != nil {
		return err
	}
	told, err := witnessed(order{Spec: spec, File: caseName(c, name), Given: f.set}, first.Result, nil)
	if err != nil {
		return err
	}
	told.run.Shrunk = shrunkOf(c, first.Result)
	w, err := told.write(page)
	if err != nil {
		return err
	}
	r := first.Result
	if f.output == "json" {
		return printJSON(out, reportJSON{"klamm.report", 1, r.Scenario, r.Seed, string(r.Verdict), r.Reason, page, w.bytes, w.picture})
	}
	if line := r.Headline(); line != "" {
		fmt.Fprintln(out, line)
	}
	if w.picture != "" {
		fmt.Fprintf(out, "%s: porcupine's own page\n", w.picture)
	}
	_, err = fmt.Fprintf(out, "%s: %d bytes\n", page, w.bytes)
	return err
}

func caseName(c *casefile.Case, name string) string {
	if c == nil {
		return ""
	}
	return name
}

// guarded makes a run under a watchdog.
func guarded(spec scenarios.Spec, watch scenarios.Watch) (*scenarios.Outcome, error) {
	defer guard(spec, &watch)()
	return runCaught(spec, watch)
}

// errNotTheSame is a run that was not what it was before: it was made twice.
var errNotTheSame = errors.New("the same run was not the same when it was watched")

// witnessed makes a run again that came to r, with everything written down. Lines of its
// log go to sink too.
func witnessed(o order, r scenarios.Result, sink sim.Sink) (explanation, error) {
	w := scenarios.NewWitness()
	again, err := guarded(o.Spec, scenarios.Watch{Witness: w, Sink: sink})
	if err != nil {
		return explanation{}, err
	}
	if again.Chain != r.Chain {
		fmt.Fprintf(os.Stderr, "klamm: %v: %s seed %d: chain %s, and then %s\n", errNotTheSame, r.Scenario, r.Seed, r.Chain, again.Chain)
		return explanation{}, exitCode(exitNotDeterministic)
	}
	told := w.Report(again)
	told.Build, told.Commands = buildVersion().line(), commandsFor(o, r)
	return explanation{told, again.Acts}, nil
}

// shrunkOf tells what a case says of how it became so small.
func shrunkOf(c *casefile.Case, r scenarios.Result) *report.Shrunk {
	if c == nil || c.Shrunk == nil {
		return nil
	}
	out := &report.Shrunk{
		Before:   report.Size{Faults: c.Shrunk.Faults, Operations: c.Shrunk.Operations, Virtual: report.Instant(c.Shrunk.VirtualNS)},
		After:    report.Size{Faults: len(r.Drawn), Operations: r.Operations.Total, Virtual: report.Instant(r.VirtualNanos)},
		Complete: c.Shrunk.Complete,
	}
	for _, n := range c.Shrunk.Needed {
		out.Needed = append(out.Needed, report.Needed{Fault: n.Fault, Without: n.Without + inSchedules(n.Schedules)})
	}
	return out
}
