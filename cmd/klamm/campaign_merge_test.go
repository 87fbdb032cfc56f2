package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/klammlog/klamm/internal/shards"
)

// planned is a plan of three shards for this binary, in a file: two seeds each of quiet
// and power-loss, and one of the canary.
func planned(t *testing.T) (*shards.Plan, string) {
	t.Helper()
	code, err := ownCode()
	if err != nil {
		t.Fatal(err)
	}
	p := &shards.Plan{
		Kind: shards.Kind, Version: shards.Version, Code: code, MadeBy: "this test",
		Scenarios: []string{"quiet", "power-loss"}, First: 1, Seeds: 6, Set: []string{"run.sends=100"}, Repeat: 1, ShardSeeds: 2,
		Canary: &shards.Canary{Scenario: "power-loss", Set: []string{"log.flush=os"}, Seeds: 3},
	}
	return p, writePlan(t, p)
}

func writePlan(t *testing.T, p *shards.Plan) string {
	t.Helper()
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// found writes the result file of a shard without making its runs: each is held, but for
// those that are named, such as "quiet 3" or "canary 1", and came to something else, as in
// TestCampaign. The canary is found unless something else is said of its seed.
func found(t *testing.T, p *shards.Plan, dir string, number int, but map[string]string) {
	t.Helper()
	s, err := p.Shard(number)
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	add := func(o order, named, verdict string) {
		if b, ok := but[fmt.Sprint(named, " ", o.Spec.Seed)]; ok {
			verdict = b
		}
		verdict, sound, _ := strings.Cut(verdict, " without it ")
		r := shardRun{parseFinding(t, fmt.Sprint(o.Spec.Scenario, " ", o.Spec.Seed, " ", verdict), p.Repeat), sound}
		line, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	runs, canary := shardOrders(p, s)
	for _, o := range runs {
		add(o, o.Spec.Scenario, "held")
	}
	for _, o := range canary {
		add(o, "canary", "violated without it held")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := p.Save(dir, s, lines); err != nil {
		t.Fatal(err)
	}
}

// said runs a command in this process.
func said(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = execute(args, streams{strings.NewReader(""), &o, &e})
	return code, o.String(), e.String()
}

func TestMergeJudges(t *testing.T) {
	all := []int{0, 1, 2}
	for _, c := range []struct {
		name string
		done []int
		but  map[string]string
		code int
		want []string
	}{
		{"everything held", all, nil, 0, []string{"complete: all 3 shards are done", "canary found: power-loss with log.flush=os, in 3 of 3 runs; the first: no-lost-ack, klamm replay power-loss --seed 1 --set run.sends=100 --set log.flush=os"}},
		{"nothing is done", nil, nil, 6, []string{"INCOMPLETE: 0 of 3 shards are done; missing 0-2", "canary not found yet: power-loss with log.flush=os, in none of 0 of 3 runs", "not run"}},
		{"one is missing", []int{0, 2}, nil, 6, []string{"INCOMPLETE: 2 of 3 shards are done; missing 1"}},
		{"a violation outranks what is missing", []int{0, 2}, map[string]string{"quiet 1": "violated"}, 1,
			[]string{"missing 1", "VIOLATED quiet seed 1: no-lost-ack", "replay: klamm replay quiet --seed 1 --set run.sends=100"}},
		{"stuck", all, map[string]string{"quiet 6": "stuck"}, 3, []string{"STUCK quiet seed 6"}},
		{"a process died", all, map[string]string{"quiet 6": "died"}, 70, []string{"INTERNAL quiet seed 6: the process that ran it died"}},
		{"a run tested nothing", all, map[string]string{"quiet 6": "inconclusive"}, 4, nil},
		{"what is missing outranks a run that tested nothing", []int{0}, map[string]string{"quiet 1": "inconclusive"}, 6, nil},
		{"nobody found the canary", all, map[string]string{"canary 1": "held", "canary 2": "inconclusive", "canary 3": "died"}, 6,
			[]string{"THE CANARY WAS NOT FOUND: power-loss with log.flush=os, in none of 3 runs: this campaign proves nothing"}},
		{"a violation outranks the canary", all, map[string]string{"canary 1": "held", "canary 2": "held", "canary 3": "held", "quiet 4": "violated"}, 1,
			[]string{"THE CANARY WAS NOT FOUND"}},
		{"the canary is found once", all, map[string]string{"canary 1": "held", "canary 3": "held"}, 0, []string{"in 1 of 3 runs; the first: no-lost-ack, klamm replay power-loss --seed 2"}},
		{"complaints of what is sound do not count", all, map[string]string{"canary 1": "violated without it stuck", "canary 2": "held", "canary 3": "violated without it inconclusive"}, 6,
			[]string{"THE CANARY WAS NOT FOUND", "; 2 complaints do not count"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, plan := planned(t)
			dir := t.TempDir()
			for _, n := range c.done {
				found(t, p, dir, n, c.but)
			}
			code, out, errs := said("campaign", "merge", plan, "--results", dir)
			if code != c.code || errs != "" {
				t.Errorf("exit code %d, %q, want %d", code, errs, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			code, out, _ = said("campaign", "merge", plan, "--results", dir, "-o", "json")
			var j campaignJSON
			if err := json.Unmarshal([]byte(out), &j); err != nil || code != c.code || j.Exit != c.code || j.Done != len(c.done) || len(j.Missing) != 3-len(c.done) {
				t.Errorf("%v, exit code %d: %s", err, code, out)
			}
		})
	}
}

// Results are a union: neither the order of folders nor how often a shard was done
// changes anything.
func TestMergeIsAUnion(t *testing.T) {
	p, plan := planned(t)
	but := map[string]string{"quiet 3": "violated", "power-loss 4": "stuck"}
	dir := t.TempDir()
	sub := func(name string, numbers ...int) string {
		for _, n := range numbers {
			found(t, p, filepath.Join(dir, name), n, but)
		}
		return filepath.Join(dir, name)
	}
	one, a, b := sub("all", 0, 1, 2), sub("a", 0, 1), sub("b", 1, 2)
	_, want, _ := said("campaign", "merge", plan, "--results", one, "-o", "json")
	for _, dirs := range [][]string{{a, b}, {b, a}, {a, b, one}, {a, a, b, t.TempDir()}} {
		args := []string{"campaign", "merge", plan, "-o", "json"}
		for _, d := range dirs {
			args = append(args, "--results", d)
		}
		if code, out, errs := said(args...); code != 1 || out != want {
			t.Errorf("%v: exit code %d, %s%s", dirs, code, errs, cmp.Diff(want, out))
		}
	}
	if _, out, _ := said("campaign", "merge", plan, "--results", one, "-o", "json", "--coverage"); out == want || !strings.Contains(out, `"families"`) {
		t.Errorf("--coverage tells nothing: %s", out)
	}
	var rows campaignJSON
	if err := json.Unmarshal([]byte(want), &rows); err != nil || rows.Rows[0].Seeds != 6 || rows.Rows[1].Seeds != 6 || len(rows.Failures) != 2 {
		t.Errorf("%v: %s", err, want)
	}
}

// Two workers that did a shard must have made the same runs; one whose tools failed has
// nothing to say against one whose did not.
func TestTwoWorkersOfOneShard(t *testing.T) {
	p, plan := planned(t)
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	expect := func(code int, want ...string) {
		t.Helper()
		one, out, _ := said("campaign", "merge", plan, "--results", a, "--results", b, "-o", "json")
		other, again, _ := said("campaign", "merge", plan, "--results", b, "--results", a, "-o", "json")
		if d := cmp.Diff(out, again); one != code || other != code || d != "" {
			t.Errorf("exit codes %d and %d, want %d; in another order: %s", one, other, code, d)
		}
		_, out, _ = said("campaign", "status", plan, "--results", a, "--results", b)
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("no %q in\n%s", w, out)
			}
		}
	}
	for n := range 3 {
		found(t, p, a, n, nil)
		found(t, p, b, n, map[string]string{"quiet 3": "died", "power-loss 1": "unwritten", "canary 2": "died"})
	}
	expect(0, "12 of 12 runs: held", "in 3 of 3 runs")

	s, err := p.Shard(2)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := p.Load(b, s)
	if err != nil {
		t.Fatal(err)
	}
	runs, _ := shardOrders(p, s)
	r, err := decodeRun(lines[0], runs[0])
	if err != nil {
		t.Fatal(err)
	}
	r.Result.Chain.Sum++
	if lines[0], err = r.encode(); err != nil {
		t.Fatal(err)
	}
	if err := p.Save(b, s, lines); err != nil {
		t.Fatal(err)
	}
	expect(5, "held 11, not-deterministic 1", "NOT DETERMINISTIC quiet seed 5")
}

// What are no results of the plan is refused in one line, and nothing is judged.
func TestMergeRefuses(t *testing.T) {
	name := func(dir string, n int) string { return filepath.Join(dir, shards.FileName(n)) }
	for what, c := range map[string]struct {
		spoil func(t *testing.T, p *shards.Plan, dir string)
		want  string
	}{
		"a file that is cut off": {func(t *testing.T, _ *shards.Plan, dir string) {
			if err := os.Truncate(name(dir, 1), 100); err != nil {
				t.Fatal(err)
			}
		}, "shard-0000001.jsonl.gz: damaged: it is cut off; remove it, and the shard can be done again"},
		"an empty file": {func(t *testing.T, _ *shards.Plan, dir string) {
			if err := os.Truncate(name(dir, 1), 0); err != nil {
				t.Fatal(err)
			}
		}, "shard-0000001.jsonl.gz: damaged: it is cut off"},
		"a foreign file": {func(t *testing.T, p *shards.Plan, dir string) {
			other := *p
			other.Set = nil
			found(t, &other, dir, 1, nil)
		}, "shard-0000001.jsonl.gz: results of another plan ("},
		"a shard that the plan does not have": {func(t *testing.T, p *shards.Plan, dir string) {
			if err := os.Rename(name(dir, 1), name(dir, 3)); err != nil {
				t.Fatal(err)
			}
		}, "shard-0000003.jsonl.gz: results of another plan: this one has the shards 0 to 2"},
		"another shard's file": {func(t *testing.T, p *shards.Plan, dir string) {
			if err := os.Rename(name(dir, 0), name(dir, 1)); err != nil {
				t.Fatal(err)
			}
		}, "it says that it holds 5 runs of shard 0, and shard 1 has 5"},
		"lines of other runs": {func(t *testing.T, p *shards.Plan, dir string) {
			s, _ := p.Shard(1)
			lines, err := p.Load(dir, s)
			if err != nil {
				t.Fatal(err)
			}
			lines[0], lines[1] = lines[1], lines[0]
			if err := p.Save(dir, s, lines); err != nil {
				t.Fatal(err)
			}
		}, "damaged: power-loss seed 3 stands where quiet seed 3 belongs"},
		"a line that says nothing": {func(t *testing.T, p *shards.Plan, dir string) {
			s, _ := p.Shard(1)
			lines, err := p.Load(dir, s)
			if err != nil {
				t.Fatal(err)
			}
			lines[0] = []byte(`{"scenario":"quiet","seed":3}`)
			if err := p.Save(dir, s, lines); err != nil {
				t.Fatal(err)
			}
		}, "damaged: quiet seed 3: it does not say what came of it"},
	} {
		t.Run(what, func(t *testing.T) {
			p, plan := planned(t)
			dir := t.TempDir()
			for n := range 3 {
				found(t, p, dir, n, nil)
			}
			c.spoil(t, p, dir)
			for _, verb := range []string{"merge", "status"} {
				code, out, errs := said("campaign", verb, plan, "--results", dir)
				if code != 2 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.want) {
					t.Errorf("%s: exit code %d, %s%s, want %q", verb, code, out, errs, c.want)
				}
			}
		})
	}
}

// A line says all that a tally asks of a run.
func TestALineIsTheWholeRun(t *testing.T) {
	for _, repeat := range []int{1, 3} {
		for _, verdict := range []string{"held", "grouped", "violated", "unwritten", "stuck", "died", "failed", "diverged"} {
			f := parseFinding(t, "quiet 7 "+verdict, repeat)
			o := f.order
			line, err := shardRun{finding: f, sound: "held"}.encode()
			if err != nil {
				t.Fatal(err)
			}
			r, err := decodeRun(line, o)
			if err != nil {
				t.Fatal(err)
			}
			tally := func(f finding) string {
				c := newCampaign([]string{"quiet"}, runFlags{repeat: repeat})
				c.take(f)
				c.conclude()
				b, err := json.Marshal(c.report())
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			if d := cmp.Diff(tally(f), tally(r.finding)); d != "" || r.sound != "held" {
				t.Errorf("%s, %d times: %s", verdict, repeat, d)
			}
		}
	}
}
