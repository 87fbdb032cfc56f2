package main

import (
	"fmt"
	"strings"
)

// canaryJSON is what became of the canary.
type canaryJSON struct {
	Scenario  string   `json:"scenario"`
	Set       []string `json:"set"`
	Mutant    string   `json:"mutant,omitempty"`
	Planned   uint64   `json:"planned"`
	Runs      uint64   `json:"runs"`
	Found     uint64   `json:"found"`
	Unsound   uint64   `json:"unsound"` // complaints that the same run without the bug earns too
	Guarantee string   `json:"guarantee,omitempty"`
	Replay    string   `json:"replay,omitempty"` // of the first that was found
}

func (c *canaryJSON) take(r shardRun) {
	c.Runs++
	switch {
	case !complains(r.finding):
	case r.sound != "held":
		c.Unsound++
	default:
		if c.Found++; c.Found > 1 {
			return
		}
		c.Replay, c.Guarantee = r.replay(), verdictOf(r.finding)
		if v := r.Result.Violations; len(v) > 0 {
			c.Guarantee = v[0].Guarantee
		}
	}
}

// name says what is wrong with the canary's runs.
func (c *canaryJSON) name() string {
	switch {
	case c.Mutant != "" && len(c.Set) > 0:
		return fmt.Sprintf("%s with the mutant %s and %s", c.Scenario, c.Mutant, strings.Join(c.Set, " "))
	case c.Mutant != "":
		return fmt.Sprintf("%s with the mutant %s", c.Scenario, c.Mutant)
	}
	return fmt.Sprintf("%s with %s", c.Scenario, strings.Join(c.Set, " "))
}

// sentence tells what became of the canary, in a complete campaign or in one that is
// under way.
func (c *canaryJSON) sentence(complete bool) string {
	if c == nil {
		return "no canary: nothing shows that the judges can complain"
	}
	text := ""
	switch {
	case c.Found > 0:
		text = fmt.Sprintf("canary found: %s, in %d of %d runs; the first: %s, %s", c.name(), c.Found, c.Runs, c.Guarantee, c.Replay)
		if c.Mutant != "" {
			text += " in the mutant's binary"
		}
	case complete:
		text = fmt.Sprintf("THE CANARY WAS NOT FOUND: %s, in none of %d runs: this campaign proves nothing", c.name(), c.Runs)
	default:
		text = fmt.Sprintf("canary not found yet: %s, in none of %d of %d runs", c.name(), c.Runs, c.Planned)
	}
	if c.Unsound > 0 {
		text += fmt.Sprintf("; %d complaints do not count, as the same run without the bug is not held either", c.Unsound)
	}
	return text
}
