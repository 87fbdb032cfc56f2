package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// manifests reads the documents of a file of YAML; a field that stands twice is an error.
func manifests(t *testing.T, name string) (out []map[string]any) {
	t.Helper()
	text, err := os.ReadFile("../../docs/campaigns/" + name)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var m map[string]any
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, m)
	}
}

// at returns what is at a path of a document, such as spec.template; a number is a place
// in a list.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				t.Fatalf("%v: no item %d", path, s)
			}
			v = l[s]
		}
		if v == nil {
			t.Fatalf("%v: there is no %v", path, step)
		}
	}
	return v
}

// parses fails if a command line of klamm names a command or a flag that there is not.
func parses(t *testing.T, args []string) {
	t.Helper()
	cmd, rest, err := newRoot().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil || !cmd.HasParent() {
		t.Errorf("klamm %s: %v", strings.Join(args, " "), err)
	}
}

func TestTheKubernetesExample(t *testing.T) {
	documents := append(manifests(t, "kubernetes.yaml"), manifests(t, "kubernetes-merge.yaml")...)
	var kinds []string
	claim := ""
	for _, m := range documents {
		kinds = append(kinds, at(t, m, "apiVersion").(string)+" "+at(t, m, "kind").(string))
		if at(t, m, "kind") == "PersistentVolumeClaim" {
			claim = at(t, m, "metadata", "name").(string)
			if !slices.Contains(at(t, m, "spec", "accessModes").([]any), any("ReadWriteMany")) {
				t.Error("pods on several nodes cannot write to the volume")
			}
			continue
		}
		pod := at(t, m, "spec", "template", "spec")
		worker := at(t, pod, "containers", 0)
		var args []string
		for _, a := range at(t, worker, "args").([]any) {
			args = append(args, a.(string)) // an argument that is a number is refused by the cluster
		}
		parses(t, args)
		if at(t, pod, "restartPolicy") != "Never" { // which a podFailurePolicy needs
			t.Error("a pod that failed is restarted in its place")
		}
		if at(t, pod, "volumes", 1, "persistentVolumeClaim", "claimName") != claim || at(t, worker, "volumeMounts", 1, "mountPath") != "/results" {
			t.Error("the results are not on the volume")
		}
	}
	if want := []string{"v1 PersistentVolumeClaim", "batch/v1 Job", "batch/v1 Job"}; !slices.Equal(kinds, want) {
		t.Fatalf("%q, want %q", kinds, want)
	}
	job := documents[1]
	if at(t, job, "spec", "completionMode") != "Indexed" || at(t, job, "spec", "completions").(int) < at(t, job, "spec", "parallelism").(int) {
		t.Error("the Job has no index for each shard")
	}
	rule := at(t, job, "spec", "podFailurePolicy", "rules", 1)
	if at(t, rule, "action") != "FailJob" || at(t, rule, "onExitCodes", "values", 0) != exitUsage ||
		at(t, rule, "onExitCodes", "containerName") != at(t, job, "spec", "template", "spec", "containers", 0, "name") {
		t.Errorf("%v: a plan of another commit is tried again and again", rule)
	}
}

func TestTheGitHubExample(t *testing.T) {
	workflow := manifests(t, "github.yaml")[0]
	jobs := at(t, workflow, "jobs").(map[string]any)
	if at(t, jobs, "work", "needs") != "plan" || at(t, jobs, "merge", "needs") != "work" {
		t.Error("jobs do not follow each other")
	}
	if at(t, jobs, "work", "strategy", "fail-fast") != false {
		t.Error("a shard that cannot be done ends the others")
	}
	if at(t, jobs, "work", "strategy", "matrix", "shard") != "${{ fromJSON(needs.plan.outputs.shards) }}" ||
		at(t, jobs, "plan", "outputs", "shards") != "${{ steps.plan.outputs.shards }}" {
		t.Error("the matrix is not what was planned")
	}
	said := map[string]int{}
	for _, job := range []string{"plan", "work", "merge"} {
		for _, step := range at(t, jobs, job, "steps").([]any) {
			script, _ := step.(map[string]any)["run"].(string)
			for _, line := range commandLines(script) {
				said[line[1]]++
				parses(t, line)
			}
		}
	}
	if said["plan"] != 1 || said["work"] != 1 || said["merge"] != 1 {
		t.Errorf("commands: %v", said)
	}
}

var campaignCommand = regexp.MustCompile(`klamm (campaign [^)|&\n]*)`)

// commandLines returns the campaign commands in a text of a shell, as arguments. What the
// shell or GitHub puts in is put in as 1.
func commandLines(text string) (lines [][]string) {
	text = regexp.MustCompile(`\$\{\{.*?\}\}|\$\(.*?\)|\$\w+`).ReplaceAllStringFunc(text, func(s string) string {
		if strings.Contains(s, "klamm campaign") {
			return s
		}
		return "1"
	})
	for _, m := range campaignCommand.FindAllStringSubmatch(text, -1) {
		command, _, _ := strings.Cut(m[1], "   ")
		lines = append(lines, strings.Fields(strings.ReplaceAll(command, `"`, "")))
	}
	return lines
}

// Every command that docs/campaigns.md and the help show is one that there is.
func TestCampaignCommandsInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/campaigns.md")
	if err != nil {
		t.Fatal(err)
	}
	said := string(text)
	for _, cmd := range newCampaignCommand().Commands() {
		said += "\n" + cmd.Example
	}
	count := 0
	for _, line := range strings.Split(said, "\n") {
		for _, part := range strings.Split(line, "`") {
			if strings.HasPrefix(strings.TrimSpace(part), "klamm campaign ") {
				for _, args := range commandLines(part) {
					count++
					parses(t, args)
				}
			}
		}
	}
	if count < 12 {
		t.Errorf("%d commands found: that is not all", count)
	}
}
