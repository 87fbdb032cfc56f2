package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klammlog/klamm/checker/metadata"
	"github.com/klammlog/klamm/internal/report"
	"github.com/klammlog/klamm/scenarios"
)

// An explanation is what the pages about a run are made of.
type explanation struct {
	run  report.Run
	acts *metadata.History // what porcupine judged, nil if it judged nothing
}

// A written says what pages about a run there are.
type written struct {
	bytes   int    // of the page
	picture string // porcupine's own page, empty if there is none
}

// write writes the page of a run to a file, and beside it porcupine's own, if porcupine
// judged: each whole or not at all.
func (e explanation) write(name string) (w written, err error) {
	if e.acts != nil && len(e.acts.Operations) > 0 {
		if w.picture, err = e.draw(name); err != nil {
			return w, err
		}
	}
	var b bytes.Buffer
	if err := report.Write(&b, &e.run); err != nil {
		return w, err
	}
	w.bytes = b.Len()
	return w, writeWhole(name, b.Bytes())
}

// draw writes porcupine's page beside that of the run, which tells of it then.
func (e *explanation) draw(page string) (name string, err error) {
	said := "and complains of nothing"
	if slices.ContainsFunc(e.run.Violations, func(v report.Violation) bool { return v.Guarantee == metadata.Guarantee }) {
		said = "and found no order in which all of it can have happened"
	}
	e.run.Picture = &report.Picture{Text: "Porcupine judged what operators were told of topics and settings, " + said + "."}
	b, err := metadata.Draw(e.acts)
	switch {
	case errors.Is(err, metadata.ErrNoPicture):
		e.run.Picture.Text += fmt.Sprintf(" It was not drawn: %v.", err)
		return "", nil
	case err != nil:
		return "", err
	}
	name = strings.TrimSuffix(page, ".html") + ".porcupine.html"
	e.run.Picture.File = filepath.Base(name)
	return name, writeWhole(name, b)
}

// checkTarget returns what is wrong with the name of a file that is to be written once
// some time has been spent on what is to be in it.
func checkTarget(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return fmt.Errorf("%s cannot be written: it is a folder", name)
	}
	trial, err := os.CreateTemp(filepath.Dir(name), ".klamm-*")
	if err != nil {
		var why *fs.PathError
		if errors.As(err, &why) {
			err = why.Err
		}
		return fmt.Errorf("%s cannot be written: %w", name, err)
	}
	return errors.Join(trial.Close(), os.Remove(trial.Name()))
}

// writeWhole writes a file, whole or not at all.
func writeWhole(name string, b []byte) error {
	temp := name + ".tmp"
	err := os.WriteFile(temp, b, 0o644)
	if err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		os.Remove(temp) // which may never have been there
	}
	return err
}

// commandsFor returns the commands that make a run again, and of one that fails those that
// make it smaller, ask when it was decided, and find out since which commit it fails.
func commandsFor(o order, r scenarios.Result) []report.Command {
	words := strings.TrimPrefix(r.Replay(), "klamm replay ")
	if o.File != "" {
		words = strings.TrimPrefix(scenarios.ReplayCommand(o.File, o.Given), "klamm replay ")
	}
	again := []report.Command{{What: "make the run again", Line: "klamm replay " + words}}
	page := report.Command{What: "make this page again", Line: "klamm report " + words}
	if brokenBy(&r) == "" {
		return append(again, page)
	}
	bisected, before := caseIn(o), ""
	if o.File != "" {
		bisected = words
	}
	if bisected == "" {
		bisected = fmt.Sprintf("%s-%d.yaml", r.Scenario, r.Seed)
		before = "klamm replay " + words + " --case " + bisected + "; "
	}
	shrunk := words
	if o.File != "" {
		shrunk += " --case smaller.yaml"
	}
	return append(again, []report.Command{
		{What: "leave out what it can fail without", Line: "klamm shrink " + shrunk},
		{What: "ask from when on it was likely to fail", Line: "klamm why " + words},
		{What: "find the commit since which it fails, from one on that is good",
			Line: before + "git bisect start HEAD GOOD && git bisect run sh -c '" + strings.ReplaceAll(bisecting(bisected), "'", `'\''`) + "'"},
		page,
	}...)
}

// caseIn names the case file among the evidence of a run, as a shell takes it; it is
// empty if there is no evidence.
func caseIn(o order) string {
	if o.Artifacts == "" {
		return ""
	}
	return strings.TrimPrefix(scenarios.ReplayCommand(filepath.Join(evidenceDir(o), "case.yaml"), nil), "klamm replay ")
}

// evidenceDir is the folder of the evidence of a run that failed.
func evidenceDir(o order) string {
	return filepath.Join(o.Artifacts, fmt.Sprintf("%s-%d", o.Spec.Scenario, o.Spec.Seed))
}

// bisecting returns a script that says of a commit what git bisect run wants to know. It
// replays a case: that has its faults in words, and they outlive changes of the code that
// drew them.
func bisecting(words string) string {
	return "go build -o /tmp/klamm ./cmd/klamm || exit 125; /tmp/klamm replay " + words + " --bisect"
}
