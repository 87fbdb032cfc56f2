package scenarios

import (
	"bytes"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"pgregory.net/rapid"
)

// Runs leave much garbage behind, and little else.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

func runOnce(t *testing.T, spec Spec) *Outcome {
	t.Helper()
	o, err := Run(spec, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// runTwice makes a run twice and fails the test if the two differ.
func runTwice(t *testing.T, spec Spec) *Outcome {
	t.Helper()
	first, again := runOnce(t, spec), runOnce(t, spec)
	if first.Chain != again.Chain {
		t.Fatalf("%s seed %d: chain %s, then %s", spec.Scenario, spec.Seed, first.Chain, again.Chain)
	}
	return first
}

// madeTwice are scenarios that have between them every kind of host and of fault. Of what
// gates and campaigns run one in a hundred is made twice, whatever its scenario.
var madeTwice = []string{"one-broker", "bad-disk", "hostile-client", "everything", "mixed-protocols", "mistakes", "restart-storm"}

// Every scenario holds, is the same twice where that is tried, and comes to what it is about, with the seeds
// of testdata/reaching.txt. When code has moved what they reach, other seeds are tried:
// that takes longer, and -update writes down which did.
func TestEveryScenarioHolds(t *testing.T) {
	known := reachingSeeds(t)
	var mu sync.Mutex // scenarios run side by side
	reaching := make(map[string][]uint64)
	t.Cleanup(func() {
		if *update {
			writeReachingSeeds(t, reaching)
		}
	})
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			seeds := known[s.Name]
			if len(seeds) == 0 {
				seeds = []uint64{0}
			}
			left := slices.Clone(s.Reaches)
			by := make(map[uint64][]string)
			try := func(o *Outcome) {
				mustHold(t, o)
				for _, p := range o.Probes {
					if p.Times > 0 && slices.Contains(s.Reaches, p.Name) {
						by[o.Seed] = append(by[o.Seed], p.Name)
						left = slices.DeleteFunc(left, func(name string) bool { return name == p.Name })
					}
				}
			}
			once := runOnce
			if slices.Contains(madeTwice, s.Name) {
				once = runTwice
			}
			for _, seed := range seeds {
				try(once(t, Spec{Scenario: s.Name, Seed: seed}))
			}
			for seed := uint64(1); len(left) > 0 && seed <= 60; seed++ {
				if !slices.Contains(seeds, seed) {
					try(runOnce(t, Spec{Scenario: s.Name, Seed: seed}))
				}
			}
			if len(left) > 0 {
				t.Errorf("60 seeds did not reach %q", left)
			}
			mu.Lock()
			defer mu.Unlock()
			reaching[s.Name] = fewest(by)
		})
	}
}

func mustHold(t *testing.T, o *Outcome) {
	t.Helper()
	if o.Verdict != Held {
		t.Errorf("%s\npending: %v", o.Headline(), o.Pending)
	}
	if o.Operations.Total < minSends {
		t.Errorf("seed %d: %d operations, want at least %d", o.Seed, o.Operations.Total, minSends)
	}
}

// A judge that has never complained is not trusted: here is a promise that the
// setting cannot keep.
func TestPowerLossWithoutSyncsIsNoticed(t *testing.T) {
	for seed := range uint64(20) {
		o, err := Run(Spec{Scenario: "power-loss", Seed: seed, Set: []string{"log.flush=os"}}, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		if o.Verdict == Violated {
			return
		}
	}
	t.Error("20 seeds of power loss without a sync, and no judge complained")
}

// Whoever doubts a judge can have it complain: what a setting takes away is demanded
// all the same.
func TestSettingsThatCannotKeepThePromiseAreNoticed(t *testing.T) {
	for _, c := range []struct {
		scenario, setting string
		from              uint64 // the seed to begin with: the first that did, once
		want              []string
	}{
		{"retention", "retention.ms=1", 1, []string{"no-lost-ack", retentionKeeps}},
		{"compaction", "cleanup.policy=delete", 0, []string{"no-lost-ack", "compacted-state"}},
		{"compaction", "delete.retention.ms=0", 24, []string{"compacted-state"}},
		{"compaction", "min.compaction.lag.ms=0", 1, []string{"compacted-state"}},
		{"bad-disk", "run.families=disk-lost-write,disk-old,crash", 1, []string{"no-lost-ack", recoversAcked}},
		{"full-disk", "retention.bytes=100", 0, []string{"no-lost-ack", retentionKeeps}},
		{"slow-disk", "log.flush=os", 2, []string{"no-lost-ack", recoversAcked}},
		{"cluster-compaction", "delete.retention.ms=0", 1, []string{"compacted-state"}},
		{"cluster-retention", "retention.ms=1", 1, []string{"no-lost-ack", retentionKeeps}},
		{"lying-disk", "log.flush=ack", 1002, []string{"no-lost-ack"}},
		{"clock", "retention.ms=1", 0, []string{"no-lost-ack", retentionKeeps}},
		{"zombie-member", "run.split=true", 1, []string{"exactly-once"}},
	} {
		t.Run(c.scenario+"/"+c.setting, func(t *testing.T) {
			t.Parallel()
			set := []string{c.setting}
			if strings.HasPrefix(c.setting, "cleanup.policy") {
				set = append(set, "retention.bytes=100")
			}
			for seed := c.from; seed < c.from+40; seed++ {
				o, err := Run(Spec{Scenario: c.scenario, Seed: seed, Set: set}, Watch{})
				if err != nil {
					t.Fatal(err)
				}
				if o.Verdict == Violated && slices.Contains(c.want, o.Violations[0].Guarantee) {
					t.Logf("seed %d: %s", seed, o.Headline())
					return
				}
			}
			t.Errorf("40 seeds, and none of %v complained", c.want)
		})
	}
}

func TestProbesOfScenariosExist(t *testing.T) {
	for _, s := range All() {
		for _, p := range slices.Concat(s.Needs, s.Reaches) {
			if !slices.Contains(KnownProbes(), p) && p != repeatedProbe && p != missedProbe {
				t.Errorf("%s: no probe %q", s.Name, p)
			}
		}
	}
}

func TestRecordingAndWatchingLeaveARunAlone(t *testing.T) {
	spec := Spec{Scenario: "everything", Seed: 5}
	plain, err := Run(spec, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	lines := 0
	watched, err := Run(spec, Watch{Recorder: sim.NewRecorder(&text), Sink: func(sim.Line) { lines++ }})
	if err != nil {
		t.Fatal(err)
	}
	if plain.Chain != watched.Chain {
		t.Errorf("chain %s unwatched, %s watched", plain.Chain, watched.Chain)
	}
	if lines == 0 || text.Len() == 0 {
		t.Errorf("%d lines and %d bytes of recording", lines, text.Len())
	}
}

func TestUntilStopsWithoutAVerdict(t *testing.T) {
	o, err := Run(Spec{Scenario: "quiet", Seed: 1, Until: kafka.Instant(time.Second)}, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	if o.Verdict != "" || len(o.State) < 2 {
		t.Errorf("verdict %q, state %q", o.Verdict, o.State)
	}
}

func TestSettingsAreCheckedByName(t *testing.T) {
	for _, line := range []string{"", "log.flush", "log.flush=never", "no.such.setting=1", "run.producers=0",
		"run.families=meteorite", "run.groups=process-twice", "run.groups=", "segment.bytes=ten"} {
		if err := CheckSettings([]string{line}); err == nil {
			t.Errorf("setting %q was taken", line)
		}
	}
	for _, line := range []string{"log.flush=os", "run.producers=3", "run.families=crash,latency", "run.families=none", "run.groups=commit-first,with-output", "index.interval.bytes=100"} {
		if err := CheckSettings([]string{line}); err != nil {
			t.Errorf("setting %q: %v", line, err)
		}
	}
}

// Consumers of such runs name their racks; whoever reads back names none.
func TestWhereFollowersAnswerJudgesKnowIt(t *testing.T) {
	for _, near := range []int{0, 1} {
		r := &run{options: Options{Cluster: Cluster{Near: near}}}
		if got, want := r.demands().Followers, near > 0; got != want {
			t.Errorf("run.near=%d: followers answer: %v", near, got)
		}
	}
}

func TestSettingsDoNotChangeWhatIsDemanded(t *testing.T) {
	r, err := newRun(Spec{Scenario: "power-loss", Seed: 1, Set: []string{"log.flush=os"}}, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.k.Close()
	if d := r.demands(); d.Flush != "ack" || r.options.Flush != "os" {
		t.Errorf("demanded is log.flush=%s, the system has %s", d.Flush, r.options.Flush)
	}
}

func TestSchedulesPrintAndParseBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(All()).Draw(t, "scenario")
		seed := rapid.Uint64().Draw(t, "seed")
		o := draw(s, seed)
		c := cast{clients: []string{"p1", "c1"}, partitions: o.Partitions, options: &o, scenario: s}
		for _, at := range o.seats() {
			c.nodes, c.disks = append(c.nodes, at.name), append(c.disks, diskOf(at.name))
		}
		for _, f := range drawSchedule(o, seed, c) {
			again, err := ParseFault(f.String())
			if err != nil {
				t.Fatal(err)
			}
			if again.String() != f.String() {
				t.Fatalf("%q came back as %q", f, again)
			}
		}
	})
}

func TestLeavingAFamilyOutLeavesTheOthersAlone(t *testing.T) {
	c := cast{nodes: []string{"n1"}, disks: []string{"n1/0"}, clients: []string{"p1", "c1"}, partitions: 1, options: &Options{}, scenario: &Scenario{}}
	both := drawSchedule(Options{Safety: time.Second, Families: []Family{"crash", "latency"}}, 1, c)
	one := drawSchedule(Options{Safety: time.Second, Families: []Family{"latency"}}, 1, c)
	var kept []string
	for _, f := range both {
		if f.Family == "latency" {
			kept = append(kept, f.String())
		}
	}
	for i, f := range one {
		if f.String() != kept[i] {
			t.Errorf("alone %q, beside crashes %q", f, kept[i])
		}
	}
}

func TestEverySeedOfAFaultyScenarioHasFaults(t *testing.T) {
	for _, s := range All() {
		for seed := range uint64(200) {
			o := draw(s, seed)
			if s.faulty() && len(o.Families) < max(s.AtLeast, 1) {
				t.Errorf("%s seed %d has families %v", s.Name, seed, o.Families)
			}
		}
	}
}

func TestEveryGuaranteeHasAPromise(t *testing.T) {
	for _, g := range Guarantees() {
		if strings.TrimSpace(g.Promise) == "" {
			t.Errorf("%s promises nothing", g.Name)
		}
	}
}

// Where a follower's lag is counted in records, healthy followers leave the in-sync
// set with each burst (KIP-16, ADR 13); where it is measured in time, none does.
func TestHealthyFollowersFlapWhereTheirLagIsCountedInRecords(t *testing.T) {
	for limit, flaps := range map[string]bool{"2": true, "0": false} {
		o, err := Run(Spec{Scenario: lagMaxMessages.Name, Seed: 1, Set: []string{"run.sends=300", "run.safety=1s", "replica.lag.max.messages=" + limit}}, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		if n := o.Movements.ISRChanges; (n >= 10) != flaps || n > 0 != flaps {
			t.Errorf("replica.lag.max.messages=%s: %d changes of in-sync sets", limit, n)
		}
		if o.Verdict == Violated || o.Verdict == Stuck || o.Verdict == Crashed {
			t.Errorf("replica.lag.max.messages=%s: %s", limit, o.Headline())
		}
	}
}
