package backoff_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/client/backoff"
)

func TestWaitsDoubleUpToTheBound(t *testing.T) {
	b := backoff.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	draws := rand.New(rand.NewPCG(1, 2))
	for n, about := range map[int]time.Duration{1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 6: 1000, 1 << 30: 1000} {
		about *= time.Millisecond
		seen := map[time.Duration]bool{}
		for range 100 {
			got := b.After(n, draws)
			if got < about*4/5 || got > about*6/5 || got > b.Max {
				t.Errorf("failure %d: %v, want about %v", n, got, about)
			}
			seen[got] = true
		}
		if len(seen) < 50 {
			t.Errorf("failure %d: only %d different waits in 100", n, len(seen))
		}
	}
}

func TestWaitsStayWithinTheirBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := backoff.Backoff{
			Min: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "min")),
			Max: time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "max")),
		}
		draws := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		n := rapid.IntRange(1, 100).Draw(t, "failures")
		got := b.After(n, draws)
		least := min(b.Min, b.Max)
		if got < least-least/5 || got > b.Max {
			t.Fatalf("%+v after %d failures: %v", b, n, got)
		}
	})
}
