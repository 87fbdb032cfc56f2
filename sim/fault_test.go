package sim

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

func TestFaultPrintsAndParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(FaultKinds()).Draw(t, "kind")
		f := DrawFault(kind, "n1", kafka.Instant(time.Minute), Stream(rapid.Uint64().Draw(t, "seed"), "faults"))
		got, err := ParseFault(f.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f, got); diff != "" {
			t.Fatalf("%s came back different:\n%s", f, diff)
		}
	})
}

func TestBadFaultsAreRefused(t *testing.T) {
	for _, line := range []string{"", "crash", "crash node", "crush node=n1", "crash node=n1 at=soon", "crash node=n1 x=1"} {
		if f, err := ParseFault(line); err == nil {
			t.Errorf("%q was read as %s", line, f)
		}
	}
}

func TestHealEndsEveryFault(t *testing.T) {
	for _, kind := range FaultKinds() {
		if kind == FaultCrash || kind == FaultPowerLoss || kind == FaultStop || kind == FaultStorm || kind == FaultSkew || kind == FaultJump {
			continue
		}
		k := New(Options{Seed: 1})
		n := k.NewNode("n1")
		f := DrawFault(kind, "n1", 1, Stream(1, "faults"))
		if !f.Apply(n) {
			t.Errorf("%s took no effect on a living node", f)
		}
		ran := kafka.Never
		n.Go("t", func() { ran = k.Now() })
		k.Run(kafka.Instant(time.Microsecond), func() bool { return false })
		n.Heal()
		before := n.WallTime()
		k.After(time.Second, func() {})
		start := k.Now()
		k.Run(start.Add(time.Second), func() bool { return false })
		if kind != FaultTaskStall && ran > start {
			t.Errorf("%s: a task ran at %s only", f, ran)
		}
		if n.Slowness() != 1 || n.WallTime()-before < 999 {
			t.Errorf("%s goes on after heal", f)
		}
		n.Crash()
		if f.Apply(n) && kind != FaultDrift {
			t.Errorf("%s took effect on a dead node", f)
		}
	}
}
