package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/klammlog/klamm/internal/casefile"
)

// The gate of the repository names cases and scenarios that there are, and all the cases.
func TestTheRepositorysGateCanBeRun(t *testing.T) {
	t.Chdir("../..")
	f := runFlags{gate: ".github/gate.yaml", seed: "1", repeat: 1}
	g, err := f.openGate(nil)
	if err != nil {
		t.Fatal(err)
	}
	cases, err := os.ReadDir("scenarios/testdata/cases")
	if err != nil || len(cases) == 0 || len(g.cases) != len(cases) {
		t.Errorf("it has %d cases, and there are %d: %v", len(g.cases), len(cases), err)
	}
	if len(g.names) == 0 || !slices.Contains(g.names, "everything") {
		t.Errorf("fresh seeds of %v: want everything at least", g.names)
	}
}

// A workflow is what of GitHub's form there is in ours.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Steps []struct {
			Uses, Run, If string
			With          map[string]string
		}
	}
}

// The workflow builds klamm and runs its gate with flags that there are, by nobody's
// actions but GitHub's own.
func TestTheWorkflowRunsTheGate(t *testing.T) {
	text, err := os.ReadFile("../../.github/workflows/klamm.yml")
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, step := range w.Jobs["gate"].Steps {
		action, _, _ := strings.Cut(step.Uses, "@")
		if action != "" && !slices.Contains([]string{"actions/checkout", "actions/setup-go", "actions/upload-artifact"}, action) {
			t.Errorf("it uses %s", step.Uses)
		}
		if strings.Contains(step.Run, "${{") {
			t.Errorf("what somebody wrote elsewhere becomes a command: %s", step.Run)
		}
		if strings.Contains(step.Run, " run --gate ") {
			words = strings.Fields(step.Run)
		}
		if file := step.With["go-version-file"]; file != "" {
			if _, err := os.Stat("../../" + file); err != nil {
				t.Error(err)
			}
		}
	}
	if len(words) == 0 {
		t.Fatal("no step runs the gate")
	}
	cmd := newRunCommand()
	if err := cmd.ParseFlags(words[2:]); err != nil || cmd.Flags().NArg() > 0 {
		t.Errorf("%v: %v %v", words, err, cmd.Flags().Args())
	}
	if _, err := casefile.ReadGate("../../" + cmd.Flag("gate").Value.String()); err != nil {
		t.Error(err)
	}
	if w.Permissions["contents"] != "read" || len(w.Permissions) != 1 {
		t.Errorf("it may do more than it needs: %v", w.Permissions)
	}
}
