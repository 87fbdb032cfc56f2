package main

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/casefile"
)

// exitOfCommand runs a command and returns what it printed, and its exit code.
func exitOfCommand(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := klamm(t, args...)
	out, err := cmd.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// A run that fails becomes a case that fails in the same way, is smaller, and of which
// nothing can be left out.
func TestShrinkWritesACaseThatFails(t *testing.T) {
	inTheSimulator(t)
	file := filepath.Join(t.TempDir(), "lost.yaml")
	failing := []string{"power-loss", "--seed", "2", "--set", "log.flush=os", "--set", "run.sends=400"}
	out, code := exitOfCommand(t, append([]string{"shrink", "-o", "json", "--case", file}, failing...)...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	var r shrinkReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Complete || r.After.Faults >= r.Before.Faults || r.After.Operations >= r.Before.Operations || len(r.Needed) != r.After.Faults || r.Runs > 300 {
		t.Errorf("%+v", r)
	}
	for _, n := range r.Needed {
		if n.Without == r.Guarantee {
			t.Errorf("without %q it is broken too", n.Fault)
		}
	}
	c, err := casefile.Read(file)
	if err != nil || len(c.Faults) != r.After.Faults || c.Found.Guarantee != r.Guarantee {
		t.Errorf("%+v, %v", c, err)
	}
	if out, code := exitOfCommand(t, "replay", file); code != exitViolated || !strings.Contains(out, r.Guarantee) {
		t.Errorf("the case is replayed with exit code %d:\n%s", code, out)
	}
	if out, code := exitOfCommand(t, "run", file, "quiet", "--seed", "1"); code != exitViolated || !strings.Contains(out, "replay: klamm replay "+file) {
		t.Errorf("the case is run with exit code %d:\n%s", code, out)
	}
	c.Faults = nil
	if err := c.Write(file); err != nil {
		t.Fatal(err)
	}
	if out, code := exitOfCommand(t, "replay", file); code == exitViolated {
		t.Errorf("without its fault the case fails:\n%s", out)
	}
}

// What there was time for is written, and said to be no more than that.
func TestShrinkKeepsTheBestSoFar(t *testing.T) {
	inTheSimulator(t)
	file := filepath.Join(t.TempDir(), "lost.yaml")
	out, code := exitOfCommand(t, "shrink", "power-loss", "--seed", "2", "--set", "log.flush=os", "--set", "run.sends=400", "--runs", "4", "--case", file)
	if code != 0 || !strings.Contains(out, "not complete: as many runs were made as --runs allows") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if _, code := exitOfCommand(t, "replay", file); code != exitViolated {
		t.Errorf("what was written is replayed with exit code %d", code)
	}
}

func TestShrinkRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "case.yaml")
	if err := (casefile.Case{Scenario: "crash", Seed: 1, Faults: []string{"crash node=n7 at=1s for=1s n=0"}}).Write(file); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"shrink", "quiet", "--seed", "1"}, exitNotReproduced},
		{[]string{"shrink", "quiet"}, exitUsage},
		{[]string{"shrink", "quiet", "--seed", "1", "--runs", "0"}, exitUsage},
		{[]string{"shrink", "quiet", "--seed", "1", "--case", "somewhere"}, exitUsage},
		{[]string{"shrink", file, "--case", file}, exitUsage}, // there is no n7
		{[]string{"run", file}, exitUsage},
		{[]string{"run", filepath.Join(t.TempDir(), "none.yaml")}, exitUsage},
		{[]string{"replay", file, "--seed", "1"}, exitUsage},
		{[]string{"replay", "quiet", "--seed", "1", "--until", "1s", "--case", file}, exitUsage},
	} {
		if out, code := exitOfCommand(t, c.args...); code != c.code {
			t.Errorf("%v: exit code %d, want %d:\n%s", c.args, code, c.code, out)
		}
	}
}
