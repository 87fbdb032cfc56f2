package casefile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write writes files below a directory whose name is a pattern itself.
func write(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a[1]*")
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Patterns are relative to the gate's file, and a file that two of them name is one case.
func TestAGateNamesItsCases(t *testing.T) {
	dir := write(t, map[string]string{
		"ci/gate.yaml": "klamm: 1\nabout: what was broken once\ncases:\n  - ../cases/*.yaml\n  - ../cases/b.yaml\nscenarios: [crash, quiet]\nbudget: 1m30s\n",
		"cases/b.yaml": "", "cases/a.yaml": "", "cases/notes.txt": "",
	})
	got, err := ReadGate(filepath.Join(dir, "ci/gate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := Gate{
		Klamm: 1, About: "what was broken once", Scenarios: []string{"crash", "quiet"}, Budget: 90 * time.Second,
		Cases: []string{filepath.Join(dir, "cases/a.yaml"), filepath.Join(dir, "cases/b.yaml")},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What is no gate is refused in one line that names the file.
func TestWhatIsNoGateIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "it is empty",
		"klamm: 2\nscenarios: [quiet]\nbudget: 1m\n":                                 "klamm: 2: this klamm reads gates of version 1",
		"scenarios: [quiet]\nbudget: 1m\n":                                           "it is no gate: those begin with klamm: 1",
		"klamm: 1\nbudget: 1m\n":                                                     "it names neither cases nor scenarios",
		"klamm: 1\nscenarios: [quiet]\n":                                             "budget: 0s: want at least 1s",
		"klamm: 1\nscenarios: [quiet]\nbudget: 300\n":                                "line 3: want a time such as 5m, not 300",
		"klamm: 1\nscenarios: [quiet]\nbudget: -5m\n":                                "budget: -5m0s: want at least 1s",
		"klamm: 1\nscenarios: [quiet]\nbudget: soon\n":                               "line 3: want a time such as 5m, not soon",
		"klamm: 1\nscenarios: [quiet]\nbudget: 1m\nseeds: 5\n":                       "line 4: there is no key seeds",
		"klamm: 1\ncases: [no*.yaml]\nbudget: 1m\n":                                  `cases: "no*.yaml": there is no such file`,
		"klamm: 1\ncases: [\"[\"]\nbudget: 1m\n":                                     `cases: "[": syntax error in pattern`,
		"klamm: 1\nscenarios: [quiet]\nbudget: 1m\n---\nklamm: 1\n":                  "it holds more than one document",
		"klamm: 1\nscenarios: [quiet]\nbudget: 1m\n" + strings.Repeat("#", maxBytes): "it has more than 1048576 bytes",
		"klamm: 1\nscenarios: &a [*a]\nbudget: 1m\n":                                 "line 2: want text, not a list",
	} {
		file := filepath.Join(write(t, map[string]string{"gate.yaml": text}), "gate.yaml")
		_, err := ReadGate(file)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), file+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: %v, want %q in one line", text, err, want)
		}
	}
	if _, err := ReadGate(filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzDecodeGate(f *testing.F) {
	f.Add([]byte("klamm: 1\ncases: [a/*.yaml]\nscenarios: [quiet]\nbudget: 1m\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := DecodeGate(b)
		if err == nil && (g.Budget < minBudget || len(g.Cases)+len(g.Scenarios) == 0) {
			t.Errorf("%+v", g)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q", err)
		}
	})
}
