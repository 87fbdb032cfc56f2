package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/casefile"
)

// git bisect run takes 0 for good, 125 for neither and all else for bad.
func TestBisectSkipsWhatIsNoVerdict(t *testing.T) {
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
