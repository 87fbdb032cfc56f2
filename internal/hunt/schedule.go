package hunt

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A schedule is faults in the order in which they begin.
type schedule []fault

// A fault is one line, taken apart.
type fault struct {
	family string
	words  []word
	time   time.Duration // in which faults of its run begin
}

type word struct{ name, value string }

// maxFaults is how many faults a changed schedule may have: with many more nothing works.
const maxFaults = 60

// parse takes lines apart.
func parse(lines []string, within time.Duration) schedule {
	var out schedule
	for _, line := range lines {
		parts := strings.Fields(line)
		if len(parts) == 0 {
			continue
		}
		f := fault{family: parts[0], time: within}
		for _, part := range parts[1:] {
			name, value, _ := strings.Cut(part, "=")
			f.words = append(f.words, word{name, value})
		}
		out = append(out, f)
	}
	return out
}

// lines puts them together again; never nil.
func (s schedule) lines() []string {
	out := make([]string, 0, len(s))
	for _, f := range s {
		var b strings.Builder
		b.WriteString(f.family)
		for _, w := range f.words {
			b.WriteString(" " + w.name + "=" + w.value)
		}
		out = append(out, b.String())
	}
	return out
}

// get returns a word's value, "" if there is none.
func (f fault) get(name string) string {
	for _, w := range f.words {
		if w.name == name {
			return w.value
		}
	}
	return ""
}

// with returns the fault with a word of another value. Faults share words, so it copies.
func (f fault) with(name, value string) fault {
	f.words = slices.Clone(f.words)
	for i := range f.words {
		if f.words[i].name == name {
			f.words[i].value = value
		}
	}
	return f
}

// duration returns a word that is a duration, and whether it is one above nothing.
func (f fault) duration(name string) (time.Duration, bool) {
	d, err := time.ParseDuration(f.get(name))
	return d, err == nil && d > 0
}

// targetWords are the words that say whom a fault strikes.
var targetWords = []string{"node", "disk", "hosts", "from", "to", "left", "right", "via"}

// A vocabulary is faults that runs had, by family: of those that struck the same, one.
type vocabulary map[string][]fault

// targets returns the words that say whom a fault strikes, all together: some of them
// with some of another's may contradict each other.
func (f fault) targets() []word {
	return slices.DeleteFunc(slices.Clone(f.words), func(w word) bool { return !slices.Contains(targetWords, w.name) })
}

// learn adds the faults of a schedule.
func (v vocabulary) learn(s schedule) {
	for _, f := range s {
		if !slices.ContainsFunc(v[f.family], func(g fault) bool { return slices.Equal(f.targets(), g.targets()) }) {
			v[f.family] = append(v[f.family], f)
		}
	}
}

// families returns the families that are known, sorted.
func (v vocabulary) families() []string { return slices.Sorted(maps.Keys(v)) }
