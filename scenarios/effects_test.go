package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A bite is a run in which a fault of a family takes effect: the faults, in a scenario
// with a mode.
type bite struct {
	scenario string
	mode     string // survivable if it says nothing
	faults   string // with semicolons between them; of a guest none, for its scenario has it always
	seed     func(*Options) bool
}

// soon is when the faults of these runs begin, and how long they last.
const soon = " at=400ms for=600ms "

// bites has one of each family at least.
var bites = map[Family][]bite{
	"client-crash":  {{scenario: "crash", faults: "client-crash node=p1" + soon}},
	"crash":         {{scenario: "crash", faults: "crash node=n1" + soon}, {scenario: "leader-crash", faults: "crash node=@leader" + soon}},
	"power-loss":    {{scenario: "power-loss", faults: "power-loss node=n1" + soon}, {scenario: "rack-power-loss", faults: "power-loss node=@rack n=1" + soon}, {scenario: "whole-cluster-power-loss", faults: "power-loss node=@all" + soon}},
	"graceful-stop": {{scenario: "crash", faults: "graceful-stop node=n1" + soon}, {scenario: "rolling-restart", faults: "graceful-stop node=@in-turn" + soon}},
	"pause":         {{scenario: "crash", faults: "pause node=n1" + soon}},
	"task-stall":    {{scenario: "crash", faults: "task-stall node=n1" + soon}},
	"slow-node":     {{scenario: "crash", faults: "slow-node node=n1 n=10" + soon}},
	"restart-storm": {{scenario: "crash", faults: "restart-storm node=n1 n=5 at=400ms for=50ms"}, {scenario: "restart-storm", faults: "restart-storm node=@leader n=5 at=400ms for=50ms"}},
	"clock-skew":    {{scenario: "clock", faults: "clock-skew node=n1 n=90000"}},
	"clock-drift":   {{scenario: "clock", faults: "clock-drift node=n1 n=20000" + soon}},
	"clock-jump":    {{scenario: "clock", faults: "clock-jump node=n1 at=400ms n=-90000"}},
	"clock-freeze":  {{scenario: "clock", faults: "clock-freeze node=n1" + soon}},

	"latency":       weather("latency base=3ms jitter=3ms share=1/10 tail=200ms"),
	"bandwidth":     weather("bandwidth rate=20000"),
	"buffer":        weather("buffer size=50"),
	"loss":          weather("loss share=1/5"),
	"partial":       weather("partial share=1/2"),
	"split":         weather("split left=n1 right=p1,p2,c1"),
	"isolate":       weather("isolate hosts=n1"),
	"one-way":       weather("one-way from=p1 to=n1"),
	"bridge":        weather("bridge left=p1 right=n1 via=p2"),
	"clog":          weather("clog from=p1 to=n1"),
	"swizzle-clog":  weather("swizzle-clog order=n1,p1 release=p1,n1"),
	"reset":         weather("reset at=400ms hosts=n1 share=1/1"),
	"half-open":     weather("half-open at=400ms gone=n1 share=1/1"),
	"refuse":        weather("reset at=450ms hosts=n1 share=1/1;refuse hosts=n1"),
	"accept-stall":  weather("reset at=450ms hosts=n1 share=1/1;accept-stall hosts=n1"),
	"slow-receiver": weather("slow-receiver hosts=n1 rate=2000"),
	"name-moved":    weather("name-moved hosts=n1"),

	"disk-short-read":        disk("disk-short-read"),
	"disk-short-write":       disk("disk-short-write"),
	"disk-read-error":        disk("disk-read-error"),
	"disk-write-error":       disk("disk-write-error times=1"),
	"disk-meta-error":        disk("disk-meta-error times=1"),
	"disk-syncdir-error":     disk("disk-syncdir-error times=1"),
	"disk-sync-error":        disk("disk-sync-error times=1"),
	"disk-sync-keep":         disk("disk-sync-keep times=1"),
	"disk-sync-revert":       disk("disk-sync-revert times=1"),
	"disk-sync-others":       disk("disk-sync-others times=1"),
	"disk-sync-nospace":      disk("disk-sync-nospace times=1"),
	"disk-shutdown":          disk("disk-shutdown times=1"),
	"disk-full":              disk("disk-full n=100"),
	"disk-read-only":         disk("disk-read-only"),
	"disk-too-many-files":    disk("disk-too-many-files"),
	"disk-slow":              disk("disk-slow n=20"),
	"disk-stall":             disk("disk-stall"),
	"disk-sync-late":         {destroying("disk-sync-late times=1"), unreliable("disk-sync-late path=orders-*.log times=1"), unbudgeted("disk-sync-late path=orders-*.log times=1 at=2s")},
	"disk-sync-lies":         {destroying("disk-sync-lies"), unreliable("disk-sync-lies for=3s"), unbudgeted("disk-sync-lies at=2s")},
	"disk-misdirected-write": {{scenario: "bad-disk", mode: "unrestricted", faults: "disk-misdirected-write times=1 at=1s for=2s", seed: largeSegments}, unreliable("disk-misdirected-write path=orders-*.log times=1 at=1500ms for=2s"), unbudgeted("disk-misdirected-write times=1 at=2s for=3s")},
	"disk-lost-write":        {destroying("disk-lost-write times=1"), unreliable("disk-lost-write path=orders-*.log times=1"), unbudgeted("disk-lost-write path=orders-*.log times=1 at=2s")},
	"disk-old":               {destroying("disk-old;crash node=n1 at=900ms for=100ms"), unreliable("disk-old for=0s"), unbudgeted("disk-old for=0s at=1500ms;crash node=n1 at=2500ms for=100ms")},
	"disk-misread":           {destroying("disk-misread n=1"), budgeted("disk-misread path=orders-*.log at=800ms for=5s"), unbudgeted("disk-misread at=1s for=5s;crash node=n1 at=1500ms for=100ms")},
	"disk-rot":               {destroying("disk-rot at=800ms"), budgeted("disk-rot path=orders-*.log at=800ms"), unbudgeted("disk-rot at=2s")},
	"disk-bad-sector":        {destroying("disk-bad-sector at=800ms"), budgeted("disk-bad-sector at=800ms"), unbudgeted("disk-bad-sector at=2s")},
	"disk-empty":             {destroying("disk-empty for=0s;crash node=n1 at=900ms for=100ms"), budgeted("disk-empty for=0s;crash node=LOSER at=2s for=100ms"), unbudgeted("disk-empty for=0s at=1500ms;crash node=n1 at=2500ms for=100ms")},

	"malformed-request": {{scenario: "hostile-client"}},
	"connection-storm":  {{scenario: "many-connections"}},
	"operator-acts":     {{scenario: "operators"}},
	"nearest-reads":     {{scenario: "nearest-replica"}},
	"operator-mistakes": {{scenario: "mistakes"}},
	"replica-moves":     {{scenario: "reassign-under-fire"}},
	"groups":            {{scenario: "everything", seed: hasGuest(groupsRead)}},
	"topic-compaction":  {{scenario: "everything", seed: hasGuest(topicCompaction)}},
}

func weather(lines string) []bite { return []bite{{scenario: "flaky-network", faults: lines}} }
func disk(line string) []bite     { return []bite{{scenario: "bad-disk", faults: line}} }

// destroying is a fault of the only copy, and budgeted one of a copy of three.
func destroying(lines string) bite {
	return bite{scenario: "bad-disk", mode: "unrestricted", faults: lines}
}
func budgeted(lines string) bite { return bite{scenario: "lost-disk", faults: lines} }

// unbudgeted is one in a cluster without a budget.
func unbudgeted(lines string) bite {
	return bite{scenario: "beyond-budget", mode: "unrestricted", faults: lines, seed: largeSegments}
}

// unreliable is one of a copy on which nobody relies, and shows when power is lost.
func unreliable(line string) bite {
	return bite{scenario: "lying-disk", faults: line + ";power-loss node=LOSER at=2500ms for=100ms"}
}

// largeSegments draws logs of several pages: a write can land on another.
func largeSegments(o *Options) bool { return o.SegmentBytes >= 32<<10 && o.RetentionBytes == 0 }

func hasGuest(f Family) func(*Options) bool {
	return func(o *Options) bool { return slices.Contains(o.Families, f) }
}

// spec returns the run: with the first seed that draws what it takes.
func (b bite) spec(t *testing.T) Spec {
	t.Helper()
	want := b.mode
	if want == "" {
		want = "survivable"
	}
	for seed := uint64(1); seed < 200; seed++ {
		o := draw(Find(b.scenario), seed)
		if o.mode() != want || b.seed != nil && !b.seed(&o) {
			continue
		}
		spec := Spec{Scenario: b.scenario, Seed: seed}
		if b.faults != "" {
			spec.Script = &Script{Faults: b.lines(o.Loser)}
			spec.Set = []string{"run.sends=600", "run.safety=3s"}
		}
		return spec
	}
	t.Fatalf("no seed of %s is %s", b.scenario, want)
	return Spec{}
}

// lines completes what is the same for most faults.
func (b bite) lines(loser string) []string {
	if loser == "" {
		loser = "n1"
	}
	var out []string
	for line := range strings.SplitSeq(strings.ReplaceAll(b.faults, "LOSER", loser), ";") {
		if !strings.Contains(line, " at=") && !strings.HasPrefix(line, "clock-skew") {
			line += " at=400ms"
		}
		name, _, _ := strings.Cut(line, " ")
		if !strings.Contains(line, " for=") && !slices.Contains([]string{"reset", "half-open", "clock-jump", "clock-skew"}, name) {
			line += " for=600ms"
		}
		if strings.HasPrefix(line, "disk-") {
			line += fmt.Sprintf(" disk=%s/0", loser)
		}
		out = append(out, line)
	}
	return out
}

// Every family of faults takes effect in a run of a scenario that may have it, in each
// mode in which it may be, and the run holds what is demanded of it all the same.
func TestEveryFamilyTakesEffect(t *testing.T) {
	for _, f := range Faults() {
		if len(f.Scenarios) == 0 {
			t.Errorf("no scenario has %s", f.Family)
		}
		if len(bites[f.Family]) == 0 {
			t.Errorf("nobody shows %s", f.Family)
		}
		for _, b := range bites[f.Family] {
			t.Run(string(f.Family)+"/"+b.scenario, func(t *testing.T) {
				t.Parallel()
				spec := b.spec(t)
				o := mustRun(t, spec)
				if !slices.Contains(o.Effective(), string(f.Family)) {
					t.Errorf("seed %d: %s took no effect: %v", spec.Seed, f.Family, o.Faults)
				}
				if o.Verdict != Held {
					t.Errorf("%s", o.Headline())
				}
			})
		}
	}
}
