package scenarios

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/checker"
)

// lostTail is a run in which one broker's disk lies about syncs while log.flush=ack: it
// comes back in sync, as it may for what it synced, and leads without what it lost.
var lostTail = Spec{Scenario: "beyond-budget", Seed: 1001, Set: []string{"run.safety=8s"}, Script: &Script{Faults: []string{
	"disk-sync-lies disk=n1/0 path=orders-* at=1s for=3s",
	"power-loss node=n1 at=2500ms for=100ms",
	"crash node=n2,n3 at=2501ms for=5s",
}}}

// What a disk lied about is lost where its broker keeps its seat in the in-sync set for what
// it synced: that is in no budget (docs/FAULTS.md), and forgiven where there is none. Who
// demands everything sees it.
func TestALiedToBrokerInSyncLosesWhatWasAcknowledged(t *testing.T) {
	o := mustRun(t, lostTail)
	if o.Verdict != Held {
		t.Fatalf("%s", o.Headline())
	}
	d := o.demands
	if !d.Unrestricted {
		t.Fatal("nothing is forgiven")
	}
	d.Unrestricted = false
	report := checker.Judge(o.history, d)
	if !slices.ContainsFunc(report.Violations(), func(v checker.Violation) bool { return v.Guarantee == checker.NoLostAck }) {
		t.Error("nothing that was acknowledged is lost")
	}
}

// Until the first disk is hurt everything is demanded.
func TestLossesBeforeAnyDiskIsHurtAreNotForgiven(t *testing.T) {
	r, err := newRun(lostTail, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.k.Close()
	r.play()
	var res Result
	if r.judgeUnhurt(&res); len(res.Violations) > 0 {
		t.Fatalf("%v", res.Violations)
	}
	r.hurtAt = r.k.Now() // as if it had been hurt after all that
	r.judgeUnhurt(&res)
	if !slices.ContainsFunc(res.Violations, func(v Violation) bool {
		return v.Guarantee == string(checker.NoLostAck) && strings.HasPrefix(v.Sentence, "before any disk was hurt")
	}) {
		t.Errorf("nobody complains: %v", res.Violations)
	}
}

// A run in which no disk was hurt is forgiven nothing.
func TestWhoseDisksAreWellIsForgivenNothing(t *testing.T) {
	spec := lostTail
	spec.Script = &Script{Faults: lostTail.Script.Faults[2:]}
	r, err := newRun(spec, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.k.Close()
	r.play()
	if r.demands().Unrestricted {
		t.Error("losses are forgiven, and no disk was hurt")
	}
}

// What controllers decide is forgiven once a voter's disk was hurt in what it votes by, and
// not for the logs of the topic.
func TestOnlyAHurtVoterIsForgivenWhatControllersDecide(t *testing.T) {
	for path, want := range map[string]bool{"orders-*": false, "*metadata*": true} {
		r, err := newRun(Spec{Scenario: "beyond-budget", Seed: 1000, Script: &Script{Faults: []string{
			"disk-rot disk=n1/0 path=" + path + " at=2s",
		}}}, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.k.Close()
		r.play()
		w := r.observer.cluster
		if w.lawless != want || r.hurtAt == 0 {
			t.Errorf("rot in %s: lawless %t, hurt at %s", path, w.lawless, r.hurtAt)
		}
		before := w.told
		w.complain(imageAgreement, "planted")
		w.complain(offsetsDense, "planted")
		if got := w.told - before; want && got != 1 || !want && got != 2 {
			t.Errorf("rot in %s: %d of two complaints were heard", path, got)
		}
	}
}

// Whose disk was not hurt has to run, and be in sync, in the end.
func TestANodeWithASoundDiskMustRun(t *testing.T) {
	r, err := newRun(Spec{Scenario: "beyond-budget", Seed: 1000, Script: &Script{Faults: []string{
		"disk-rot disk=n1/0 path=orders-* at=2s",
	}}}, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.k.Close()
	r.play()
	if why := r.openlyUnconverged(); why != "" {
		t.Fatalf("%s", why)
	}
	for i, want := range []bool{false, true} { // n1 may be down, if it says why; n2 may not
		b := r.brokers[i]
		running := b.running
		b.running, b.lastExit = nil, errors.New("planted")
		if why := r.openlyUnconverged(); (why != "") != want {
			t.Errorf("%s is down: %q", b.seat.name, why)
		}
		b.running = running
	}
}
