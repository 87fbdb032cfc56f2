package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/casefile"
)

// The evidence of a failure has a page, and its case file gives one too, which says what
// became of the run when it was shrunk.
func TestAFailureHasAPage(t *testing.T) {
	inTheSimulator(t)
	dir := t.TempDir()
	out, code := exitOfCommand(t, "run", "power-loss", "--seed", "2", "--set", "log.flush=os", "--set", "run.sends=200", "-j", "1", "--artifacts", dir)
	if code != exitViolated {
		t.Fatalf("exit code %d: %s", code, out)
	}
	folder := filepath.Join(dir, "power-loss-2")
	page := string(read(t, filepath.Join(folder, "report.html")))
	for _, want := range []string{"no-lost-ack", "klamm replay power-loss --seed 2 --set log.flush=os --set run.sends=200", "git bisect run", "strikes n1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	file := filepath.Join(folder, "case.yaml")
	c, err := casefile.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	c.Shrunk = &casefile.Shrunk{Faults: 77, Operations: 5000, Complete: true, Needed: []casefile.Needed{{Fault: c.Faults[0], Without: "inconclusive"}}}
	if err := c.Write(file); err != nil {
		t.Fatal(err)
	}
	out, code = exitOfCommand(t, "report", file, "-o", "json")
	var r reportJSON
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	page = string(read(t, filepath.Join(folder, "case.html")))
	if r.Page != filepath.Join(folder, "case.html") || r.Bytes != len(page) || r.Verdict != "violated" {
		t.Errorf("%+v, and the page has %d bytes", r, len(page))
	}
	for _, want := range []string{"from 77 faults to", "<td>inconclusive</td>", "klamm replay " + file} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of the case does not say %q", want)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
