package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klammlog/klamm/internal/casefile"
)

// casesFolder has cases that show mutants: NAME.yaml breaks with the mutant NAME planted
// what it says that it has found, and holds without.
const casesFolder = "scenarios/testdata/mutants"

// caseFile returns the file of the case that shows a mutant; "" if there is none.
func (h *hunter) caseFile(m mutant) (string, error) {
	file := filepath.Join(h.root, casesFolder, m.Name+".yaml")
	_, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return file, err
}

// proveAll proves the cases of those mutants that have one, each with a binary of its own.
func (o *options) proveAll(mutants []mutant) error {
	var bad []string
	for _, m := range mutants {
		file, err := o.caseFile(m)
		if err != nil {
			return err
		}
		if file == "" {
			continue
		}
		overlay, err := m.plant(o.root, o.dir)
		if err != nil {
			return err
		}
		binary := filepath.Join(o.dir, m.Name)
		if err := o.build(binary, "-overlay", overlay); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		says, err := o.prove(binary, file)
		if err != nil {
			return err
		}
		fmt.Printf("%-46s %s\n", m.Name, says)
		if says != proven {
			bad = append(bad, m.Name)
		}
		if err := os.Remove(binary); err != nil { // there are many, and each is large
			return err
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("cases that do not show their mutants: %s", strings.Join(bad, ", "))
	}
	return nil
}

// proven is what prove says of a case that shows its mutant.
const proven = "its case shows it, and holds without it"

// prove runs a case with a mutant planted and without, and says what came of it.
func (h *hunter) prove(binary, file string) (string, error) {
	c, err := casefile.Read(file)
	if err != nil {
		return "", err
	}
	if c.Found == nil {
		return "its case does not say what it has found", nil
	}
	planted, err := h.runCase(binary, file)
	if err != nil {
		return "", err
	}
	sound, err := h.runCase(h.sound, file)
	if err != nil {
		return "", err
	}
	switch {
	case !planted.shows(c.Found):
		return fmt.Sprintf("its case comes to %s, and is to break %s", planted.cameTo(), brokenIn(c.Found)), nil
	case len(sound.Failures) > 0:
		return "without it its case comes to " + sound.cameTo(), nil
	}
	return proven, nil
}

// runCase makes the run of a case.
func (h *hunter) runCase(binary, file string) (runReport, error) {
	var report runReport
	_, err := answerOf(binary, []string{"run", file, "--jobs", "1", "-o", "json"}, &report)
	return report, err
}

// brokenIn names what a case has found: a guarantee, or what else was wrong.
func brokenIn(f *casefile.Found) string {
	if f.Guarantee != "" {
		return f.Guarantee
	}
	return f.Verdict
}

// shows reports whether a run failed as a case did.
func (r runReport) shows(found *casefile.Found) bool {
	return slices.ContainsFunc(r.Failures, func(f failure) bool {
		return found.Guarantee == "" && f.Verdict == found.Verdict || slices.Contains(f.guarantees(), found.Guarantee)
	})
}

// cameTo says what a run of one case came to.
func (r runReport) cameTo() string {
	for _, f := range r.Failures {
		return strings.Join(append([]string{f.Verdict}, f.guarantees()...), " ")
	}
	return "held"
}

// guarantees are those that a failure broke.
func (f failure) guarantees() (out []string) {
	if f.Result != nil {
		for _, v := range f.Result.Violations {
			out = append(out, v.Guarantee)
		}
	}
	return out
}
