package casefile

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Gate is what a change has to pass: cases that have to hold, and then fresh seeds of
// some scenarios, for as long as there is time.
type Gate struct {
	Klamm     int           `yaml:"klamm"` // the version of the format
	About     string        `yaml:"about"`
	Cases     []string      `yaml:"cases"`     // case files, or patterns of them, relative to the gate's file
	Scenarios []string      `yaml:"scenarios"` // of which fresh seeds are run
	Budget    time.Duration `yaml:"budget"`    // of real time, for everything
}

// minBudget is the least that makes sense: processes have to start.
const minBudget = time.Second

// maxCases is how many case files a gate may name.
const maxCases = 10_000

// ReadGate reads a gate from a file; its Cases are the files then, each once. An error
// names the gate's file, and what is wrong with it in one line.
func ReadGate(name string) (Gate, error) {
	g, err := read(name, DecodeGate)
	if err != nil {
		return Gate{}, err
	}
	if g.Cases, err = filesOf(filepath.Dir(name), g.Cases); err != nil {
		return Gate{}, fmt.Errorf("%s: cases: %w", name, err)
	}
	return g, nil
}

// DecodeGate reads a gate. Whether there are such scenarios is for who runs it to say.
func DecodeGate(b []byte) (Gate, error) {
	var g Gate
	err := decode(b, &g)
	switch {
	case err != nil:
		return Gate{}, err
	case g.Klamm == 0:
		return Gate{}, fmt.Errorf("it is no gate: those begin with klamm: %d", Version)
	case g.Klamm != Version:
		return Gate{}, fmt.Errorf("klamm: %d: this klamm reads gates of version %d", g.Klamm, Version)
	case len(g.Cases) == 0 && len(g.Scenarios) == 0:
		return Gate{}, errors.New("it names neither cases nor scenarios")
	case g.Budget < minBudget:
		return Gate{}, fmt.Errorf("budget: %s: want at least %s, such as 5m", g.Budget, minBudget)
	}
	return g, nil
}

// filesOf returns the files below dir that patterns name. One that names nothing is a
// mistake: what it was to guard would go unguarded without a word.
func filesOf(dir string, patterns []string) (files []string, err error) {
	for _, pattern := range patterns {
		path := pattern
		if !filepath.IsAbs(path) {
			path = filepath.Join(literal.Replace(dir), pattern)
		}
		found, err := filepath.Glob(path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q: %w", pattern, err)
		case len(found) == 0:
			return nil, fmt.Errorf("%q: there is no such file", pattern)
		}
		for _, file := range found {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
		if len(files) > maxCases {
			return nil, fmt.Errorf("more than %d files", maxCases)
		}
	}
	return files, nil
}

// literal makes a pattern of a name that matches nothing else.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)
