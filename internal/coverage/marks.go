package coverage

import (
	"cmp"
	"maps"
	"slices"
)

// An Expectation says whether a campaign is to reach a mark.
type Expectation string

// What may be expected of a mark. Of others nothing is: they may come up or not.
const (
	Expected Expectation = "yes"    // some run of the campaign reaches it
	Rare     Expectation = "rarely" // it takes more runs
)

// Marks counts in how many runs marks came up, and how often: of rare situations, or of
// unlucky choices. The zero value has seen none and expects none.
type Marks struct{ seen map[string]*Mark }

// A Mark is one of them.
type Mark struct {
	Name     string      `json:"name"`
	Expected Expectation `json:"expected,omitempty"`
	Runs     int         `json:"runs"` // in which it came up
	Times    uint64      `json:"times"`
	First    string      `json:"first,omitempty"` // of these runs, the one with the least number

	first Run
}

// A Run is how a run is told from others, and which comes first.
type Run struct {
	Number uint64
	Name   string
}

func compareRuns(a, b Run) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Name, b.Name))
}

// Expect says what is expected of a mark.
func (m *Marks) Expect(name string, e Expectation) { m.at(name).Expected = e }

// Add counts a mark that came up in a run, so many times. It is called once for each
// mark and run.
func (m *Marks) Add(by Run, name string, times uint64) {
	if times == 0 {
		return
	}
	mark := m.at(name)
	if mark.Runs == 0 || compareRuns(by, mark.first) < 0 {
		mark.first, mark.First = by, by.Name
	}
	mark.Runs++
	mark.Times += times
}

func (m *Marks) at(name string) *Mark {
	if m.seen == nil {
		m.seen = map[string]*Mark{}
	}
	mark := m.seen[name]
	if mark == nil {
		mark = &Mark{Name: name}
		m.seen[name] = mark
	}
	return mark
}

// All tells of the marks that came up or are expected, in alphabetical order.
func (m *Marks) All() []Mark {
	out := []Mark{}
	for _, name := range slices.Sorted(maps.Keys(m.seen)) {
		out = append(out, *m.seen[name])
	}
	return out
}

// Unreached returns the names of the marks of an expectation that did not come up, in
// alphabetical order.
func (m *Marks) Unreached(e Expectation) []string {
	var out []string
	for _, mark := range m.All() {
		if mark.Runs == 0 && mark.Expected == e {
			out = append(out, mark.Name)
		}
	}
	return out
}
