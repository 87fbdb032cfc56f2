package main

import (
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/checker/metadata"
	"github.com/klammlog/klamm/internal/report"
	"github.com/klammlog/klamm/scenarios"
)

// forgotten is what operators were told when a partition was added and forgotten.
func forgotten() *metadata.History {
	h := &metadata.History{}
	for i, o := range []metadata.Operation{
		{Act: metadata.Create, ID: "a1", Partitions: 2}, {Act: metadata.Grow, Partitions: 4}, {Act: metadata.Look, ID: "a1", Partitions: 2},
	} {
		o.Client, o.Resource, o.Answer = "o1", "topic orders", metadata.Done
		o.Invoked, o.Completed = history.Instant(10*i), history.Instant(10*i+5)
		h.Add(o)
	}
	return h
}

// Where porcupine judged its own page is beside that of the run, which links it and says
// what came of it.
func TestPorcupinesPageIsBesideTheRuns(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lost: 7.html")
	e := explanation{acts: forgotten(), run: report.Run{Scenario: "operators", Verdict: "violated", Broke: report.Never,
		Violations: []report.Violation{{Guarantee: metadata.Guarantee, Sentence: "it was forgotten"}}}}
	w, err := e.write(name)
	if err != nil {
		t.Fatal(err)
	}
	page := string(read(t, name))
	if w.bytes != len(page) || !strings.Contains(page, "found no order in which all of it can have happened.") {
		t.Errorf("%+v, and the page has %d bytes: %s", w, len(page), page[:min(len(page), 3000)])
	}
	link := regexp.MustCompile(`<a href="([^"]*)">`).FindStringSubmatch(page)
	if link == nil {
		t.Fatal("nothing is linked")
	}
	linked, err := url.PathUnescape(html.UnescapeString(link[1]))
	if err != nil || filepath.Join(filepath.Dir(name), linked) != w.picture {
		t.Errorf("%q is linked, and %q was written: %v", linked, w.picture, err)
	}
	picture := string(read(t, w.picture))
	for _, want := range []string{"<!doctype html>", `"Description":"o1: look topic orders partitions=2 id=a1: done"`, "</html>"} {
		if !strings.Contains(picture, want) {
			t.Errorf("the picture does not have %q", want)
		}
	}
	// What holds is drawn, too, and what cannot be drawn is not linked; where porcupine
	// judged nothing nobody speaks of it.
	held := explanation{acts: &metadata.History{Operations: e.acts.Operations[:2]}, run: report.Run{Verdict: "held", Broke: report.Never}}
	if w, err := held.write(name); err != nil || w.picture == "" || !strings.Contains(string(read(t, name)), "complains of nothing.") {
		t.Errorf("%+v, %v", w, err)
	}
	for range 20_000 {
		held.acts.Operations = append(held.acts.Operations, metadata.Operation{Client: "o1", Resource: "topic t", Act: metadata.Look, Answer: metadata.Missing})
	}
	if w, err := held.write(name); err != nil || w.picture != "" || !strings.Contains(string(read(t, name)), "It was not drawn: too much for a picture") {
		t.Errorf("%+v, %v", w, err)
	}
	quiet := explanation{acts: &metadata.History{}, run: report.Run{Verdict: "held", Broke: report.Never}}
	if w, err := quiet.write(name); err != nil || w.picture != "" || strings.Contains(string(read(t, name)), "orcupine") {
		t.Errorf("%+v, %v", w, err)
	}
}

// A page that cannot be written leaves nothing behind.
func TestAPageIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.html")
	if err := os.Mkdir(taken, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := (explanation{run: report.Run{Broke: report.Never}}).write(taken); err == nil {
		t.Error("a page was written over a folder")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// What a page says about bisecting is a case that is replayed: the one given, that of the
// evidence, or one that is written first.
func TestWhatIsBisectedIsACase(t *testing.T) {
	const script = `git bisect start HEAD GOOD && git bisect run sh -c 'go build -o /tmp/klamm ./cmd/klamm || exit 125; /tmp/klamm replay `
	spec := scenarios.Spec{Scenario: "quiet", Seed: 7}
	r := scenarios.Result{Scenario: "quiet", Seed: 7, Verdict: scenarios.Violated}
	for _, c := range []struct {
		what string
		o    order
		want string
	}{
		{"a case", order{Spec: spec, File: "lost.yaml", Given: []string{"log.flush=os"}, Artifacts: "out"}, script + `lost.yaml --set log.flush=os --bisect'`},
		{"evidence", order{Spec: spec, Artifacts: "out"}, script + `out/quiet-7/case.yaml --bisect'`},
		{"a seed", order{Spec: spec}, "klamm replay quiet --seed 7 --case quiet-7.yaml; " + script + `quiet-7.yaml --bisect'`},
	} {
		line := ""
		for _, command := range commandsFor(c.o, r) {
			if strings.Contains(command.Line, "git bisect run") {
				line = command.Line
			}
		}
		if line != c.want {
			t.Errorf("%s: %s", c.what, line)
		}
	}
	// Of a run that held nothing can be left out, asked or bisected.
	r.Verdict = scenarios.Held
	if commands := commandsFor(order{Spec: spec}, r); len(commands) != 2 || commands[0].Line != "klamm replay quiet --seed 7" || commands[1].Line != "klamm report quiet --seed 7" {
		t.Errorf("%+v", commands)
	}
}
