package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/casefile"
)

// A run is the same twice, and the same as another klamm makes it that is this one.
func TestDiffOfARunThatIsTheSame(t *testing.T) {
	workersAreThisTest(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"diff", "quiet:5", "--until", "100ms"}, {"diff", "quiet:5", "quiet:0x5", "--until", "event#2000"},
		{"diff", "quiet:5", "--with", self, "--until", "100ms"}, {"diff", "quiet:5", "quiet:5@1s#1", "--until", "100ms"},
	} {
		out, code := saidBy(t, args...)
		if code != 0 || !strings.HasPrefix(out, "the same, ") || !strings.Contains(out, " events: quiet --seed 5") {
			t.Errorf("%v: exit code %d: %s", args, code, out)
		}
	}
}

// Runs that differ are shown side by side from the first event on in which they do.
func TestDiffShowsWhereRunsPart(t *testing.T) {
	inTheSimulator(t)
	workersAreThisTest(t)
	file := filepath.Join(t.TempDir(), "case.yaml")
	if err := (casefile.Case{Scenario: "leader-crash", Seed: 7, Faults: []string{}}).Write(file); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"quiet:5", "quiet:6", "--until", "100ms"}, []string{" first  quiet --seed 5, chain ", "second  quiet --seed 6, chain ", "only here: option "}},
		{[]string{"quiet:5", "--other-set", "run.producers=1", "--until", "100ms"}, []string{"second  quiet --seed 5 --set run.producers=1", "only here: option producers=1"}},
		{[]string{"leader-crash:7", file, "--until", "2s"}, []string{"    both  ", "only here: fault power-loss node=@leader at=312.734344ms", "fault power-loss node=", "first that nodes logged"}},
		{[]string{"quiet:5", "quiet:5@50ms#3", "--until", "100ms"}, []string{"rand continuation 3\n", "second  quiet --seed 5 --continue 50ms#3"}},
	} {
		out, code := saidBy(t, append([]string{"diff"}, c.args...)...)
		if code != exitDiffers {
			t.Errorf("%v: exit code %d", c.args, code)
		}
		for _, want := range append(c.want, "first diverging event (number, virtual time, what):\n", "\n   first  ", "\n  second  ") {
			if !strings.Contains(out, want) {
				t.Errorf("%v: %q is missing in\n%s", c.args, want, out)
			}
		}
	}
}

func TestDiffAsJSON(t *testing.T) {
	workersAreThisTest(t)
	var r diffReport
	out, code := saidBy(t, "diff", "quiet:5", "--until", "100ms", "-o", "json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || !r.Same || r.Event != nil || r.First != r.Second || r.First.Events == 0 {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
	out, code = saidBy(t, "diff", "quiet:5", "quiet:5@50ms#3", "--until", "100ms", "-o", "json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitDiffers || r.Same || r.Event == nil || len(r.Event.Both) != contextLines ||
		len(r.Event.First) != contextLines || !strings.HasSuffix(r.Event.Second[0], "rand continuation 3") || len(r.OnlyFirst) > 0 {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
}

// Recordings of a version that does not write down looks at clocks are compared without.
func TestDivergenceOfRecordingsOfTwoVersions(t *testing.T) {
	dir := t.TempDir()
	before, now, other := filepath.Join(dir, "before"), filepath.Join(dir, "now"), filepath.Join(dir, "other")
	write(t, dir, "before", "1 0s pick a\n3 1ms log up 0\n")
	write(t, dir, "now", "1 0s pick a\n2 0s clock n1 wall 5\nseen 1ms n1 up\n3 1ms log up 0\n")
	write(t, dir, "other", "1 0s pick a\n2 0s clock n1 wall 6\nseen 2ms n1 up\n3 1ms log up 0\n")
	for _, c := range []struct {
		a, b string
		read lineReader
		want int // lines in common, -1 for no difference
	}{
		{before, now, isOldEvent, -1}, {before, now, isEvent, 1}, {now, other, isOldEvent, -1}, {now, other, isEvent, 1},
		{now, other, isSeen, -1}, {before, now, isSeen, 0},
	} {
		d, err := divergenceOf(c.a, c.b, c.read)
		if err != nil || (d == nil) != (c.want < 0) || d != nil && len(d.Both) != c.want {
			t.Errorf("%s and %s: %+v, %v", filepath.Base(c.a), filepath.Base(c.b), d, err)
		}
	}
}

func TestDiffRefuses(t *testing.T) {
	workersAreThisTest(t)
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{}, exitUsage}, {[]string{"quiet"}, exitUsage}, {[]string{"quiet:"}, exitUsage}, {[]string{"noise:1"}, exitUsage},
		{[]string{"quiet:one"}, exitUsage}, {[]string{"quiet:1", "quiet:2", "quiet:3"}, exitUsage}, {[]string{"none.yaml"}, exitUsage},
		{[]string{"quiet:1@1s#0"}, exitUsage}, {[]string{"quiet:1", "--until", "soon"}, exitUsage}, {[]string{"quiet:1", "-o", "yaml"}, exitUsage},
		{[]string{"quiet:1", "--with", "/no/such/klamm"}, exitUsage}, {[]string{"quiet:1", "--other-set", "no.such=1"}, exitUsage},
		{[]string{"quiet:1", "--with", "/bin/false", "--until", "1ms"}, exitInternal},
	} {
		if out, code := saidBy(t, append([]string{"diff"}, c.args...)...); code != c.code || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: exit code %d: %s", c.args, code, out)
		}
	}
}

// An interrupt leaves no recordings behind.
func TestDiffInterrupted(t *testing.T) {
	inTheSimulator(t)
	dir := t.TempDir()
	cmd := klamm(t, "diff", "quiet:1")
	cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitChild(t, cmd)
	cmd.Process.Signal(os.Interrupt)
	code := codeOfProcess(cmd)
	if left, err := os.ReadDir(dir); code != exitInterrupted || err != nil || len(left) > 0 {
		t.Errorf("exit code %d, %v are left, %v: %s", code, left, err, &said)
	}
}

// Nor does somebody who does not read what it prints.
func TestDiffIntoAClosedPipe(t *testing.T) {
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := klamm(t, "diff", "quiet:1", "--until", "10ms")
	cmd.Env, cmd.Stdout = append(cmd.Env, "TMPDIR="+dir), w
	if err := cmd.Run(); err == nil {
		t.Error("nobody could read what it printed, and it exited with 0")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}
