package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
	"github.com/spf13/cobra"
)

type replayFlags struct {
	seed   string
	set    []string
	trace  []string
	until  time.Duration
	log    bool
	write  string
	output string
}

func newReplayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay SCENARIO --seed N | CASE.yaml",
		Short: "Make one run again, and show what happened",
		Long: `Make one run again: the same seed, settings and binary give the same events.
A case file says all that, and every fault in a line that can be changed; --case writes one.

--trace shows what a partition, a connection or a node did, a line an event;
--log shows every node's log. Both leave the run as it is.

Exit codes: 1 the run breaks a safety guarantee again; 3 it gets stuck again;
4 it tests nothing; 7 it did not reproduce a failure: everything held;
0 only with --until, which stops before the verdict.`,
		Example: `  klamm replay power-loss --seed 7714
  klamm replay power-loss --seed 7714 --trace partition=orders-2
  klamm replay flaky-network --seed 12 --trace node=n1 --until 12.5s
  klamm replay everything --seed 7714 --case 7714.yaml`,
		Args: oneArgument("a case file, or SCENARIO, one of " + strings.Join(scenarios.Names(), ", ")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return judging(replay(cmd.OutOrStdout(), args[0], f))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.seed, "seed", "", "the run's seed")
	flags.StringArrayVar(&f.set, "set", nil, "the run's settings, `name=value`; repeatable")
	flags.StringArrayVar(&f.trace, "trace", nil, "show the events of partition=NAME, conn=ID, client=NAME, node=NAME, or all; repeatable")
	flags.DurationVar(&f.until, "until", 0, "stop at this virtual time and show the state")
	flags.BoolVar(&f.log, "log", false, "show the nodes' logs")
	flags.StringVar(&f.write, "case", "", "write the run to this case `file`, with its faults and its verdict")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	return cmd
}

func replay(out io.Writer, name string, f replayFlags) error {
	spec, err := f.spec(name)
	if err != nil {
		return usage(err)
	}
	if f.output != "text" && f.output != "json" {
		return usage(fmt.Errorf("--output %q: want text or json", f.output))
	}
	if f.until < 0 {
		return usage(fmt.Errorf("--until %s: want a time from the run's beginning on", f.until))
	}
	want, err := newFilter(f)
	if err != nil {
		return usage(err)
	}
	if want.any() && f.output == "json" {
		return usage(errors.New("--trace and --log show text, not -o json"))
	}
	buffered := bufio.NewWriter(out)
	spec.Until = kafka.Instant(f.until)
	var watch scenarios.Watch
	if want.any() {
		watch.Sink = func(l sim.Line) {
			if want.shows(l) {
				fmt.Fprintln(buffered, l)
			}
		}
	}
	defer guard(spec, &watch)()
	outcome, err := runCaught(spec, watch)
	if err != nil {
		return err
	}
	if f.write != "" {
		if err := caseOf(spec, outcome.Result).Write(f.write); err != nil {
			return err
		}
	}
	told := tellReplay(buffered, outcome, f)
	if err := buffered.Flush(); err != nil {
		return err
	}
	return told
}

// spec says which run is meant: that of a case file, or of a scenario's seed.
func (f replayFlags) spec(name string) (scenarios.Spec, error) {
	if f.write != "" && f.until > 0 {
		return scenarios.Spec{}, errors.New("--case writes a run with its verdict, and --until stops before that")
	}
	if casefile.IsName(name) {
		if f.seed != "" {
			return scenarios.Spec{}, errors.New("--seed is for scenarios: a case has its own")
		}
		o, err := caseOrder(name, f.set)
		return o.Spec, err
	}
	names, err := chosenScenarios([]string{name})
	if err != nil {
		return scenarios.Spec{}, err
	}
	if f.seed == "" {
		return scenarios.Spec{}, errors.New("which seed? want --seed N")
	}
	seed, err := parseSeed(f.seed)
	if err != nil {
		return scenarios.Spec{}, err
	}
	return scenarios.Spec{Scenario: names[0], Seed: seed, Set: f.set}, scenarios.CheckSettings(f.set)
}

// runCaught makes a run; a panic that nothing in the run catches becomes an error.
func runCaught(spec scenarios.Spec, watch scenarios.Watch) (o *scenarios.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil { //klamm:recover the process's end: Go's exit code of a panic is 2, and that says usage
			err = fmt.Errorf("the simulation panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return scenarios.Run(spec, watch)
}

func tellReplay(out io.Writer, o *scenarios.Outcome, f replayFlags) error {
	if f.output == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(struct {
			Kind    string `json:"_kind"`
			Version int    `json:"_version"`
			scenarios.Result
		}{"klamm.replay", 1, withoutNulls(o.Result)}); err != nil {
			return err
		}
	} else {
		printReplay(out, o, f)
	}
	if f.until > 0 && o.Verdict == "" {
		return nil
	}
	switch o.Verdict {
	case scenarios.Held:
		return exitCode(exitNotReproduced)
	case scenarios.Stuck:
		return exitCode(exitStuck)
	case scenarios.Inconclusive:
		return exitCode(exitInconclusive)
	}
	return exitCode(exitViolated)
}

func printReplay(out io.Writer, o *scenarios.Outcome, f replayFlags) {
	r := o.Result
	fmt.Fprintf(out, "%s seed %d, chain %s, %s of virtual time\n", r.Scenario, r.Seed, r.Chain,
		time.Duration(r.VirtualNanos).Round(time.Millisecond))
	for _, line := range r.Options {
		fmt.Fprintf(out, "  option  %s\n", line)
	}
	for _, line := range r.Drawn {
		fmt.Fprintf(out, "  fault   %s\n", line)
	}
	for _, line := range o.State {
		fmt.Fprintf(out, "  state   %s\n", line)
	}
	if f.until > 0 && r.Verdict == "" {
		return
	}
	printResult(out, r, 8)
	if r.Verdict == scenarios.Held {
		fmt.Fprintln(out, "did not reproduce a failure: every guarantee held")
	}
}

// A filter says which lines of a run are shown.
type filter struct {
	logs, all bool
	wanted    []attribute
}

type attribute struct{ key, value string }

func newFilter(f replayFlags) (filter, error) {
	out := filter{logs: f.log}
	for _, t := range f.trace {
		key, value, ok := strings.Cut(t, "=")
		switch {
		case t == "all":
			out.all = true
		case ok && value != "" && (key == "partition" || key == "conn" || key == "client" || key == "node"):
			out.wanted = append(out.wanted, attribute{key, value})
		default:
			return out, fmt.Errorf("--trace %q: want partition=NAME, conn=ID, client=NAME, node=NAME or all", t)
		}
	}
	return out, nil
}

func (f filter) any() bool { return f.logs || f.all || len(f.wanted) > 0 }

func (f filter) shows(l sim.Line) bool {
	if f.all || (f.logs && l.Event == "") {
		return true
	}
	for _, a := range f.wanted {
		if a.key == "node" && l.Node == a.value {
			return true
		}
		for _, attr := range l.Attrs {
			if attr.Key == a.key && attr.Value.String() == a.value {
				return true
			}
		}
	}
	return false
}
