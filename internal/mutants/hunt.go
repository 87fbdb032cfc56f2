package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// A hunter plants mutants into one state of the repository.
type hunter struct {
	root      string
	dir       string // for what it builds
	sound     string // klamm without any mutant
	jobs      int    // processes that make runs side by side; 0: klamm's default
	campaigns int
	limit     int // seeds of each scenario in one campaign
	scenarios []string
	set       []string // settings of every run
}

// A trophy is what came of hunting one mutant.
type trophy struct {
	mutant
	Scripted  bool // its scripted test fails with it, as it must
	Campaigns []campaign
	Case      string // what came of proving its case; "" if it has none
}

// A campaign is one hunt from fresh seeds.
type campaign struct {
	Found     bool
	Seeds     int // of each scenario tried, the last one included
	Runs      int
	Virtual   time.Duration
	Guarantee string
	Replay    string
	Unsound   int // complaints that the code without the mutant earns too
}

// scenariosHunted are the ordinary ones; none is written for a mutant.
var scenariosHunted = []string{"crash", "power-loss", "flaky-network", "full-disk", "bad-disk", "slow-disk", "clock",
	"retention", "compaction", "hostile-client", "many-connections", "operators", "one-broker",
	"leader-crash", "rolling-restart", "minority-partition", "bridge-partition", "one-way-partition", "plane-partition", "controller-failover", "isr-flap",
	"whole-cluster-power-loss", "lost-disk", "all-replicas-down", "unclean-election", "pause", "nearest-replica", "recreate-topic", "cluster-retention", "cluster-compaction", "hostile-cluster", "reassign-under-fire",
	"grow-and-shrink", "everything",
	"rebalance-storm", "zombie-member", "coordinator-failover", "static-bounce", "lag-past-retention", "commit-race", "topic-grows",
	"mixed-protocols", "protocol-migration", "poison-record"}

// hunt plants a mutant, checks that its scripted test notices, and looks for it
// with ordinary seeds.
func (h *hunter) hunt(m mutant) (trophy, error) {
	t := trophy{mutant: m}
	overlay, err := m.plant(h.root, h.dir)
	if err != nil {
		return t, err
	}
	if t.Scripted = m.Repeat; !m.Repeat {
		if t.Scripted, err = h.testFails(m, overlay); err != nil {
			return t, err
		}
	}
	binary := filepath.Join(h.dir, m.Name)
	if err := h.build(binary, "-overlay", overlay); err != nil {
		return t, fmt.Errorf("%s: %w", m.Name, err)
	}
	if file, err := h.caseFile(m); err != nil {
		return t, err
	} else if file != "" {
		if t.Case, err = h.prove(binary, file); err != nil {
			return t, err
		}
	}
	for i := range h.campaigns {
		c, err := h.seek(binary, m, i*h.limit+1)
		if err != nil {
			return t, fmt.Errorf("%s: %w", m.Name, err)
		}
		t.Campaigns = append(t.Campaigns, c)
	}
	return t, nil
}

// build builds klamm.
func (h *hunter) build(to string, flags ...string) error {
	args := append([]string{"build", "-o", to}, flags...)
	cmd := exec.Command("go", append(args, "./cmd/klamm")...)
	cmd.Dir = h.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("klamm does not build: %w\n%s", err, out)
	}
	return nil
}

// testFails reports whether the mutant's scripted test fails with it planted and
// only then.
func (h *hunter) testFails(m mutant, overlay string) (bool, error) {
	sound, err := h.testPasses(m)
	if err != nil {
		return false, err
	}
	if !sound {
		return false, fmt.Errorf("%s: its scripted test fails without it", m.Name)
	}
	passes, err := h.testPasses(m, "-overlay", overlay)
	return !passes, err
}

func (h *hunter) testPasses(m mutant, flags ...string) (bool, error) {
	args := append([]string{"test", "-run", "^" + m.Test[1] + "$"}, flags...)
	cmd := exec.Command("go", append(args, m.Test[0])...)
	cmd.Dir = h.root
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case bytes.Contains(out, []byte("no tests to run")), bytes.Contains(out, []byte("no test files")):
		return false, fmt.Errorf("%s: there is no test %s in %s", m.Name, m.Test[1], m.Test[0])
	case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		return false, fmt.Errorf("%s: its scripted test does not build:\n%s", m.Name, out)
	case err != nil && !errors.As(err, &exit):
		return false, err
	}
	return err == nil, nil
}

// seek runs fresh seeds of every ordinary scenario until a judge complains of what
// it does not complain of without the mutant.
func (h *hunter) seek(binary string, m mutant, first int) (campaign, error) {
	var c campaign
	for next := first; next < first+h.limit && !c.Found; {
		report, err := h.run(binary, m, h.scenarios, next, first+h.limit-next)
		if err != nil {
			return c, err
		}
		next += c.add(report)
		for _, f := range report.Failures {
			if f.isComplaint(m) && !c.Found {
				if err := h.consider(&c, m, f); err != nil {
					return c, err
				}
			}
		}
	}
	return c, nil
}

// consider takes a failure for a find unless the sound code fails there too.
func (h *hunter) consider(c *campaign, m mutant, f failure) error {
	scenario, seed, err := f.place()
	if err != nil {
		return err
	}
	sound, err := h.run(h.sound, m, []string{scenario}, seed, 1)
	if err != nil {
		return err
	}
	if len(sound.Failures) > 0 {
		c.Unsound++
		return nil
	}
	c.Found, c.Replay, c.Guarantee = true, f.Replay, f.Verdict
	if f.Result != nil && len(f.Result.Violations) > 0 {
		c.Guarantee = f.Result.Violations[0].Guarantee
	}
	return nil
}

// runReport is the part of klamm's JSON output that a hunt needs.
type runReport struct {
	Scenarios []struct {
		Seeds   int   `json:"seeds"`
		Virtual int64 `json:"virtual_ns"`
	} `json:"scenarios"`
	Failures []failure `json:"failures"`

	took time.Duration // of processors
}

type failure struct {
	Verdict string `json:"verdict"`
	Replay  string `json:"replay"`
	Result  *struct {
		Violations []struct {
			Guarantee string `json:"guarantee"`
		} `json:"violations"`
	} `json:"result"`
}

// isComplaint reports whether a judge said something: that a run tested nothing
// is no evidence of a bug, and a run is only repeated for what makes runs differ.
func (f failure) isComplaint(m mutant) bool {
	if m.Repeat {
		return f.Verdict == "not-deterministic"
	}
	return f.Verdict == "violated" || f.Verdict == "crashed" || f.Verdict == "stuck"
}

// place returns the scenario and the seed that "klamm replay SCENARIO --seed N"
// names.
func (f failure) place() (scenario string, seed int, err error) {
	_, err = fmt.Sscanf(f.Replay, "klamm replay %s --seed %d", &scenario, &seed)
	return scenario, seed, err
}

// run makes runs until the first that fails.
func (h *hunter) run(binary string, m mutant, scenarios []string, first, count int) (runReport, error) {
	args := append([]string{"run"}, scenarios...)
	args = append(args, "--seeds", fmt.Sprintf("%d+%d", first, count), "--fail-fast", "1", "-o", "json")
	if m.Repeat {
		args = append(args, "--repeat", "2")
	}
	if h.jobs > 0 {
		args = append(args, "--jobs", strconv.Itoa(h.jobs))
	}
	var report runReport
	took, err := answerOf(binary, append(args, h.settings()...), &report)
	report.took = took
	return report, err
}

// add counts the runs of a report and returns how many seeds were tried.
func (c *campaign) add(r runReport) int {
	seeds := 0
	for _, s := range r.Scenarios {
		c.Runs += s.Seeds
		seeds = max(seeds, s.Seeds)
		c.Virtual += time.Duration(s.Virtual)
	}
	c.Seeds += seeds
	return max(seeds, 1)
}

// median returns the middle of the values.
func median(values []int) int {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
