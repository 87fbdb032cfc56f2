package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/casefile"
)

// mostFaults is how many faults a case of a mutant has at most, unless each is proven to
// be needed.
const mostFaults = 5

// Every case is called as a mutant that there is, names it, says what it has found, and is
// as small as it can be.
func TestEveryCaseShowsAMutantThatThereIs(t *testing.T) {
	mutants, err := readMutants(planted)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("../..", casesFolder, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		c, err := casefile.Read(file)
		if err != nil {
			t.Error(err)
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		switch {
		case !slices.ContainsFunc(mutants, func(m mutant) bool { return m.Name == name }):
			t.Errorf("%s: there is no such mutant", name)
		case !strings.Contains(c.About, name):
			t.Errorf("%s: about: %q: want its name in it", name, c.About)
		case c.Found == nil || c.Found.Verdict == "held":
			t.Errorf("%s: it has found nothing: %+v", name, c.Found)
		case c.Shrunk == nil || !c.Shrunk.Complete && len(c.Faults) > mostFaults:
			t.Errorf("%s: %d faults, and more might be left out", name, len(c.Faults))
		}
	}
}

func TestACaseIsFoundByItsMutant(t *testing.T) {
	h := hunter{root: "../.."}
	if file, err := h.caseFile(mutant{Name: "no-such-mutant"}); file != "" || err != nil {
		t.Errorf("%q, %v", file, err)
	}
	files, err := filepath.Glob(filepath.Join(h.root, casesFolder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	name := strings.TrimSuffix(filepath.Base(files[0]), ".yaml")
	if file, err := h.caseFile(mutant{Name: name}); file != files[0] || err != nil {
		t.Errorf("%q, %v", file, err)
	}
}

func TestOnlyTheSameComplaintShowsAMutant(t *testing.T) {
	const violated = `{"failures": [{"verdict": "violated", "result": {"violations": [{"guarantee": "converges"}, {"guarantee": "no-lost-ack"}]}}]}`
	for _, c := range []struct {
		report   string
		found    casefile.Found
		shows    bool
		cameTo   string
		brokenIn string
	}{
		{violated, casefile.Found{Verdict: "violated", Guarantee: "no-lost-ack"}, true, "violated converges no-lost-ack", "no-lost-ack"},
		{violated, casefile.Found{Verdict: "violated", Guarantee: "delivers"}, false, "violated converges no-lost-ack", "delivers"},
		{`{"failures": [{"verdict": "stuck"}]}`, casefile.Found{Verdict: "stuck"}, true, "stuck", "stuck"},
		{`{"failures": [{"verdict": "crashed"}]}`, casefile.Found{Verdict: "stuck"}, false, "crashed", "stuck"},
		{`{"failures": []}`, casefile.Found{Verdict: "stuck"}, false, "held", "stuck"},
	} {
		var r runReport
		if err := json.Unmarshal([]byte(c.report), &r); err != nil {
			t.Fatal(err)
		}
		if got := r.shows(&c.found); got != c.shows || r.cameTo() != c.cameTo || brokenIn(&c.found) != c.brokenIn {
			t.Errorf("%s, %+v: %v, %q, %q", c.report, c.found, got, r.cameTo(), brokenIn(&c.found))
		}
	}
}
