package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
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
	until  string
	turns  []string
	state  bool
	log    bool
	write  string
	bisect bool
	output string
}

// aCaseOrScenario is the one argument of the commands that are about one run.
const aCaseOrScenario = "CASE.yaml, or one of the scenarios that klamm list scenarios prints"

func newReplayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay SCENARIO --seed N | CASE.yaml",
		Short: "Make one run again, and show what happened",
		Long: `Make one run again: the same seed, settings and binary give the same events.
A case file says all that, and every fault in a line that can be changed; --case writes one.

--trace shows what became of a partition, a node, a connection, a client or a group, a
line an event: what nodes did, what clients did and were told, and faults. --log shows
every node's log. --state shows the cluster as it is at the end, or where --until stops
the run. None of them changes the run.

--continue has the run go on otherwise from an instant on; klamm why says which. How a
case goes on from a later instant on is left out then.

Exit codes: 1 the run breaks a safety guarantee again; 3 it gets stuck again;
4 it tests nothing; 7 it did not reproduce a failure: everything held;
0 only with --until, which stops before the verdict, and with --bisect, of which
klamm help exit-codes tells.`,
		Example: `  klamm replay power-loss --seed 7714
  klamm replay power-loss --seed 7714 --trace partition=orders-2
  klamm replay flaky-network --seed 12 --trace node=n1 --until 12.5s
  klamm replay leader-crash --seed 7 --until event#20000 --state
  klamm replay everything --seed 7714 --case 7714.yaml
  git bisect run sh -c 'go build -o /tmp/klamm ./cmd/klamm || exit 125; /tmp/klamm replay 7714.yaml --bisect'`,
		Args: oneArgument(aCaseOrScenario),
		RunE: func(cmd *cobra.Command, args []string) error {
			return judging(replay(cmd.OutOrStdout(), args[0], f))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.seed, "seed", "", "the run's seed")
	flags.StringArrayVar(&f.set, "set", nil, "the run's settings, `name=value`; repeatable")
	flags.StringArrayVar(&f.trace, "trace", nil, "show the events of partition=NAME, node=NAME, conn=ID, client=NAME, group=NAME, or all; repeatable")
	flags.StringVar(&f.until, "until", "", "stop at a `place`: a virtual time such as 12.5s, or event#N")
	flags.StringArrayVar(&f.turns, "continue", nil, "go on otherwise from a virtual time on: `TIME#N`, N from 1 on, is one of many ways; repeatable, by time")
	flags.BoolVar(&f.state, "state", false, "show nodes, replicas and groups as they are in the end")
	flags.BoolVar(&f.log, "log", false, "show the nodes' logs")
	flags.StringVar(&f.write, "case", "", "write the run to this case `file`, with its faults and its verdict")
	flags.BoolVar(&f.bisect, "bisect", false, "exit as git bisect run wants it: 0 if every guarantee holds, 125 if the run says nothing either way")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	return cmd
}

func replay(out io.Writer, name string, f replayFlags) error {
	if f.bisect {
		return bisected(out, name, f)
	}
	spec, err := f.spec(name)
	if err != nil {
		return usage(err)
	}
	if f.output != "text" && f.output != "json" {
		return usage(fmt.Errorf("--output %q: want text or json", f.output))
	}
	if f.write != "" {
		if err := checkTarget(f.write); err != nil {
			return usage(err)
		}
	}
	want, err := newFilter(f)
	if err != nil {
		return usage(err)
	}
	buffered := bufio.NewWriter(out)
	shown := trace{filter: want}
	var watch scenarios.Watch
	if want.any() {
		watch.Sink = shown.take
	}
	if f.state {
		watch.Cluster = &scenarios.ClusterState{}
	}
	defer guard(spec, &watch)()
	outcome, err := runCaught(spec, watch)
	if err == nil {
		shown.add(outcome)
	}
	if printing := shown.print(buffered, f.output); err == nil {
		err = printing
	}
	if err != nil {
		return errors.Join(err, buffered.Flush())
	}
	if f.write != "" {
		if err := caseOf(spec, outcome.Result).Write(f.write); err != nil {
			return err
		}
	}
	told := tellReplay(buffered, outcome, watch.Cluster, f)
	if f.output == "text" {
		if err := tellFound(buffered, name, outcome.Result); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return told
}

// spec says which run is meant: that of a case file, or of a scenario's seed.
func (f replayFlags) spec(name string) (scenarios.Spec, error) {
	switch {
	case f.write != "" && f.until != "":
		return scenarios.Spec{}, errors.New("--case writes a run with its verdict, and --until stops before that")
	case f.write != "" && f.turns != nil:
		return scenarios.Spec{}, errors.New("--case writes a run that a scenario and a seed make, and --continue leaves it")
	}
	spec, err := f.named(name)
	if err == nil && f.until != "" {
		spec.Until, spec.UntilEvent, err = parsePlace(f.until)
	}
	if err == nil {
		spec, err = turned(spec, f.turns)
	}
	return spec, err
}

// turned returns a run that goes on as continuations say, by time.
func turned(spec scenarios.Spec, turns []string) (scenarios.Spec, error) {
	var last sim.Continuation
	for _, word := range turns {
		c, err := sim.ParseContinuation(word)
		switch {
		case err != nil:
			return spec, fmt.Errorf("--continue %w", err)
		case c.From < last.From:
			return spec, fmt.Errorf("--continue %s: want it before %s: the run would not come to that", c, last)
		}
		spec, last = spec.Turned(c), c
	}
	return spec, nil
}

// parsePlace reads where a run is stopped: an instant, or a number of events.
func parsePlace(s string) (at kafka.Instant, event uint64, err error) {
	if number, ok := strings.CutPrefix(s, "event#"); ok {
		if event, err = strconv.ParseUint(number, 10, 64); err != nil || event == 0 {
			return 0, 0, fmt.Errorf("--until %s: want event#N, N from 1 on", s)
		}
		return 0, event, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, 0, fmt.Errorf("--until %s: want a time after the run's beginning, such as 12.5s, or event#N", s)
	}
	return kafka.Instant(d), 0, nil
}

// named says which run a case file, or a scenario with its seed, is.
func (f replayFlags) named(name string) (scenarios.Spec, error) {
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

// replayJSON is what replay prints as JSON; see docs/json.md.
type replayJSON struct {
	Kind    string                  `json:"_kind"`
	Version int                     `json:"_version"`
	State   *scenarios.ClusterState `json:"state,omitempty"`
	scenarios.Result
}

func tellReplay(out io.Writer, o *scenarios.Outcome, state *scenarios.ClusterState, f replayFlags) error {
	if f.output == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(replayJSON{"klamm.replay", 1, state, withoutNulls(o.Result)}); err != nil {
			return err
		}
	} else if err := printReplay(out, o, state); err != nil {
		return err
	}
	switch o.Verdict {
	case "":
		return nil // --until ended it before
	case scenarios.Held:
		return exitCode(exitNotReproduced)
	case scenarios.Stuck:
		return exitCode(exitStuck)
	case scenarios.Inconclusive:
		return exitCode(exitInconclusive)
	}
	return exitCode(exitViolated)
}

func printReplay(out io.Writer, o *scenarios.Outcome, state *scenarios.ClusterState) error {
	r := o.Result
	fmt.Fprintf(out, "%s seed %d, chain %s, %s of virtual time\n", r.Scenario, r.Seed, r.Chain,
		time.Duration(r.VirtualNanos).Round(time.Millisecond))
	for _, c := range r.Turns() {
		fmt.Fprintf(out, "  continued otherwise from %s on: number %d\n", c.From, c.Number)
	}
	for _, line := range r.Options {
		fmt.Fprintf(out, "  option  %s\n", line)
	}
	for _, line := range r.Drawn {
		fmt.Fprintf(out, "  fault   %s\n", line)
	}
	if state != nil {
		if err := printClusterState(out, *state); err != nil {
			return err
		}
	} else {
		for _, line := range o.State {
			fmt.Fprintf(out, "  state   %s\n", line)
		}
	}
	if r.Verdict == "" {
		return nil
	}
	printResult(out, r, 8)
	if r.Verdict == scenarios.Held {
		fmt.Fprintln(out, "did not reproduce a failure: every guarantee held")
	}
	return nil
}
