package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
	"github.com/spf13/cobra"
)

type diffFlags struct {
	set, otherSet []string
	with          string
	until         string
	output        string
}

// exitDiffers says that two runs are not the same.
const exitDiffers = 1

func newDiffCommand() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff RUN [RUN]",
		Short: "Show where two runs part: of two seeds, two cases, two versions, or the same twice",
		Long: `Make two runs with every event written down, each in a process of its own, and show the
first event in which they differ, with some of each side; and the first thing that nodes
logged or traced in another way, whenever it was.

A RUN is CASE.yaml or SCENARIO:SEED; with @TIME#N behind it, it goes on otherwise from
that virtual time on (klamm why says which), with several by time. Without a second one the second is the first
again: with --with by another klamm, with --other-set with other settings, and with
neither to see that it is the same.

The recordings are some hundred megabytes of a long run, in the system's directory for
temporary files (TMPDIR).

Exit codes: 0 the runs are the same; 1 they differ; 2 usage; 70 internal error;
130 interrupted.`,
		Example: `  klamm diff leader-crash:7                          the same run twice
  klamm diff leader-crash:7 --with ./klamm-before     this version, and another
  klamm diff lost.yaml lost.yaml@2.5s#3               a failing run, and one that held
  klamm diff power-loss:2 --other-set log.flush=os`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fmt.Errorf("%d arguments: want one RUN or two, each CASE.yaml or SCENARIO:SEED", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return judging(diffRuns(cmd, args, f))
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.set, "set", nil, "settings of both runs, `name=value`; repeatable")
	flags.StringArrayVar(&f.otherSet, "other-set", nil, "settings of the second run, on top, `name=value`; repeatable")
	flags.StringVar(&f.with, "with", "", "have the second run made by the klamm at this `path`")
	flags.StringVar(&f.until, "until", "", "stop both at a `place`: a virtual time such as 12.5s, or event#N")
	outputFlag(cmd, &f.output)
	return cmd
}

// parseRun reads a run as diff takes it.
func parseRun(word string, set []string) (scenarios.Spec, error) {
	flags := replayFlags{set: set}
	name := word
	for at := strings.LastIndex(name, "@"); at >= 0 && strings.Contains(name[at:], "#"); at = strings.LastIndex(name, "@") {
		flags.turns = append([]string{name[at+1:]}, flags.turns...)
		name = name[:at]
	}
	if !casefile.IsName(name) {
		scenario, seed, ok := strings.Cut(name, ":")
		if !ok || seed == "" {
			return scenarios.Spec{}, fmt.Errorf("run %q: want CASE.yaml or SCENARIO:SEED", word)
		}
		name, flags.seed = scenario, seed
	}
	spec, err := flags.spec(name)
	if err == nil {
		err = scenarios.CheckSpec(spec)
	}
	if err != nil {
		return spec, fmt.Errorf("run %q: %w", word, err)
	}
	return spec, nil
}

// specs says which two runs are meant.
func (f diffFlags) specs(args []string) (first, second scenarios.Spec, err error) {
	first, err = parseRun(args[0], f.set)
	if err == nil {
		second, err = parseRun(args[len(args)-1], slices.Concat(f.set, f.otherSet))
	}
	if err == nil && f.until != "" {
		first.Until, first.UntilEvent, err = parsePlace(f.until)
		second.Until, second.UntilEvent = first.Until, first.UntilEvent
	}
	if err == nil && f.with != "" {
		if _, missing := exec.LookPath(f.with); missing != nil {
			err = fmt.Errorf("--with %s: want a program that can be run", f.with)
		}
	}
	return first, second, err
}

func diffRuns(cmd *cobra.Command, args []string, f diffFlags) error {
	out := cmd.OutOrStdout()
	if err := checkOutput(f.output); err != nil {
		return err
	}
	first, second, err := f.specs(args)
	if err != nil {
		return usage(err)
	}
	dir, err := os.MkdirTemp("", "klamm-diff-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// An interrupt must not leave the recordings behind.
	ctx, stop := signal.NotifyContext(background(cmd), os.Interrupt, syscall.SIGTERM)
	defer stop()
	files := [2]string{filepath.Join(dir, "first"), filepath.Join(dir, "second")}
	r := diffReport{Kind: "klamm.diff", Version: 1}
	results := [2]scenarios.Result{}
	for i, spec := range []scenarios.Spec{first, second} {
		with := []string{"", f.with}[i]
		if results[i], err = recordRun(ctx, order{Spec: spec, Record: files[i]}, with); err != nil {
			return fmt.Errorf("the %s run: %w", []string{"first", "second"}[i], err)
		}
		if !slices.Equal(results[i].Turns(), spec.Turns()) {
			return fmt.Errorf("%s knows no continuations: it made another run", with)
		}
	}
	if err := r.compare(files, results); err != nil {
		return err
	}
	// Whoever prints into a pipe that nobody reads any more dies of it.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if f.output == "json" {
		err = printJSON(out, r)
	} else {
		err = r.print(out)
	}
	if err == nil && !r.Same {
		return exitCode(exitDiffers)
	}
	return err
}

// A diffReport is what diff prints as JSON; see docs/json.md.
type diffReport struct {
	Kind       string      `json:"_kind"`
	Version    int         `json:"_version"`
	Same       bool        `json:"same"`
	First      diffRun     `json:"first_run"`
	Second     diffRun     `json:"second_run"`
	OnlyFirst  []string    `json:"only_first"`  // options and faults
	OnlySecond []string    `json:"only_second"` // likewise
	Event      *divergence `json:"event"`       // null if every event that was written down is the same
	Seen       *divergence `json:"seen"`        // null likewise, of what nodes logged and traced
}

// A diffRun is one of the two runs.
type diffRun struct {
	Run     string `json:"run"`
	Verdict string `json:"verdict"`
	Told    string `json:"headline"`
	Chain   string `json:"chain"`
	Events  uint64 `json:"events"`
	Virtual int64  `json:"virtual_ns"`
}

func diffRunOf(r scenarios.Result) diffRun {
	return diffRun{strings.TrimPrefix(r.Replay(), "klamm replay "), string(r.Verdict), r.Headline(), r.Chain.String(), r.Chain.Events, r.VirtualNanos}
}

// compare fills in how two runs differ.
func (d *diffReport) compare(files [2]string, results [2]scenarios.Result) (err error) {
	d.First, d.Second = diffRunOf(results[0]), diffRunOf(results[1])
	d.Same = results[0].Chain == results[1].Chain
	d.OnlyFirst, d.OnlySecond = []string{}, []string{}
	if d.Same {
		return nil
	}
	traits := [2][]string{traitsOf(results[0]), traitsOf(results[1])}
	d.OnlyFirst, d.OnlySecond = lacking(traits[0], traits[1]), lacking(traits[1], traits[0])
	for _, read := range []lineReader{isOldEvent, isEvent} {
		if d.Event, err = divergenceOf(files[0], files[1], read); err != nil || d.Event != nil {
			break
		}
	}
	if err == nil {
		d.Seen, err = divergenceOf(files[0], files[1], isSeen)
	}
	return err
}

// traitsOf lists what a run was made with, a line each.
func traitsOf(r scenarios.Result) (out []string) {
	for _, line := range r.Options {
		for _, option := range strings.Split(line, " ") {
			out = append(out, "option "+option)
		}
	}
	for _, line := range r.Drawn {
		out = append(out, "fault "+line)
	}
	return out
}

// lacking returns those of a list that another one lacks.
func lacking(list, other []string) []string {
	out := []string{}
	for _, s := range list {
		if !slices.Contains(other, s) {
			out = append(out, s)
		}
	}
	return out
}

func (d *diffReport) print(out io.Writer) error {
	if d.Same {
		_, err := fmt.Fprintf(out, "the same, %d events: %s, chain %s\n", d.First.Events, d.First.Run, d.First.Chain)
		return err
	}
	for _, side := range []struct {
		name string
		run  diffRun
		only []string
	}{{"first", d.First, d.OnlyFirst}, {"second", d.Second, d.OnlySecond}} {
		verdict := side.run.Told
		if verdict == "" && side.run.Verdict == "" {
			verdict = "stopped without a verdict"
		} else if verdict == "" {
			verdict = strings.ToUpper(side.run.Verdict)
		}
		fmt.Fprintf(out, "%6s  %s, chain %s, %s of virtual time\n        %s\n", side.name, side.run.Run, side.run.Chain,
			time.Duration(side.run.Virtual).Round(time.Millisecond), verdict)
		for _, line := range side.only {
			fmt.Fprintf(out, "        only here: %s\n", line)
		}
	}
	if d.Event != nil {
		fmt.Fprintln(out, "first diverging event (number, virtual time, what):")
		d.Event.print(out)
	} else {
		fmt.Fprintln(out, "every event that was written down is the same, and the chains are not")
	}
	switch {
	case d.Seen == nil:
		fmt.Fprintln(out, "nodes logged and traced the same")
	case len(d.Seen.Both)+min(len(d.Seen.First), len(d.Seen.Second)) == 0:
		// One of the two klamms writes nothing of that down.
	default:
		fmt.Fprintln(out, "first that nodes logged or traced otherwise (virtual time, node, what):")
		d.Seen.print(out)
	}
	return nil
}
