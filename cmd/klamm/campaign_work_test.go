package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/klammlog/klamm/internal/shards"
)

// quick are settings with which runs are as short as they can be.
var quick = []string{"--set", "run.sends=1", "--set", "run.safety=200ms"}

// planFile makes a plan by the command.
func planFile(t *testing.T, args ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "plan.json")
	if code, out, errs := said(append([]string{"campaign", "plan", "--out", name}, args...)...); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	return name
}

// Four workers over one folder, one of them killed in the middle: nothing is counted
// twice or lost, and the campaign is the one that a single process makes.
func TestAWorkerIsKilledInTheMiddle(t *testing.T) {
	inTheSimulator(t)
	plan := planFile(t, slices.Concat([]string{"quiet", "one-broker", "--seeds", "1+10", "--shard-seeds", "1", "--canary-seeds", "4",
		"--canary", "power-loss", "--canary-set", "log.flush=os", "--canary-set", "run.sends=1000", "--canary-set", "run.safety=5s"}, quick)...)
	results := filepath.Join(t.TempDir(), "results")
	workers := make([]*exec.Cmd, 4)
	for i := range workers {
		workers[i] = klamm(t, "campaign", "work", plan, "--results", results, "--jobs", "1")
	}
	told, err := workers[0].StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range workers {
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if line, err := bufio.NewReader(told).ReadString('\n'); err != nil || !strings.HasPrefix(line, "shard ") {
		t.Fatalf("%q, %v, want to hear of the first shard of the worker that is to be killed", line, err)
	}
	workers[0].Process.Kill()
	if err := workers[0].Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the worker ended before it was killed: %v", err)
	}
	for _, w := range workers[1:] {
		if code := codeOfProcess(w); code != 0 {
			t.Errorf("a worker's exit code is %d", code)
		}
	}
	code, out, errs := said("campaign", "merge", plan, "--results", results, "-o", "json")
	var merged campaignJSON
	if err := json.Unmarshal([]byte(out), &merged); err != nil || code != 0 || merged.Done != 10 || merged.Canary.Runs != 4 || merged.Canary.Found == 0 {
		t.Errorf("%v, exit code %d: %s%s", err, code, out, errs)
	}
	alone, err := klamm(t, slices.Concat([]string{"run", "quiet", "one-broker", "--seeds", "1+10", "-o", "json"}, quick)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want runReport
	if err := json.Unmarshal(alone, &want); err != nil {
		t.Fatal(err)
	}
	asJSON := func(rows []*row) string {
		b, err := json.MarshalIndent(rows, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if d := cmp.Diff(asJSON(want.Rows), asJSON(merged.Rows)); d != "" || want.Rows[0].Seeds != 10 {
		t.Errorf("the campaign is not that of one process: %s", d)
	}
}

// A shard is done by number or by the number in the environment, once; what came of it
// is the same file wherever it is done, however many processes do it.
func TestAShardIsDoneAnywhere(t *testing.T) {
	inTheSimulator(t)
	workersAreThisTest(t)
	plan := planFile(t, append([]string{"quiet", "--seeds", "1+6", "--shards", "3", "--canary", "none"}, quick...)...)
	dir := t.TempDir()
	here, there := filepath.Join(dir, "here"), filepath.Join(dir, "there")
	code, out, errs := said("campaign", "work", plan, "--results", here, "--shard", "2", "--jobs", "2")
	if code != 0 || !strings.Contains(out, "shard 2 of 3: 2 runs, 0 failures: "+filepath.Join(here, shards.FileName(2))) {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	if _, out, _ := said("campaign", "work", plan, "--results", here, "--shard", "2"); out != "shard 2 is done already\n" {
		t.Errorf("done again: %s", out)
	}
	t.Setenv("JOB_COMPLETION_INDEX", "2")
	if code, out, errs := said("campaign", "work", plan, "--results", there, "--index-from-env", "JOB_COMPLETION_INDEX", "--jobs", "1"); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	a, err1 := os.ReadFile(filepath.Join(here, shards.FileName(2)))
	b, err2 := os.ReadFile(filepath.Join(there, shards.FileName(2)))
	if err := errors.Join(err1, err2); err != nil || string(a) != string(b) {
		t.Errorf("%v: two workers wrote different files of one shard", err)
	}
}

// Who is asked to stop leaves no result, and its shard to others.
func TestAWorkerIsInterrupted(t *testing.T) {
	plan := planFile(t, "quiet", "--seeds", "1+1000", "--shards", "1")
	results := filepath.Join(t.TempDir(), "results")
	worker := klamm(t, "campaign", "work", plan, "--results", results, "--jobs", "1")
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	awaitChild(t, worker)
	worker.Process.Signal(syscall.SIGTERM)
	if code := codeOfProcess(worker); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	p, err := shards.ReadPlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := shards.NewFolder(p, results)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := folder.Next(t.Context()); err != nil || c == nil || c.Shard.Number != 0 {
		t.Errorf("%+v, %v, want shard 0", c, err)
	}
}

// A canary that is a mutant is run by its own binary, and counts if this one holds.
func TestACanaryOfItsOwnBinary(t *testing.T) {
	inTheSimulator(t)
	workersAreThisTest(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "mutant", "#!/bin/sh\n: > "+dir+"/asked\nexec "+self+` "$@"`+"\n")
	p, _ := planned(t)
	p.Set = []string{}
	p.Canary.Mutant, p.Canary.Code = "ack-before-fsync", "binary:00"
	w := &shardWorker{workFlags{jobs: 1, canary: filepath.Join(dir, "mutant")}, p, io.Discard}
	o := order{Spec: canarySpec(p, 2)} // the README shows it
	lines, err := w.canaryLines(t.Context(), []order{o})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "asked")); err != nil || len(lines) != 1 {
		t.Fatalf("%d lines, and the mutant's binary was not asked: %v", len(lines), err)
	}
	r, err := decodeRun(lines[0], o)
	c := canaryJSON{Scenario: "power-loss", Set: p.Canary.Set, Mutant: p.Canary.Mutant}
	if c.take(r); err != nil || c.Found != 1 || r.sound != "held" {
		t.Errorf("%v: %+v: %s", err, c, lines[0])
	}
	if told := c.sentence(true); !strings.Contains(told, "canary found: power-loss with the mutant ack-before-fsync and log.flush=os, in 1 of 1 runs") ||
		!strings.HasSuffix(told, "--seed 2 --set log.flush=os in the mutant's binary") {
		t.Error(told)
	}
}

// What cannot be worked on is refused in one line, and nothing is written.
func TestWorkRefuses(t *testing.T) {
	workersAreThisTest(t)
	p, plan := planned(t)
	change := func(f func(*shards.Plan)) string {
		other := *p
		f(&other)
		return writePlan(t, &other)
	}
	foreign := change(func(p *shards.Plan) { p.Code = "commit:0123456789abcdef0123456789abcdef01234567" })
	mutant := change(func(p *shards.Plan) {
		p.Canary = &shards.Canary{Scenario: "crash", Mutant: "map-order", Code: "binary:00", Seeds: 1}
	})
	t.Setenv("KLAMM_NO_NUMBER", "one")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, "0 arguments: want a plan file"},
		{[]string{"none.json"}, "no such file"},
		{[]string{plan}, "want --results FOLDER"},
		{[]string{foreign}, "it is a plan for commit:0123456789abcdef0123456789abcdef01234567, made by this test; this klamm is "},
		{[]string{plan, "--shard", "3"}, "shard 3: the plan has the shards 0 to 2"},
		{[]string{plan, "--shard", "-1"}, "shard -1: the plan has the shards 0 to 2"},
		{[]string{plan, "--shard", "one"}, "invalid argument"},
		{[]string{plan, "--shard", "1", "--index-from-env", "HOME"}, "exclude each other"},
		{[]string{plan, "--index-from-env", "KLAMM_NO_NUMBER"}, `it is "one": want the number of a shard`},
		{[]string{plan, "--index-from-env", "KLAMM_NOT_SET"}, `it is "": want the number of a shard`},
		{[]string{plan, "--jobs", "0"}, "--jobs 0: want 1 to 1024"},
		{[]string{plan, "--canary-binary", os.Args[0]}, "the plan's canary is no mutant"},
		{[]string{mutant}, "the plan's canary is the mutant map-order: want --canary-binary FILE"},
		{[]string{mutant, "--canary-binary", os.Args[0]}, "is no binary with the mutant map-order"},
		{[]string{mutant, "--canary-binary", plan}, "plan.json: "},
		{[]string{change(func(p *shards.Plan) { p.Scenarios = []string{"no-such"} })}, `no scenario "no-such"`},
		{[]string{change(func(p *shards.Plan) { p.Set = []string{"run.sends=many"} })}, `setting "run.sends=many"`},
		{[]string{change(func(p *shards.Plan) { p.Canary = &shards.Canary{Scenario: "quiet", Set: []string{"x=y"}, Seeds: 1} })}, `canary: setting "x=y"`},
	} {
		results := filepath.Join(t.TempDir(), "results")
		args := append([]string{"campaign", "work"}, c.args...)
		if c.want != "want --results FOLDER" {
			args = append(args, "--results", results)
		}
		code, out, errs := said(args...)
		if code != 2 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit code %d, %s%s, want %q", c.args, code, out, errs, c.want)
		}
		if left, _ := filepath.Glob(filepath.Join(results, "*")); len(left) > 0 {
			t.Errorf("%q: %v was written", c.args, left)
		}
	}
	dir := t.TempDir()
	other := *p
	other.Repeat = 2
	found(t, &other, dir, 1, nil)
	for _, args := range [][]string{{"--shard", "1"}, {}} {
		if code, out, errs := said(append([]string{"campaign", "work", plan, "--results", dir}, args...)...); code != 2 || !strings.Contains(errs, "results of another plan") {
			t.Errorf("%q: exit code %d, %s%s", args, code, out, errs)
		}
	}
}

func TestPlan(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "plan.json")
	for _, c := range []struct {
		args []string
		code int
		want string // on standard output, or of the error
	}{
		{[]string{"everything", "--seeds", "1+1000000", "--shard-seeds", "100"}, 0, "10000\n"},
		{[]string{"everything", "--seeds", "1+1000"}, 0, "2\n"},
		{[]string{"quiet", "crash", "--seeds", "1+1000"}, 0, "4\n"},
		{[]string{"quiet", "--seeds", "1+3"}, 0, "1\n"},
		{[]string{"quiet", "--seeds", "0..1000", "--shards", "256"}, 0, "250\n"},
		{[]string{"--seeds", "0123456789abcdef0123456789abcdef01234567+100", "--shards", "25"}, 0, "25\n"},
		{[]string{"quiet", "--seeds", "1+3", "--canary", "none"}, 0, "1\n"},
		{[]string{"quiet"}, 2, "want --seeds A+N"},
		{[]string{"quiet", "--seeds", "1"}, 2, "want A..B (B exclusive) or A+N"},
		{[]string{"no-such", "--seeds", "1+1"}, 2, `no scenario "no-such"`},
		{[]string{"quiet", "quiet", "--seeds", "1+1"}, 2, "quiet stands there twice"},
		{[]string{"quiet", "--seeds", "1+1", "--shards", "1", "--shard-seeds", "1"}, 2, "exclude each other"},
		{[]string{"quiet", "--seeds", "1+1000000", "--shards", "3"}, 2, "shards of 333334 seeds: want 1 to 16384"},
		{[]string{"quiet", "--seeds", "1+4000000", "--shard-seeds", "1"}, 2, "4000000 shards: want at most 1048576"},
		{[]string{"quiet", "--seeds", "1+1", "--set", "x=y"}, 2, `setting "x=y"`},
		{[]string{"quiet", "--seeds", "1+1", "--repeat", "17"}, 2, "repeat 17: want 1 to 16"},
		{[]string{"quiet", "--seeds", "1+1", "--canary", "no-such", "--canary-set", "log.flush=os"}, 2, `canary: no scenario "no-such"`},
		{[]string{"quiet", "--seeds", "1+1", "--canary", "crash"}, 2, "nothing is wrong there that could be found"},
		{[]string{"quiet", "--seeds", "1+1", "--canary-set", "log.flush=os"}, 2, "want --canary SCENARIO"},
		{[]string{"quiet", "--seeds", "1+1", "--canary", "none", "--canary-set", "log.flush=os"}, 2, "--canary none has no settings"},
		{[]string{"quiet", "--seeds", "1+1", "--canary", "crash", "--canary-mutant", "map-order"}, 2, "go together"},
		{[]string{"quiet", "--seeds", "1+1", "--canary", "crash", "--canary-mutant", "map-order", "--canary-binary", os.Args[0]}, 2, "is no binary with the mutant map-order"},
		{[]string{"quiet", "--seeds", "1+1", "--canary-seeds", "0"}, 2, "canary: 0 seeds: want 1 to 1024"},
	} {
		os.Remove(name)
		code, out, errs := said(append([]string{"campaign", "plan", "--out", name}, c.args...)...)
		if code != c.code || code == 0 && out != c.want || code != 0 && (!strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1) {
			t.Errorf("%q: exit code %d, %s%s, want %d, %q", c.args, code, out, errs, c.code, c.want)
		}
		if _, err := shards.ReadPlan(name); (err == nil) != (code == 0) {
			t.Errorf("%q: %v", c.args, err)
		}
	}
	args := []string{"campaign", "plan", "quiet", "--seeds", "1+3", "--out", name}
	for i, want := range []int{0, 0, 2} {
		if i == 2 {
			args = append(args, "--repeat", "2")
		}
		if code, _, errs := said(args...); code != want || want == 2 && !strings.Contains(errs, "is there already, and is something else") {
			t.Errorf("written for the %dth time: exit code %d, %s", i+1, code, errs)
		}
	}
}

func TestNumbers(t *testing.T) {
	var odd []int
	for n := range 50 {
		odd = append(odd, 2*n+1)
	}
	for _, c := range []struct {
		all  []int
		want string
	}{
		{nil, ""}, {[]int{7}, "7"}, {[]int{0, 1, 2, 5, 7, 8}, "0-2, 5, 7-8"},
		{odd, "1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, …"},
	} {
		if got := numbers(c.all); got != c.want {
			t.Errorf("%v: %s, want %s", c.all, got, c.want)
		}
	}
}
