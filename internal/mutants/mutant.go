package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A mutant is a bug that a real system had, as a change to the project's own
// code that only exists while it is hunted: no switch for it is in the shipped
// binary.
type mutant struct {
	Name      string
	Source    string // where the bug was seen
	Mechanism string
	Test      []string // package and name of the scripted test that fails with it
	Repeat    bool     // it makes runs differ: each is made twice and compared, and no test is asked
	Edits     []edit
}

// An edit replaces a text that stands exactly once in a file.
type edit struct{ File, Old, New string }

// readMutants reads every *.mutant file of a folder, by name.
func readMutants(dir string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.mutant"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []mutant
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m, err := parseMutant(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if m.Name+".mutant" != filepath.Base(file) {
			return nil, fmt.Errorf("%s: it is named %q inside", file, m.Name)
		}
		out = append(out, m)
	}
	return out, nil
}

// parseMutant reads lines "key: value", then for each edit a line "-- old FILE --",
// the text, a line "-- new --", and the text instead.
func parseMutant(text string) (mutant, error) {
	var m mutant
	var into *string
	done := 0 // edits with both texts
	for line := range strings.Lines(text) {
		bare := strings.TrimRight(line, "\n")
		file, isOld := strings.CutPrefix(bare, "-- old ")
		switch {
		case isOld && strings.HasSuffix(file, " --"):
			m.Edits = append(m.Edits, edit{File: strings.TrimSuffix(file, " --")})
			into = &m.Edits[len(m.Edits)-1].Old
		case bare == "-- new --" && into != nil:
			into = &m.Edits[len(m.Edits)-1].New
			done++
		case into != nil:
			*into += line
		case bare == "":
		default:
			if err := m.set(bare); err != nil {
				return m, err
			}
		}
	}
	if m.Name == "" || m.Source == "" || m.Mechanism == "" || (len(m.Test) != 2) != m.Repeat || len(m.Edits) == 0 {
		return m, fmt.Errorf("want name, source, mechanism, test (package and name) or repeat, and at least one edit")
	}
	if done < len(m.Edits) || slices.ContainsFunc(m.Edits, func(e edit) bool { return e.Old == "" }) {
		return m, fmt.Errorf("want an old and a new text in each edit")
	}
	return m, nil
}

func (m *mutant) set(line string) error {
	key, value, _ := strings.Cut(line, ": ")
	switch key {
	case "name":
		m.Name = value
	case "source":
		m.Source = value
	case "mechanism":
		m.Mechanism = value
	case "repeat":
		m.Repeat = value == "yes"
	case "test":
		m.Test = strings.Fields(value)
	default:
		return fmt.Errorf("no key %q", key)
	}
	return nil
}

// plant writes the changed files below dir and returns the overlay that puts them
// in the place of the project's own.
func (m mutant) plant(root, dir string) (overlay string, err error) {
	changed := map[string]string{}
	for i, e := range m.Edits {
		original := filepath.Join(root, e.File)
		from := original
		if earlier, ok := changed[original]; ok {
			from = earlier
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), e.Old); n != 1 {
			return "", fmt.Errorf("%s: the text of edit %d stands %d times in %s, want once", m.Name, i+1, n, e.File)
		}
		to := filepath.Join(dir, fmt.Sprintf("%s-%d.go", m.Name, i))
		if err := os.WriteFile(to, []byte(strings.Replace(string(text), e.Old, e.New, 1)), 0o644); err != nil {
			return "", err
		}
		changed[original] = to
	}
	overlay = filepath.Join(dir, m.Name+".json")
	b, err := json.Marshal(map[string]map[string]string{"Replace": changed})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, b, 0o644)
}
