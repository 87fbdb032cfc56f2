package envtest

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScriptsPrintAndParse(t *testing.T) {
	for seed := range uint64(50) {
		script := Draw(rand.New(rand.NewPCG(seed, 0)), 60)
		parsed, err := ParseScript(script.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(script, parsed); diff != "" {
			t.Fatal(diff)
		}
	}
	for _, bad := range []string{"", "write", "write f off=x", "write f color=red"} {
		if s, err := ParseScript(bad); err == nil {
			t.Errorf("%q was read as %v", bad, s)
		}
	}
}

func TestScriptsUseEveryKind(t *testing.T) {
	seen := make(map[OpKind]bool)
	for _, op := range Draw(rand.New(rand.NewPCG(1, 0)), 500) {
		seen[op.Kind] = true
	}
	if len(seen) != 10 {
		t.Fatalf("drew only %v", seen)
	}
}

// What the contract allows after a kill, and what it does not.
func TestCheckKilled(t *testing.T) {
	script, err := ParseScript("create f\nwrite f off=0 n=10000 seed=1\nwrite f off=9000 n=3000 seed=2\nrename f to=g\nallocate g off=12000 n=500\n")
	if err != nil {
		t.Fatal(err)
	}
	bytes := func(parts ...[]byte) []byte {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	one, two := pattern(1, 10_000), pattern(2, 3000)
	all := bytes(one[:9000], two)
	for _, c := range []struct {
		claim     string
		completed int
		state     State
		effect    Effect
		legal     bool
	}{
		{"nothing happened", 0, State{}, NoEffect, true},
		{"the file in flight is there", 0, State{"f": {}}, WholeEffect, true},
		{"a write got half-way", 1, State{"f": one[:4096]}, PartEffect, true},
		{"a write got half-way with other bytes", 1, State{"f": two[:3000]}, 0, false},
		{"an overwrite stopped before the old end", 2, State{"f": bytes(one[:9000], two[:500], one[9500:])}, PartEffect, true},
		{"an overwrite stopped behind the old end", 2, State{"f": bytes(one[:9000], two[:2000])}, PartEffect, true},
		{"an overwrite skipped bytes", 2, State{"f": bytes(one[:9001], two[1:])}, 0, false},
		{"a write that completed is gone", 3, State{"f": one}, 0, false},
		{"a write that completed is short", 3, State{"f": all[:11_999]}, 0, false},
		{"a rename happened", 3, State{"g": all}, WholeEffect, true},
		{"a rename left both names", 3, State{"f": all, "g": all}, 0, false},
		{"a rename left neither name", 3, State{}, 0, false},
		{"an allocation got half-way", 4, State{"g": bytes(all, make([]byte, 100))}, PartEffect, true},
		{"an allocation brought bytes", 4, State{"g": bytes(all, one[:100])}, 0, false},
		{"the second operation in flight happened", 1, State{"f": all}, 0, false},
		{"a file came from nowhere", 5, State{"g": bytes(all, make([]byte, 500)), "f": {}}, 0, false},
		{"a file became a directory", 1, State{"f": nil}, 0, false},
		{"all is done", 5, State{"g": bytes(all, make([]byte, 500))}, NoEffect, true},
	} {
		effect, err := script.CheckKilled(c.completed, c.state)
		if (err == nil) != c.legal || effect != c.effect {
			t.Errorf("%s: effect %v, error %v", c.claim, effect, err)
		}
	}
}
