package shards

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func example() *Plan {
	return &Plan{
		Kind: Kind, Version: Version, Code: "commit:00ff", MadeBy: "klamm v1",
		Scenarios: []string{"quiet", "power-loss"}, First: 100, Seeds: 10, Set: []string{"run.sends=100"}, Repeat: 1, ShardSeeds: 4,
		Canary: &Canary{Scenario: "power-loss", Set: []string{"log.flush=os"}, Seeds: 2},
	}
}

func TestAPlanIsReadAsItWasWritten(t *testing.T) {
	b, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodePlan(b)
	if d := cmp.Diff(example(), got); err != nil || d != "" {
		t.Error(err, d)
	}
	narrow, err := DecodePlan(bytes.ReplaceAll(b, []byte("\n"), []byte(" ")))
	if err != nil || narrow.Hash() != got.Hash() {
		t.Errorf("%v: the indentation of a plan is part of its hash", err)
	}
	if _, err := ReadPlan(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("a plan that is not there was read")
	}
}

// Everything that makes campaigns differ makes their hashes differ.
func TestTheHashIsOfEverything(t *testing.T) {
	seen := map[string]string{example().Hash(): "the example"}
	for name, change := range map[string]func(*Plan){
		"code": func(p *Plan) { p.Code = "commit:01" }, "scenarios": func(p *Plan) { p.Scenarios = p.Scenarios[:1] },
		"first": func(p *Plan) { p.First++ }, "seeds": func(p *Plan) { p.Seeds++ }, "set": func(p *Plan) { p.Set = []string{} },
		"repeat": func(p *Plan) { p.Repeat++ }, "shards": func(p *Plan) { p.ShardSeeds++ }, "no canary": func(p *Plan) { p.Canary = nil },
		"canary": func(p *Plan) { p.Canary.Seeds++ },
	} {
		p := example()
		change(p)
		if other, ok := seen[p.Hash()]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[p.Hash()] = name
	}
}

// What is no plan is refused in one line that says why.
func TestWhatIsNoPlanIsRefused(t *testing.T) {
	good, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, put, want string }{
		{`klamm.campaign-plan`, `klamm.run`, "_kind"},
		{`"_version": 1`, `"_version": 2`, "_version 2: this klamm reads plans of version 1"},
		{`"commit:00ff"`, `""`, "it does not say which code"},
		{`"seeds": 10`, `"seeds": 0`, "seeds 100+0"},
		{`"seeds": 10`, `"seeds": 4294967297`, "want 1 to 4294967296"},
		{`"seeds": 10`, `"seeds": -1`, "cannot unmarshal"},
		{`"first_seed": 100`, `"first_seed": 18446744073709551610`, "below 2^64"},
		{`"first_seed": 100`, `"first_seed": 18446744073709551616`, "cannot unmarshal"},
		{`"quiet",`, `"power-loss",`, "power-loss stands there twice"},
		{`"repeat": 1`, `"repeat": 0`, "repeat 0: want 1 to 16"},
		{`"shard_seeds": 4`, `"shard_seeds": 0`, "shards of 0 seeds: want 1 to 8192"},
		{`"shard_seeds": 4`, `"shard_seeds": 8193`, "shards of 8193 seeds"},
		{`"seeds": 10`, `"seeds": 4194305`, "1048577 shards: want at most 1048576"},
		{`"scenario": "power-loss"`, `"scenario": ""`, "canary: it names no scenario"},
		{`"log.flush=os"`, ``, "nothing is wrong there"},
		{`"scenario": "power-loss"`, `"scenario": "power-loss", "mutant": "map-order"`, "canary: a mutant has a code"},
		{`"seeds": 2`, `"seeds": 1025`, "canary: 1025 seeds"},
		{`"repeat"`, `"repeats"`, `unknown field "repeats"`},
		{"\n}\n", "\n}{}", "something behind the plan"},
		{`"quiet",`, `"quiet",` + strings.Repeat(" ", maxPlanBytes), "more than 1048576 bytes"},
		{string(good), "", "it is empty"},
		{string(good), "plan: 1", "no plan of a campaign"},
		{string(good)[40:], "", "unexpected EOF"},
	} {
		text := strings.Replace(string(good), c.old, c.put, 1)
		if text == string(good) {
			t.Fatalf("%q is not in the plan", c.old)
		}
		if _, err := DecodePlan([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q for %q: %v, want %q in one line", c.put, c.old, err, c.want)
		}
	}
}

// The shards of a plan have every seed once, and every seed of the canary once.
func TestShardsAreAPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := example()
		p.First = rapid.SampledFrom([]uint64{0, 7, math.MaxUint64 - 3000}).Draw(t, "first")
		p.Seeds = rapid.Uint64Range(1, 2000).Draw(t, "seeds")
		p.ShardSeeds = rapid.Uint64Range(1, 2500).Draw(t, "each")
		p.Canary.Seeds = rapid.Uint64Range(1, MaxCanarySeeds).Draw(t, "canary")
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		next, canary := p.First, p.First
		for n := range p.Shards() {
			s, err := p.Shard(n)
			if err != nil || s.Seeds.First != next || s.Canary.First != canary || s.Seeds.Count == 0 || s.Seeds.Count > p.ShardSeeds {
				t.Fatalf("shard %d: %+v, %v, want it to begin with %d, and the canary with %d", n, s, err, next, canary)
			}
			next, canary = next+s.Seeds.Count, canary+s.Canary.Count
		}
		if next != p.First+p.Seeds || canary != p.First+p.Canary.Seeds {
			t.Fatalf("shards end at %d and %d", next, canary)
		}
	})
	for _, n := range []int{-1, 3, math.MaxInt} {
		if _, err := example().Shard(n); err == nil || err.Error() != fmt.Sprintf("shard %d: the plan has the shards 0 to 2", n) {
			t.Errorf("shard %d: %v", n, err)
		}
	}
}

// A million seeds need more shards, and nothing else.
func TestAMillionSeeds(t *testing.T) {
	p := example()
	p.Seeds, p.ShardSeeds = 1_000_000, 100
	if err := p.Check(); err != nil || p.Shards() != 10_000 || p.Runs() != 2_000_000 {
		t.Errorf("%v, %d shards, %d runs", err, p.Shards(), p.Runs())
	}
}

func FuzzDecodePlan(f *testing.F) {
	b, err := example().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"_kind":"klamm.campaign-plan","seeds":1e9}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePlan(b)
		if err != nil {
			return
		}
		again, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if q, err := DecodePlan(again); err != nil || q.Hash() != p.Hash() {
			t.Errorf("%v: %s", err, again)
		}
		if _, err := p.Shard(p.Shards() - 1); err != nil {
			t.Error(err)
		}
	})
}
