package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/klammlog/klamm/scenarios"
)

// workersAreThisTest has the pool run `klamm worker` in processes of this test's own binary.
func workersAreThisTest(t *testing.T) {
	t.Helper()
	t.Setenv("KLAMM_TEST_RUN", "1")
}

// quietRuns hands out runs that are quick: they stop at a virtual instant.
func quietRuns(ctx context.Context, count uint64) <-chan order {
	orders := make(chan order)
	go func() {
		defer close(orders)
		for seed := range count {
			select {
			case orders <- order{Spec: scenarios.Spec{Scenario: "quiet", Seed: seed, Until: 1e8}}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return orders
}

func TestPoolMakesEveryRun(t *testing.T) {
	workersAreThisTest(t)
	seen := map[uint64]finding{}
	if err := runPool(t.Context(), quietRuns(t.Context(), 12), 2, 2, func(f finding) bool {
		seen[f.Spec.Seed] = f
		return true
	}); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(12) {
		f := seen[seed]
		if f.Died != nil || f.Error != "" || f.Result.Chain.Events == 0 || len(f.Again) != 1 || f.diverged() != nil {
			t.Errorf("seed %d: %+v", seed, f)
		}
	}
	if seen[1].Result.Chain == seen[2].Result.Chain {
		t.Error("two seeds made one run")
	}
}

func TestPoolStopsWhenItIsEnough(t *testing.T) {
	workersAreThisTest(t)
	taken := 0
	err := runPool(t.Context(), quietRuns(t.Context(), 1<<40), 2, 1, func(finding) bool { taken++; return taken < 3 })
	if err != nil || taken != 3 {
		t.Errorf("%d findings taken, %v, want 3", taken, err)
	}
}

func TestPoolStopsWhenInterrupted(t *testing.T) {
	workersAreThisTest(t)
	ctx, interrupt := context.WithCancel(t.Context())
	err := runPool(ctx, quietRuns(ctx, 1<<40), 2, 1, func(finding) bool { interrupt(); return true })
	if !errors.Is(err, errInterrupted) {
		t.Errorf("%v, want %v", err, errInterrupted)
	}
}

// A worker that dies is one finding, with what it said last; other runs go on in
// another.
func TestPoolReplacesAWorkerThatDies(t *testing.T) {
	workersAreThisTest(t)
	orders := make(chan order, 3)
	orders <- order{Spec: scenarios.Spec{Scenario: "quiet", Seed: 1, Until: 1e8}}
	orders <- order{Spec: scenarios.Spec{Scenario: deadlyScenario}}
	orders <- order{Spec: scenarios.Spec{Scenario: "quiet", Seed: 2, Until: 1e8}}
	close(orders)
	var said []string
	if err := runPool(t.Context(), orders, 1, 1, func(f finding) bool {
		said = append(said, fmt.Sprint(f.Spec.Seed, f.Died))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"1 <nil>", "0 the process that ran it died (exit status 70):\nlast words", "2 <nil>"}
	if fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("findings %q, want %q", said, want)
	}
}

// deadlyScenario ends the worker that shall run it.
const deadlyScenario = "deadly"

// mortally passes a worker's orders on, and ends the process at the deadly one.
func mortally(in io.Reader) io.Reader {
	out, pass := io.Pipe()
	go func() {
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			if bytes.Contains(lines.Bytes(), []byte(deadlyScenario)) {
				fmt.Fprintln(os.Stderr, "last words")
				os.Exit(exitInternal)
			}
			fmt.Fprintf(pass, "%s\n", lines.Bytes())
		}
		pass.Close()
	}()
	return out
}

// Ctrl-C goes to every process of a terminal; it must not look as if runs had died.
func TestRunInterruptedAsByATerminal(t *testing.T) {
	cmd := klamm(t, "run", "quiet", "--seeds", "0+1000000", "-o", "json")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitChild(t, cmd)
	syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	text, _ := io.ReadAll(out)
	if code := codeOfProcess(cmd); code != exitInterrupted || !bytes.Contains(text, []byte(`"failures": []`)) ||
		!bytes.Contains(text, []byte(`"exit_code": 130`)) {
		t.Errorf("exit code %d, want %d:\n%s", code, exitInterrupted, text)
	}
}

// awaitChild waits until a process has started one.
func awaitChild(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	for t.Context().Err() == nil {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", cmd.Process.Pid))
		if len(files) == 0 {
			t.Skip("this system does not tell a process's children")
		}
		for _, file := range files {
			if children, _ := os.ReadFile(file); len(children) > 0 {
				return
			}
		}
	}
}
