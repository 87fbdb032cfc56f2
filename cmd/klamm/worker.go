package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
	"github.com/spf13/cobra"
)

func newWorkerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "worker",
		Short:  "Make simulation runs ordered on standard input (for run --jobs)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveOrders(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

func serveOrders(in io.Reader, out io.Writer) error {
	relaxGC()
	orders, answers := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := answers.Encode(carryOut(o)); err != nil {
			return err
		}
	}
}

// relaxGC lets a run's garbage pile up: there is much of it and little else, and
// collecting it as often as usual takes a third of the time. GOGC and GOMEMLIMIT, if
// they are set, have their way.
func relaxGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(1 << 30) // collects more often as it comes near
	}
}

func carryOut(o order) answer {
	outcome, err := runWatched(o)
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{Result: outcome.Result}
	if o.Tally {
		if a.Fates, err = tally(outcome); err != nil {
			return answer{Error: err.Error()}
		}
	}
	if o.When {
		a.Moments = outcome.Moments
	}
	if o.Artifacts != "" && outcome.Verdict != scenarios.Held {
		if err := writeArtifacts(o, outcome); err != nil {
			a.Error = fmt.Sprintf("evidence cannot be written: %v", err)
		}
	}
	return a
}

// runWatched makes one run, recorded if the order says so, under a watchdog.
func runWatched(o order) (*scenarios.Outcome, error) {
	var watch scenarios.Watch
	if o.Record != "" {
		file, err := os.Create(o.Record)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		watch.Recorder = sim.NewRecorder(file)
		watch.Sink = watch.Recorder.Seen
	}
	defer guard(o.Spec, &watch)()
	outcome, err := scenarios.Run(o.Spec, watch)
	if err == nil && watch.Recorder != nil {
		err = watch.Recorder.Flush()
	}
	return outcome, err
}

// hungAfter is how long a simulation may stand still in real time before it
// counts as hung: a task that never blocks would stop it for ever.
const hungAfter = 60 * time.Second

// guard watches a run from outside and ends the process if it hangs, with all
// stacks and the seed. It returns what ends the watch.
func guard(spec scenarios.Spec, watch *scenarios.Watch) (done func()) {
	var kernel atomic.Pointer[sim.Kernel]
	watch.OnKernel = func(k *sim.Kernel) { kernel.Store(k) }
	finished := make(chan struct{})
	go func() {
		var last uint64
		for {
			select {
			case <-finished:
				return
			case <-time.After(hungAfter):
			}
			if k := kernel.Load(); k != nil && k.Beat() == last {
				stacks := make([]byte, 1<<20)
				fmt.Fprintf(os.Stderr, "hung: %s seed %d did not advance for %s: a task does not block, or tasks wake each other without end\n%s\n",
					spec.Scenario, spec.Seed, hungAfter, stacks[:runtime.Stack(stacks, true)])
				os.Exit(exitInternal)
			} else if k != nil {
				last = k.Beat()
			}
		}
	}()
	return func() { close(finished) }
}

// writeArtifacts writes the evidence of a failed run: its result, its history, the
// run as a case file, and the log and the page of the same run made again with everything
// shown.
func writeArtifacts(o order, outcome *scenarios.Outcome) error {
	dir := evidenceDir(o)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	result, err := json.MarshalIndent(withoutNulls(outcome.Result), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "result.json"), append(result, '\n'), 0o644); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "history.jsonl"), outcome.WriteHistory); err != nil {
		return err
	}
	if err := caseOf(o.Spec, outcome.Result).Write(filepath.Join(dir, "case.yaml")); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "log.txt"), func(w io.Writer) error {
		told, err := witnessed(o, outcome.Result, func(l sim.Line) { fmt.Fprintln(w, l) })
		if err != nil {
			return err
		}
		_, err = told.write(filepath.Join(dir, "report.html"))
		return err
	})
}

// writeFile creates a file and fills it through a buffer.
func writeFile(name string, fill func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	buffered := bufio.NewWriterSize(file, 1<<16)
	if err := fill(buffered); err != nil {
		return err
	}
	return buffered.Flush()
}
