package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// A trophy is what came of hunting one mutant.
type trophy struct {
	mutant
	Scripted  bool // its scripted test fails with it, as it must
	Campaigns []campaign
}

// A campaign is one hunt from fresh seeds.
type campaign struct {
	Found     bool
	Seeds     int // seeds of each scenario tried, the last one included
	Runs      int
	Virtual   time.Duration
	Guarantee string
	Replay    string
}

// scenariosHunted are the ordinary ones; none is written for a mutant.
var scenariosHunted = []string{"crash", "power-loss", "flaky-network", "everything"}

// hunt plants a mutant, checks that its scripted test notices, and looks for it
// with ordinary seeds.
func hunt(m mutant, root, dir string, campaigns, limit int) (trophy, error) {
	t := trophy{mutant: m}
	overlay, err := m.plant(root, dir)
	if err != nil {
		return t, err
	}
	if t.Scripted = m.Repeat; !m.Repeat {
		if t.Scripted, err = testFails(m, root, overlay); err != nil {
			return t, err
		}
	}
	binary := filepath.Join(dir, m.Name)
	build := exec.Command("go", "build", "-overlay", overlay, "-o", binary, "./cmd/klamm")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return t, fmt.Errorf("%s does not build: %w\n%s", m.Name, err, out)
	}
	for i := range campaigns {
		c, err := seek(binary, m, i*limit+1, limit)
		if err != nil {
			return t, fmt.Errorf("%s: %w", m.Name, err)
		}
		t.Campaigns = append(t.Campaigns, c)
	}
	return t, nil
}

// testFails reports whether the mutant's scripted test fails with it planted.
func testFails(m mutant, root, overlay string) (bool, error) {
	cmd := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-run", "^"+m.Test[1]+"$", m.Test[0])
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("no tests to run")) {
		return false, fmt.Errorf("%s: there is no test %s in %s", m.Name, m.Test[1], m.Test[0])
	}
	if bytes.Contains(out, []byte("[build failed]")) {
		return false, fmt.Errorf("%s: its scripted test does not build:\n%s", m.Name, out)
	}
	return err != nil, nil
}

// runReport is the part of klamm's JSON output that a hunt needs.
type runReport struct {
	Scenarios []struct {
		Seeds   int   `json:"seeds"`
		Virtual int64 `json:"virtual_ns"`
	} `json:"scenarios"`
	Failures []struct {
		Verdict string `json:"verdict"`
		Replay  string `json:"replay"`
		Error   string `json:"error"`
		Result  *struct {
			Reason     string `json:"reason"`
			Violations []struct {
				Guarantee string `json:"guarantee"`
			} `json:"violations"`
		} `json:"result"`
	} `json:"failures"`
}

// seek runs fresh seeds of every ordinary scenario until a judge complains.
func seek(binary string, m mutant, first, limit int) (campaign, error) {
	args := append([]string{"run"}, scenariosHunted...)
	args = append(args, "--seeds", fmt.Sprintf("%d+%d", first, limit), "--fail-fast", "1", "-o", "json")
	if m.Repeat {
		args = append(args, "--repeat", "2")
	}
	var stderr bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return campaign{}, err
	}
	var report runReport
	if err := json.Unmarshal(out, &report); err != nil {
		return campaign{}, fmt.Errorf("klamm run: %w\n%s", err, stderr.Bytes())
	}
	return report.campaign(), nil
}

func (r runReport) campaign() campaign {
	var c campaign
	for _, s := range r.Scenarios {
		c.Runs += s.Seeds
		c.Seeds = max(c.Seeds, s.Seeds)
		c.Virtual += time.Duration(s.Virtual)
	}
	for _, f := range r.Failures {
		c.Found, c.Replay, c.Guarantee = true, f.Replay, f.Verdict
		if f.Result != nil && len(f.Result.Violations) > 0 {
			c.Guarantee = f.Result.Violations[0].Guarantee
		}
		break
	}
	return c
}

// median returns the middle of the values, counting "not found" as limit.
func median(values []int) int {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
