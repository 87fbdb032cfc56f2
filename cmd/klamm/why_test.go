package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/internal/moments"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// decidedAt is when oneDraw draws what decides it.
const decidedAt = kafka.Instant(3_141_592_653)

// oneDraw is a run of two tasks that draw now and then, and fails by one draw
// alone, of one task at one instant, one time of eight.
func oneDraw(seed uint64, c ...sim.Continuation) (failed bool) {
	k := sim.New(sim.Options{Seed: seed, Continuations: c, HoldOneIn: 8, HoldMax: time.Millisecond})
	defer k.Close()
	n := k.NewNode("n1")
	fate := n.Random().Rand("fate")
	n.Go("noise", func() {
		for k.Now() < kafka.Instant(10*time.Second) {
			k.Block("pause", time.Duration(n.Random().Rand("noise").Int64N(int64(time.Second))))
		}
	})
	k.At(decidedAt, func() { failed = fate.Uint64N(8) == 0 })
	k.Run(kafka.Never-1, func() bool { return false })
	return failed
}

// A failure that one known draw decides is found to be decided by it, to the nanosecond.
func TestTheMomentOfAKnownDrawIsFound(t *testing.T) {
	found := 0
	for seed := uint64(1); found < 3; seed++ {
		if !oneDraw(seed) {
			continue
		}
		found++
		s := moments.Search{End: moments.Instant(10 * time.Second), Grid: whyGrid, Each: 30, Resolution: 1}
		f, err := moments.Find(s, func(at []moments.Instant, first, each int) (hits []int, err error) {
			for _, t := range at {
				n := 0
				for i := range each {
					if oneDraw(seed, sim.Continuation{From: kafka.Instant(t), Number: uint64(first + i)}) {
						n++
					}
				}
				hits = append(hits, n)
			}
			return hits, nil
		})
		if at := moments.Instant(decidedAt); err != nil || !f.Sharp(s) || f.Before.At != at || f.After.At != at+1 || f.Open.At != at || f.Decided.At != at+1 {
			t.Errorf("seed %d: likely from %d to %d, decided from %d to %d, want %d; %v", seed, f.Before.At, f.After.At, f.Open.At, f.Decided.At, decidedAt, err)
		}
		if low, high := f.Before.Interval(); low > 1.0/8 || high < 1.0/8 {
			t.Errorf("seed %d: before it the probability is %.2f to %.2f, want 1/8", seed, low, high)
		}
	}
}

// It is found, too, in a run that has turned off before it.
func TestTheMomentIsFoundInARunThatHasTurned(t *testing.T) {
	for number, found := uint64(1), 0; found < 2; number++ {
		failing := scenarios.Spec{Continuation: sim.Continuation{From: kafka.Instant(time.Second), Number: number}}
		if !oneDraw(1, failing.Turns()...) {
			continue
		}
		found++
		s := moments.Search{End: moments.Instant(10 * time.Second), Grid: whyGrid, Each: 30, Resolution: 1}
		f, err := moments.Find(s, func(at []moments.Instant, first, each int) (hits []int, err error) {
			for _, t := range at {
				n := 0
				for i := range each {
					if oneDraw(1, failing.Turned(sim.Continuation{From: kafka.Instant(t), Number: uint64(first + i)}).Turns()...) {
						n++
					}
				}
				hits = append(hits, n)
			}
			return hits, nil
		})
		if at := moments.Instant(decidedAt); err != nil || !f.Sharp(s) || f.Open.At != at || f.Decided.At != at+1 {
			t.Errorf("%s: likely from %d to %d, decided from %d to %d, want %d; %v", failing.Continuation, f.Before.At, f.After.At, f.Open.At, f.Decided.At, decidedAt, err)
		}
	}
}

// lossAt1s writes a case in which a broker that does not sync loses power after a second,
// and what it acknowledged before is lost.
func lossAt1s(t *testing.T) string {
	t.Helper()
	return lossOf(t, casefile.Case{}, func(uint64) bool { return true })
}

// lossAt1sOnceTurned writes one that the seed's own schedule knows nothing of.
func lossAt1sOnceTurned(t *testing.T) string {
	t.Helper()
	more := casefile.Case{Continue: "300ms#2", Set: []string{"run.operators=0", "run.recreate=0"}}
	return lossOf(t, more, func(seed uint64) bool {
		own := lossIn(seed)
		o, err := scenarios.Run(scenarios.Spec{Scenario: own.Scenario, Seed: seed, Set: slices.Concat(own.Set, more.Set), Script: &scenarios.Script{Faults: own.Faults}}, scenarios.Watch{})
		return err == nil && o.Verdict == scenarios.Held
	})
}

// lossIn is such a case, if the seed has it that something is lost.
func lossIn(seed uint64) casefile.Case {
	return casefile.Case{
		Scenario: "power-loss", Seed: seed, Faults: []string{"power-loss node=n1 at=1s for=500ms n=0"},
		Set: []string{"log.flush=os", "run.sends=3", "run.producers=1", "run.consumers=1", "run.raws=0", "run.partitions=1",
			"run.profile=prefix", "run.safety=2s", "run.buggify=false"},
	}
}

// lossOf writes the first of them, with more in it, whose seed is wanted.
func lossOf(t *testing.T, more casefile.Case, wanted func(seed uint64) bool) string {
	t.Helper()
	for seed := uint64(39); seed < 200; seed++ { // some lose nothing
		c := lossIn(seed)
		c.Continue, c.Set = more.Continue, slices.Concat(c.Set, more.Set)
		name := filepath.Join(t.TempDir(), "lost.yaml")
		if err := c.Write(name); err != nil {
			t.Fatal(err)
		}
		made, err := caseOrder(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		o, err := scenarios.Run(made.Spec, scenarios.Watch{})
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Violations) > 0 && o.Violations[0].Guarantee == "no-lost-ack" && o.Chain.Events < 10_000 && wanted(seed) {
			return name
		}
	}
	t.Fatal("no seed loses anything")
	return ""
}

// What is lost with the power was decided when the power was lost: which pages had reached
// the disk by then is drawn in that step.
func TestWhyFindsThePowerLoss(t *testing.T) {
	inTheSimulator(t)
	workersAreThisTest(t)
	findsThePowerLoss(t, lossAt1s(t))
}

// How a case goes on is part of its run: without it this one would lose nothing, whatever
// is tried.
func TestWhyFindsThePowerLossOfACaseThatGoesOnOtherwise(t *testing.T) {
	inTheSimulator(t)
	workersAreThisTest(t)
	findsThePowerLoss(t, lossAt1sOnceTurned(t))
}

func findsThePowerLoss(t *testing.T, name string) {
	t.Helper()
	var r whyReport
	out, code := exitOfCommand(t, "why", name, "-o", "json", "--jobs", "2", "--continuations", "10", "--resolution", "10ms")
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	const loss = int64(time.Second)
	d := r.Decided
	if d.Before == nil || d.Before.At > loss || d.After.At <= loss || d.After.At-d.Before.At > int64(10*time.Millisecond) || d.After.Share != 1 {
		t.Errorf("decided from %+v to %+v, want %d", d.Before, d.After, loss)
	}
	if !slices.ContainsFunc(d.Between, func(line string) bool { return strings.Contains(line, "power-loss node=n1 at=1s") }) {
		t.Errorf("between them was %q", d.Between)
	}
	if r.Guarantee != "no-lost-ack" || !r.Complete || r.Odd > 0 {
		t.Errorf("%+v", r)
	}
	runs := 1 - 10 // the last moment is the run's end: nothing is tried from there
	for i, m := range r.Moments {
		runs += m.Runs
		if m.At > loss && m.Broke != m.Runs || m.Low > m.Share || m.High < m.Share || i > 0 && m.At <= r.Moments[i-1].At {
			t.Errorf("%+v", m)
		}
	}
	if r.Runs != runs {
		t.Errorf("%d runs were made, and %d are told of", r.Runs, runs)
	}
	sibling := strings.TrimPrefix(r.Sibling, name+"@")
	if held, code := exitOfCommand(t, "replay", name, "--continue", sibling); code != exitNotReproduced {
		t.Errorf("the continuation %s is said to hold, and its exit code is %d: %s", sibling, code, held)
	}
}

func TestWhyTellsItInWords(t *testing.T) {
	inTheSimulator(t)
	workersAreThisTest(t)
	name := lossAt1s(t)
	out, code := exitOfCommand(t, "why", name, "--continuations", "5", "--resolution", "500ms", "--jobs", "1")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	for _, want := range []string{"continuations of " + name + " that break no-lost-ack too:", "\nFROM ", "\n0s ", "  100 %  the run's end", "it was decided between ",
		"the run and the last continuation that held: klamm diff " + name + " " + name + "@"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	// What is pasted is about the run with the settings that it had.
	out, code = exitOfCommand(t, "why", name, "--set", "run.buggify=false", "--continuations", "5", "--resolution", "500ms", "--jobs", "1")
	line := regexp.MustCompile(`klamm diff (.*)`).FindStringSubmatch(out)
	if code != 0 || line == nil || !strings.HasSuffix(line[1], " --set run.buggify=false") {
		t.Errorf("exit code %d: %s", code, out)
	}
	// As many runs as are allowed, and what is known then; the same, however many processes
	// make them.
	untimed := regexp.MustCompile(` runs, .*`)
	var told []string
	for _, jobs := range []string{"1", "2"} {
		out, code := exitOfCommand(t, "why", name, "--continuations", "5", "--runs", "23", "--jobs", jobs)
		if code != 0 || !strings.Contains(out, "not complete: as many runs were made as --runs allows") || !strings.Contains(out, "\n21 runs, ") {
			t.Errorf("exit code %d: %s", code, out)
		}
		told = append(told, untimed.ReplaceAllString(out, ""))
	}
	if told[0] != told[1] {
		t.Errorf("one process found\n%s\nand two\n%s", told[0], told[1])
	}
}

func TestWhyRefuses(t *testing.T) {
	workersAreThisTest(t)
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"quiet"}, exitUsage}, {[]string{"noise", "--seed", "1"}, exitUsage}, {[]string{"none.yaml"}, exitUsage},
		{[]string{"quiet", "--seed", "1", "--continuations", "4"}, exitUsage}, {[]string{"quiet", "--seed", "1", "--runs", "20"}, exitUsage},
		{[]string{"quiet", "--seed", "1", "--resolution", "0s"}, exitUsage}, {[]string{"quiet", "--seed", "1", "--jobs", "0"}, exitUsage},
		{[]string{"quiet", "--seed", "1", "-o", "yaml"}, exitUsage}, {[]string{}, exitUsage}, {[]string{"quiet", "--seed", "1"}, exitNotReproduced},
	} {
		if out, code := saidBy(t, append([]string{"why"}, c.args...)...); code != c.code || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: exit code %d: %s", c.args, code, out)
		}
	}
}
