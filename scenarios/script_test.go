package scenarios

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

func mustRun(t *testing.T, s Spec) *Outcome {
	t.Helper()
	o, err := Run(s, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// A run whose faults are written down is the run that drew them.
func TestAScriptOfWhatWasDrawnIsTheSameRun(t *testing.T) {
	for _, name := range []string{"flaky-network", "bad-disk", "leader-crash"} {
		drawn := mustRun(t, Spec{Scenario: name, Seed: 7})
		written := mustRun(t, Spec{Scenario: name, Seed: 7, Script: &Script{Faults: drawn.Drawn}})
		if drawn.Chain != written.Chain {
			t.Errorf("%s: chain %s, and with the faults written down %s", name, drawn.Chain, written.Chain)
		}
	}
}

// Until a fault that is taken out the run is what it was.
func TestTakingAFaultOutLeavesWhatCameBefore(t *testing.T) {
	for _, name := range []string{"power-loss", "leader-crash"} {
		drawn := mustRun(t, Spec{Scenario: name, Seed: 7}).Drawn
		last := len(drawn) - 1
		f, err := ParseFault(drawn[last])
		if err != nil {
			t.Fatal(err)
		}
		until := f.at() - 1
		whole := mustRun(t, Spec{Scenario: name, Seed: 7, Script: &Script{Faults: drawn}, Until: until})
		less := mustRun(t, Spec{Scenario: name, Seed: 7, Script: &Script{Faults: drawn[:last]}, Until: until})
		if whole.Chain != less.Chain {
			t.Errorf("%s: %q was taken out, and the run is another before it", name, drawn[last])
		}
	}
}

// What no run can have is refused in one line.
func TestAScriptIsLookedAtBeforeItIsRun(t *testing.T) {
	many := slices.Repeat([]string{"crash node=n1 at=1s for=1s n=0"}, maxScript+1)
	for line, want := range map[string]string{
		"crash node=n9 at=1s for=1s n=0":                               `no host is called "n9"`,
		"crash node=n1,@somebody at=1s for=1s n=0":                     `no host is called "@somebody"`,
		"isolate at=1s for=1s hosts=n1,n8":                             `no host is called "n8"`,
		"disk-stall disk=n7/0 path=* at=1s for=1s times=0 onein=0 n=0": `no node has a disk "n7/0"`,
		"earthquake node=n1 at=1s for=1s n=0":                          `no family "earthquake"`,
		"crash node=n1 at=soon":                                        "fault 1",
	} {
		err := CheckSpec(Spec{Scenario: "leader-crash", Seed: 1, Script: &Script{Faults: []string{line}}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	if err := CheckSpec(Spec{Scenario: "crash", Seed: 1, Script: &Script{Faults: many}}); err == nil {
		t.Error("a script without end was accepted")
	}
}

// A fault of a family that the seed has not drawn is in what the run is promised:
// without power nobody keeps what it had in memory only.
func TestAScriptCanTakeMoreThanTheSeed(t *testing.T) {
	power := &Script{Faults: []string{"power-loss node=n1 at=2s for=500ms n=0"}}
	for seed := uint64(1); seed < 40; seed++ {
		r, err := newRun(Spec{Scenario: "crash", Seed: seed, Script: power}, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		promised := r.demands().PowerLoss
		r.k.Close()
		if r.drawn.Flush == "os" {
			if promised == "" {
				t.Errorf("seed %d: a power loss was added, and what is in memory only is demanded", seed)
			}
			return
		}
	}
	t.Error("no seed relies on memory")
}

func TestFaultsAreMovedTogether(t *testing.T) {
	lines := []string{
		"clock-drift node=n1 at=0s for=1m0s n=-47000",
		"crash node=@leader at=4.5s for=1s n=0",
		"isolate at=4.75s for=2s hosts=n2",
		"disk-rot disk=n3/0 path=orders-*.log at=5s for=3s times=0 onein=0 n=0",
	}
	if at, err := FirstFault(lines); err != nil || at != kafka.Instant(4500*time.Millisecond) {
		t.Errorf("the first begins at %s, %v", at, err)
	}
	got, err := Sooner(lines, 4*time.Second)
	want := []string{
		"clock-drift node=n1 at=0s for=1m0s n=-47000",
		"crash node=@leader at=500ms for=1s n=0",
		"isolate at=750ms for=2s hosts=n2",
		"disk-rot disk=n3/0 path=orders-*.log at=1s for=3s times=0 onein=0 n=0",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if at, err := FirstFault(nil); err != nil || at != FaultsBegin {
		t.Errorf("of no fault the first begins at %s, %v", at, err)
	}
}

// A schedule that somebody wrote need not have what the scenario is about.
func TestAScriptLeavesOutWhatAScenarioIsAbout(t *testing.T) {
	o := mustRun(t, Spec{Scenario: "crash", Seed: 7, Set: []string{"run.sends=20", "run.safety=1s"}, Script: &Script{}})
	if o.Verdict != Held {
		t.Errorf("without faults: %s %s", o.Verdict, o.Reason)
	}
}

// What destroys the only copy waits until something is acknowledged: a broker that has
// lost its vote before is right never to serve, and the run shows nothing.
func TestWhatRuinsTheOnlyCopyWaitsUntilThereIsOne(t *testing.T) {
	for _, family := range []string{"disk-rot", "disk-bad-sector"} {
		o := mustRun(t, Spec{Scenario: "bad-disk", Seed: 910012, Set: []string{"run.sends=300", "run.safety=3s"}, Script: &Script{Faults: []string{
			family + " disk=n1/0 path=quorum/state at=20ms for=0s times=0 onein=0 n=0",
			"crash node=n1 at=21ms for=100ms n=0",
			"crash node=n1 at=2s for=100ms n=0",
		}}})
		if o.Verdict != Held || !slices.Contains(o.Effective(), family) {
			t.Errorf("%s: %v %s, effective: %v", family, o.Verdict, o.Reason, o.Effective())
		}
	}
}
