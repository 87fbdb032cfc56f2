package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/scenarios"
)

func TestCellsOfTheMatrix(t *testing.T) {
	for _, c := range []struct {
		claim    string
		sends    int
		lost     example
		promised bool
		want     string
		broken   bool
	}{
		{"nobody sent", 0, example{}, true, "-", false},
		{"held", 7, example{}, true, "held, 7", false},
		{"a defect", 7, example{2, 3, ""}, true, "**broken**: 2 of 7, seed 3", true},
		{"weak, and seen", 7, example{2, 3, ""}, false, "broken as documented: 2 of 7, seed 3", false},
		{"weak, and never seen", 7, example{}, false, "never broken, 7", false},
	} {
		if told, broken := tellCell(c.sends, c.lost, c.promised); told != c.want || broken != c.broken {
			t.Errorf("%s: %q %t", c.claim, told, broken)
		}
	}
}

// The weaker a setting the less it promises, and a promise is nowhere larger than
// for the settings that are made for it.
func TestPromisesOfTheMatrix(t *testing.T) {
	strong := setup{"ack", 2, false}
	for _, c := range columns {
		if !strong.keepsAcked(classes[len(classes)-1], c.name) || !strong.keepsSingle(classes[len(classes)-1], c.name) {
			t.Errorf("%s: acks=all promises nothing", c.name)
		}
		for _, s := range setups() {
			for i, weaker := range classes[:len(classes)-1] {
				if s.keepsAcked(weaker, c.name) && !s.keepsAcked(classes[i+1], c.name) {
					t.Errorf("%v %s: acks=%s promises more than acks=%s", s, c.name, weaker.acks(), classes[i+1].acks())
				}
			}
		}
	}
}

// Every run that the matrix makes can be made.
func TestSettingsOfTheMatrix(t *testing.T) {
	for _, p := range newPage(t, "").parts {
		for _, o := range p.orders(1) {
			if err := scenarios.CheckSettings(o.Spec.Set); err != nil || scenarios.Find(o.Spec.Scenario) == nil {
				t.Errorf("%s: %v", replayOf(o.Spec), err)
			}
		}
	}
}

func newPage(t *testing.T, part string) *matrix {
	t.Helper()
	m, err := newMatrix(seedRange{1, 2}, part)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *matrix) takes(f finding) { m.owners[runKey(f.Spec)].take(f) }

func TestTheMatrixIsATable(t *testing.T) {
	m := newPage(t, "producers")
	f := finding{order: order{Spec: specOf(setup{"ack", 2, false}, columns[2], 5)}}
	f.Fates = make([]fate, len(classes))
	f.Fates[len(classes)-1] = fate{Sends: 10, Lost: 1, Lose: "r1 sent record 1"}
	m.takes(f)
	text, broken := m.markdown()
	if broken != 1 || !strings.Contains(text, "**broken**: 1 of 10, seed 5") ||
		!strings.Contains(text, "r1 sent record 1\n  `klamm replay leader-crash --seed 5 --set log.flush=ack") {
		t.Errorf("%d broken: %s", broken, text)
	}
}

// Who waits for all replicas and tries again without idempotence writes some twice:
// the matrix has such a producer, and a row for it.
func TestPlainProducersAreToldApart(t *testing.T) {
	for i, c := range classes {
		s := history.Send{Acks: history.Acks(c.Acks), Delivery: c.Delivery}
		if classOf(&s) != i {
			t.Errorf("%+v is counted as class %d", c, classOf(&s))
		}
	}
	inTheSimulator(t)
	for seed := uint64(2); seed < 6; seed++ { // 2 shows it today
		fates := fatesOf(t, specOf(setup{"ack", 2, false}, columns[3], seed))
		if plain := fates[slices.Index(classes, class{-1, history.Plain})]; plain.Twice > 0 && plain.Lost == 0 {
			return
		}
	}
	t.Error("a plain producer never wrote a record twice")
}

// In a group's cell what is promised is broken, and what is not promised is told with
// its first witness.
func TestDeliveriesAreATable(t *testing.T) {
	delivered := func(r groupRow, seed uint64, missed, repeated int) finding {
		f := finding{order: order{Spec: r.spec(groupColumns[1], seed)}}
		f.Result.Deliveries = []scenarios.Delivery{{Mode: r.mode.String(), Records: 100, Missed: missed, Repeated: repeated, Miss: "a miss", Repeat: "a repeat"}}
		return f
	}
	for _, c := range []struct {
		claim            string
		row              groupRow
		missed, repeated int
		broken           int
		tells            string
	}{
		{"at most once may miss", groupRow{protocol: "classic", mode: delivery.CommitFirst}, 2, 0, 0, "broken as documented: 2 of 100, seed 7"},
		{"at most once repeats nothing", groupRow{protocol: "classic", mode: delivery.CommitFirst}, 0, 2, 1, "**broken**: 2 of 100, seed 7"},
		{"at least once may repeat", groupRow{protocol: "consumer", mode: delivery.ProcessFirst}, 0, 2, 0, "broken as documented: 2 of 100, seed 7"},
		{"at least once misses nothing", groupRow{protocol: "consumer", mode: delivery.ProcessFirst}, 2, 0, 1, "**broken**: 2 of 100, seed 7"},
		{"exactly once does neither", groupRow{protocol: "classic", mode: delivery.WithOutput}, 1, 1, 2, "**broken**: 1 of 100, seed 7"},
		{"apart nothing is promised", groupRow{protocol: "classic", mode: delivery.WithOutput, apart: true}, 1, 1, 0, "broken as documented: 1 of 100, seed 7"},
		{"all is well", groupRow{protocol: "consumer", mode: delivery.WithOutput}, 0, 0, 0, "held, 100"},
	} {
		m := newPage(t, "groups")
		m.takes(delivered(c.row, 7, c.missed, c.repeated))
		text, broken := m.markdown()
		line := "| " + c.row.protocol + " | " + c.row.about() + " |"
		if broken != c.broken || !strings.Contains(text, c.tells) || strings.Count(text, line) != 2 {
			t.Errorf("%s: %d broken: %s", c.claim, broken, text)
		}
		if witness := "  `klamm replay zombie-member --seed 7 --set run.group.protocol=" + c.row.protocol; strings.Contains(text, witness) != (c.missed+c.repeated > 0) {
			t.Errorf("%s: the witness: %s", c.claim, text)
		}
	}
}

// A broken promise makes the command fail, also one that no cell is about.
func TestBrokenDeliveriesFailTheMatrix(t *testing.T) {
	m, row := newPage(t, "groups"), groupRow{protocol: "classic", mode: delivery.ProcessFirst}
	f := finding{order: order{Spec: row.spec(groupColumns[0], 3)}}
	f.Result.Deliveries = []scenarios.Delivery{{Mode: "process-first", Records: 5, Missed: 1}}
	f.Result.Violations = []scenarios.Violation{{Guarantee: "at-least-once"}, {Guarantee: "commit-forward", Sentence: "a commit is lost"}}
	m.takes(f)
	var out strings.Builder
	err := (&matrixFlags{}).print(&out, m)
	if codeOf(judging(err)) != exitViolated || !strings.Contains(out.String(), "commit-forward: a commit is lost\n  `klamm replay coordinator-failover --seed 3") {
		t.Errorf("exit code %d: %s", codeOf(judging(err)), &out)
	}
	if _, broken := m.markdown(); broken != 2 {
		t.Errorf("%d promises are broken, want 2", broken)
	}
}

func TestUnknownPartOfTheMatrix(t *testing.T) {
	if _, err := newMatrix(seedRange{1, 2}, "consumers"); err == nil {
		t.Error("there is a part about consumers")
	}
	if m := newPage(t, ""); len(m.parts) != 2 {
		t.Errorf("%d parts", len(m.parts))
	}
}

func fatesOf(t *testing.T, spec scenarios.Spec) []fate {
	t.Helper()
	o, err := scenarios.Run(spec, scenarios.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	fates, err := tally(o)
	if err != nil {
		t.Fatal(err)
	}
	return fates
}

// What becomes of sends is counted from what was written down.
func TestTally(t *testing.T) {
	inTheSimulator(t)
	o, err := scenarios.Run(scenarios.Spec{Scenario: "quiet", Seed: 1}, scenarios.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	fates, err := tally(o)
	if err != nil {
		t.Fatal(err)
	}
	sends := 0
	for _, f := range fates {
		sends += f.Sends
		if f.Lost > 0 || f.Twice > 0 {
			t.Errorf("%+v", f)
		}
	}
	if sends == 0 || sends > o.Operations.Total {
		t.Errorf("%d sends of %d operations", sends, o.Operations.Total)
	}
}
