// Package casefile reads and writes cases, runs that somebody can read, change and keep,
// and reads gates, which name cases that have to hold.
//
// A case is YAML. It names a scenario, a seed and settings, and says every fault of the
// run in a line of its own: whoever takes one out leaves the others as they are, and a
// version of klamm that draws other faults from the seed still makes these.
package casefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Version is the version of the format that is written, and the only one that is read.
const Version = 1

// maxBytes bounds what is read of a file.
const maxBytes = 1 << 20

// A Case is one run.
type Case struct {
	Klamm    int      `yaml:"klamm"` // the version of the format
	About    string   `yaml:"about,omitempty"`
	Scenario string   `yaml:"scenario"`
	Seed     uint64   `yaml:"seed"`
	Set      []string `yaml:"set,omitempty"`      // settings, name=value
	Continue string   `yaml:"continue,omitempty"` // another way to go on, TIME#NUMBER; a shrunk run may need one
	Faults   []string `yaml:"faults"`             // the schedule, a line a fault
	Found    *Found   `yaml:"found,omitempty"`
	Shrunk   *Shrunk  `yaml:"shrunk,omitempty"`
}

// Shrunk is what the run was before it was made smaller, and why it is no smaller. It is
// for people, like Found.
type Shrunk struct {
	Faults     int      `yaml:"faults"` // before
	Operations int      `yaml:"operations"`
	VirtualNS  int64    `yaml:"virtual_ns"`
	Complete   bool     `yaml:"complete"`         // nothing more can be left out
	Needed     []Needed `yaml:"needed,omitempty"` // the faults that are left
}

// Needed is a fault, and what the run comes to without it.
type Needed struct {
	Fault     string `yaml:"fault"`
	Without   string `yaml:"without_it"`
	Schedules int    `yaml:"schedules,omitempty"` // in how many the guarantee was not broken without it
}

// Found is what the run came to when the case was written. It is for people: a run of
// the case is judged anew.
type Found struct {
	Verdict   string `yaml:"verdict"`
	Guarantee string `yaml:"guarantee,omitempty"`
	Sentence  string `yaml:"sentence,omitempty"`
	Chain     string `yaml:"chain"`
	By        string `yaml:"by"` // which klamm
}

// IsName reports whether a word of a command line is the name of a case file rather
// than of a scenario.
func IsName(word string) bool {
	return strings.HasSuffix(word, ".yaml") || strings.HasSuffix(word, ".yml")
}

// Read reads a case from a file. An error names the file, and what is wrong with it in
// one line.
func Read(name string) (Case, error) {
	return read(name, Decode)
}

// read reads a file, as far as a file is read, and decodes it.
func read[T any](name string, decode func([]byte) (T, error)) (v T, err error) {
	f, err := os.Open(name)
	if err != nil {
		return v, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return v, err
	}
	if v, err = decode(b); err != nil {
		return v, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

// Decode reads a case. Whether there is such a scenario, and such faults, is for who
// runs it to say.
func Decode(b []byte) (Case, error) {
	var c Case
	err := decode(b, &c)
	switch {
	case err != nil:
		return Case{}, err
	case c.Klamm == 0:
		return Case{}, fmt.Errorf("it is no case file: those begin with klamm: %d", Version)
	case c.Klamm != Version:
		return Case{}, fmt.Errorf("klamm: %d: this klamm reads cases of version %d", c.Klamm, Version)
	case c.Scenario == "":
		return Case{}, errors.New("scenario: it names none")
	case c.Faults == nil:
		return Case{}, errors.New("faults: it lists none; a run without faults says []")
	}
	return c, nil
}

// decode reads the one document of a file into v, which has a field for every key there
// may be.
func decode(b []byte, v any) error {
	if len(b) > maxBytes {
		return fmt.Errorf("it has more than %d bytes", maxBytes)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	err := d.Decode(v)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("it is empty")
	case err != nil:
		return errors.New(oneLine(err))
	case d.Decode(new(any)) != io.EOF:
		return errors.New("it holds more than one document")
	}
	return nil
}

// heading is what every case file begins with.
const heading = `# A run of klamm: klamm replay FILE makes it again, klamm run FILE... judges it in a gate.
# A line of faults can be changed or taken out; the rest of the run stays as it is.
`

// Encode writes a case as a file that Decode reads.
func (c Case) Encode() ([]byte, error) {
	c.Klamm = Version
	if c.Faults == nil {
		c.Faults = []string{}
	}
	var b bytes.Buffer
	b.WriteString(heading)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(c); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// Write writes a case to a file, whole or not at all.
func (c Case) Write(name string) error {
	b, err := c.Encode()
	if err != nil {
		return err
	}
	temp := name + ".tmp"
	if err := os.WriteFile(temp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, name)
}
