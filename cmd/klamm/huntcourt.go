package main

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/internal/hunt"
	"github.com/klammlog/klamm/scenarios"
)

// Draft returns what a seed draws; nothing if it cannot be run at all, which a run of it
// would say.
func (h *hunter) Draft(seed uint64) hunt.Draft {
	spec := h.spec(hunt.Trial{Seed: seed})
	r, err := scenarios.Unmade(spec)
	budgeted, errBudget := scenarios.Budgeted(spec)
	if err != nil || errBudget != nil {
		return hunt.Draft{}
	}
	return draftOf(r, budgeted)
}

// Acceptable reports whether a changed schedule can be run, and keeps what its seed is
// promised: where something may be lost, only what the seed drew says whose.
func (h *hunter) Acceptable(t hunt.Trial) bool {
	spec := h.spec(t)
	if _, made := h.mayLose[t.Seed]; made {
		return scenarios.CheckSpec(spec) == nil
	}
	budgeted, err := scenarios.Budgeted(spec)
	return err == nil && !budgeted
}

// trialOf is the trial that a run was.
func trialOf(s scenarios.Spec) hunt.Trial {
	t := hunt.Trial{Seed: s.Seed, Luck: hunt.Luck{From: time.Duration(s.Continuation.From), Number: s.Continuation.Number}}
	if s.Script != nil {
		t.Faults = s.Script.Faults
	}
	return t
}

func draftOf(r scenarios.Result, budgeted bool) hunt.Draft {
	return hunt.Draft{Faults: r.Drawn, Words: wordsOf(r.Options), Time: time.Duration(r.SafetyNanos), Bound: budgeted}
}

// wordsOf are the words of a run's options, and of numbers and times how large they are,
// about: 3 and 2 are alike, 1000 and 2 are not.
func wordsOf(options []string) []string {
	var out []string
	for _, line := range options {
		for _, word := range strings.Fields(line) {
			name, value, _ := strings.Cut(word, "=")
			n, err := strconv.ParseInt(value, 10, 64)
			if d, bad := time.ParseDuration(value); err != nil && bad == nil {
				n, err = int64(d), nil
			}
			if err == nil && n >= 0 {
				word = fmt.Sprintf("%s 2^%d", name, bits.Len64(uint64(n)))
			}
			out = append(out, word)
		}
	}
	return out
}

// featuresOf names what a run reached, and when first.
func featuresOf(a answer) []hunt.Feature {
	r, at := a.Result, map[string]time.Duration{}
	for _, m := range a.Moments {
		at[m.Name] = time.Duration(m.At)
	}
	var out []hunt.Feature
	add := func(what string, times uint64) {
		for times > 0 { // once, twice, four times, …
			out = append(out, hunt.Feature{Name: fmt.Sprintf("%s, %d times", what, uint64(1)<<(bits.Len64(times)-1)), At: at[what]})
			times = uint64(1)<<(bits.Len64(times)-1) - 1
		}
	}
	for _, p := range r.Probes {
		add(p.Name, p.Times)
		for _, family := range r.Effective() {
			out = append(out, hunt.Feature{Name: family + " and " + p.Name, At: at[p.Name]})
		}
	}
	for _, p := range r.Buggify {
		add(p.Name, p.Times)
	}
	for _, c := range r.Faults {
		add(c.Name, c.Times)
	}
	return out
}
