package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/casefile"
)

// git bisect run takes 0 for good, 125 for neither and all else for bad.
func TestBisectSkipsWhatIsNoVerdict(t *testing.T) {
	inTheSimulator(t)
	dir := t.TempDir()
	for name, c := range map[string]casefile.Case{
		"unknown.yaml":           {Scenario: "a-scenario-to-come", Seed: 1},
		deadlyScenario + ".yaml": {Scenario: "quiet", Seed: 1},
	} {
		if err := c.Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"quiet --seed 1 --set run.sends=50", 0, "HELD quiet seed 1"},
		{"power-loss --seed 2 --set log.flush=os --set run.sends=400", exitViolated, "VIOLATED power-loss seed 2: no-lost-ack"},
		{"power-loss --seed 2 --set log.flush=os --set run.sends=400 -o json", exitViolated, `"_kind": "klamm.replay"`},
		{dir + "/unknown.yaml", exitSkip, "no scenario"},
		{dir + "/" + deadlyScenario + ".yaml", exitSkip, "last words"},
		{dir + "/none.yaml", exitSkip, "no such file"},
		{"quiet", exitSkip, "which seed?"},
		{"quiet --seed 1 --until 1s", exitSkip, "--bisect is for the verdict"},
	} {
		cmd := klamm(t, append([]string{"replay", "--bisect"}, strings.Fields(c.args)...)...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s", c.args, code, c.code, c.want, out)
		}
	}
}

// Six commits, of which the fourth breaks a promise and the second cannot run the case:
// git finds the fourth.
func TestGitBisectFindsTheCommit(t *testing.T) {
	inTheSimulator(t)
	dir := t.TempDir()
	t.Setenv("KLAMM_TEST_RUN", "1")
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@y"}, args...)...).CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	git("init", "-q")
	flush := []string{"ack", "", "ack", "os", "os", "os"}
	for i, how := range flush {
		c := casefile.Case{Scenario: "power-loss", Seed: 2, Set: []string{"log.flush=" + how, "run.sends=400"}, Faults: lossOfPower(t)}
		if how == "" {
			c.Scenario = "a-scenario-to-come"
		}
		c.About = fmt.Sprint(i) // each is another
		if err := c.Write(filepath.Join(dir, "case.yaml")); err != nil {
			t.Fatal(err)
		}
		git("add", "case.yaml")
		git("commit", "-q", "-m", fmt.Sprint("commit ", i))
	}
	git("bisect", "start", "HEAD", "HEAD~5")
	out := git("bisect", "run", os.Args[0], "replay", "case.yaml", "--bisect")
	if first := strings.TrimSpace(git("log", "-1", "--format=%s", "refs/bisect/bad")); first != "commit 3" {
		t.Errorf("it found %q:\n%s", first, out)
	}
}
