package scenarios

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/checker/metadata"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// playOperators makes one run of the scenario and returns what operators were told.
func playOperators(t *testing.T, seed uint64, set ...string) (*run, *Outcome) {
	t.Helper()
	r, err := newRun(Spec{Scenario: operating.Name, Seed: seed, Set: set}, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.k.Close()
	return r, r.play()
}

// What operators do must come to something, and to all that it can come to, or the
// judge has nothing to judge.
func TestOperatorsAreToldEverythingThereIs(t *testing.T) {
	type told struct {
		act    metadata.Act
		answer metadata.Answer
	}
	counts := map[told]int{}
	probes := map[string]uint64{}
	for seed := range uint64(4) {
		r, o := playOperators(t, seed)
		for _, op := range r.ministry.told.Operations {
			counts[told{op.Act, op.Answer}]++
		}
		for _, p := range o.Probes {
			probes[p.Name] += p.Times
		}
	}
	for _, want := range []struct {
		told
		least int
	}{
		{told{metadata.Create, metadata.Done}, 8}, {told{metadata.Create, metadata.Exists}, 4},
		{told{metadata.Delete, metadata.Done}, 8}, {told{metadata.Delete, metadata.Missing}, 2},
		{told{metadata.Grow, metadata.Done}, 4}, {told{metadata.Grow, metadata.TooFew}, 1}, {told{metadata.Grow, metadata.Missing}, 1},
		{told{metadata.Alter, metadata.Done}, 40}, {told{metadata.Alter, metadata.Missing}, 2}, {told{metadata.Alter, metadata.Unknown}, 1},
		{told{metadata.Look, metadata.Done}, 20}, {told{metadata.Look, metadata.Missing}, 4},
		{told{metadata.Read, metadata.Done}, 40}, {told{metadata.Read, metadata.Missing}, 2},
	} {
		t.Logf("%s: %s %d times", want.act, want.answer, counts[want.told])
		if counts[want.told] < want.least {
			t.Errorf("%s was answered %s %d times, want %d", want.act, want.answer, counts[want.told], want.least)
		}
	}
	for _, name := range operating.Reaches {
		t.Logf("%s: %d times", name, probes[name])
		if probes[name] == 0 {
			t.Errorf("never reached: %s", name)
		}
	}
}

// Power is lost when an operator has just been told that something was done: it
// must be there afterwards.
func TestWhatOperatorsWereToldSurvivesPowerLoss(t *testing.T) {
	losses := 0
	for seed := range uint64(3) {
		r, err := newRun(Spec{Scenario: operating.Name, Seed: seed}, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		r.schedule = nil
		r.enter("safety")
		r.brokers[0].start()
		r.admin.start()
		r.k.At(kafka.Instant(warmUp+r.options.Safety), r.heal)
		heard := 0
		ending := r.k.Run(kafka.Instant(warmUp+r.options.Safety+livenessBound), func() bool {
			for ; heard < len(r.ministry.told.Operations); heard++ {
				op := &r.ministry.told.Operations[heard]
				if op.Answer == metadata.Done && op.Act != metadata.Look && op.Act != metadata.Read && !r.healed {
					r.brokers[0].losePower()
					r.k.After(10*time.Millisecond, r.brokers[0].bringUp)
					losses++
				}
			}
			return r.stepped()
		})
		if o := r.judge(ending); len(o.Violations) > 0 || ending != sim.Finished {
			t.Errorf("seed %d: %s: %s %v", seed, ending, o.Headline(), o.Pending)
		}
		r.k.Close()
	}
	if losses < 20 {
		t.Errorf("power was lost %d times", losses)
	}
}
