// Package coverage counts what the runs of a campaign had and what they reached.
//
// It adds up and compares with what was to be expected. What a run is, and what may be
// expected of it, is for who makes runs to say. Nothing depends on the order in which
// runs are added.
package coverage

import (
	"cmp"
	"maps"
	"slices"
)

// Families counts in how many runs fault and workload families were there, alone and in
// pairs. The zero value has seen none and expects none.
type Families struct {
	alone map[string]*presence
	pairs map[pair]*presence
}

// A pair is two families, the lesser name first.
type pair [2]string

type presence struct{ drawn, effective int }

// Expect says that some runs may have these families, each with each. Families that are
// expected are reported even if no run has them.
func (f *Families) Expect(families []string) {
	f.each(families, func(*presence) {})
}

// Add counts a run: the families that it had, and those of them that took effect. What
// took effect was there.
func (f *Families) Add(drawn, effective []string) {
	drawn = slices.Concat(drawn, effective)
	f.each(drawn, func(p *presence) { p.drawn++ })
	f.each(effective, func(p *presence) { p.effective++ })
}

// each visits what is counted of families and of their pairs, once each.
func (f *Families) each(families []string, visit func(*presence)) {
	if f.alone == nil {
		f.alone, f.pairs = map[string]*presence{}, map[pair]*presence{}
	}
	names := slices.Compact(slices.Sorted(slices.Values(families)))
	for i, a := range names {
		visit(at(f.alone, a))
		for _, b := range names[i+1:] {
			visit(at(f.pairs, pair{a, b}))
		}
	}
}

func at[K comparable](counts map[K]*presence, key K) *presence {
	p := counts[key]
	if p == nil {
		p = &presence{}
		counts[key] = p
	}
	return p
}

// A Family says in how many runs one was drawn, and in how many of them it took effect.
type Family struct {
	Family    string `json:"family"`
	Drawn     int    `json:"drawn"`
	Effective int    `json:"effective"`
}

// A Pair says in how many runs two families were both drawn, and in how many of them
// both took effect.
type Pair struct {
	Families  [2]string `json:"families"`
	Drawn     int       `json:"drawn"`
	Effective int       `json:"effective"`
}

// Alone tells of every family that was there or may have been, in alphabetical order.
func (f *Families) Alone() []Family {
	out := []Family{}
	for _, name := range slices.Sorted(maps.Keys(f.alone)) {
		p := f.alone[name]
		out = append(out, Family{name, p.drawn, p.effective})
	}
	return out
}

// Pairs tells of every pair that was there or may have been, in alphabetical order.
func (f *Families) Pairs() []Pair {
	out := []Pair{}
	byName := func(a, b pair) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }
	for _, names := range slices.SortedFunc(maps.Keys(f.pairs), byName) {
		p := f.pairs[names]
		out = append(out, Pair{names, p.drawn, p.effective})
	}
	return out
}
