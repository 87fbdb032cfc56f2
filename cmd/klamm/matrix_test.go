package main

import (
	"strings"
	"testing"

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
		if !strong.keepsAcked(classes[3], c.name) || !strong.keepsSingle(classes[3], c.name) {
			t.Errorf("%s: acks=all promises nothing", c.name)
		}
		for _, s := range setups() {
			for i, weaker := range classes[:3] {
				if s.keepsAcked(weaker, c.name) && !s.keepsAcked(classes[i+1], c.name) {
					t.Errorf("%v %s: acks=%s promises more than acks=%s", s, c.name, weaker.acks(), classes[i+1].acks())
				}
			}
		}
	}
}

// Every run that the matrix makes can be made.
func TestSettingsOfTheMatrix(t *testing.T) {
	for _, s := range setups() {
		for _, c := range columns {
			spec := specOf(s, c, 1)
			if err := scenarios.CheckSettings(spec.Set); err != nil || scenarios.Find(spec.Scenario) == nil {
				t.Errorf("%s: %v", replayOf(spec), err)
			}
		}
	}
}

func TestTheMatrixIsATable(t *testing.T) {
	m := &matrix{seeds: seedRange{1, 2}, cells: map[string]*cell{}}
	for _, s := range setups() {
		for _, c := range columns {
			m.cells[cellKey(s, c)] = newCell()
		}
	}
	strong := m.cells[cellKey(setup{"ack", 2, false}, columns[2])]
	strong.take(finding{order: order{Spec: scenarios.Spec{Seed: 5}}, answer: answer{Fates: []fate{{}, {}, {}, {Sends: 10, Lost: 1, Lose: "r1 sent record 1"}}}})
	text, broken := m.markdown()
	if broken != 1 || !strings.Contains(text, "**broken**: 1 of 10, seed 5") ||
		!strings.Contains(text, "r1 sent record 1\n  `klamm replay leader-crash --seed 5 --set log.flush=ack") {
		t.Errorf("%d broken: %s", broken, text)
	}
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
