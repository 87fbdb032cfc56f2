package main

import (
	"strings"
	"testing"
)

const planted = "planted"

func TestEveryMutantApplies(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	mutants, err := readMutants(planted)
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) < 10 {
		t.Fatalf("%d mutants", len(mutants))
	}
	for _, m := range mutants {
		if _, err := m.plant(root, t.TempDir()); err != nil {
			t.Error(err)
		}
	}
}

const sound = `name: x
source: somewhere
mechanism: it does something
test: ./node/txn TestScripts

-- old a.go --
	old
-- new --
	new
-- old a.go --
	older
-- new --
`

func TestMutantsAreParsed(t *testing.T) {
	m, err := parseMutant(sound)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "x" || m.Test[1] != "TestScripts" || len(m.Edits) != 2 {
		t.Errorf("%+v", m)
	}
	if m.Edits[0] != (edit{"a.go", "\told\n", "\tnew\n"}) || m.Edits[1] != (edit{"a.go", "\tolder\n", ""}) {
		t.Errorf("%+v", m.Edits)
	}
}

func TestWhatIsNoMutantIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":            "",
		"no name":            strings.Replace(sound, "name: x\n", "", 1),
		"no test":            strings.Replace(sound, "test: ./node/txn TestScripts\n", "", 1),
		"a test and repeat":  strings.Replace(sound, "name:", "repeat: yes\nname:", 1),
		"a strange key":      strings.Replace(sound, "source:", "sauce:", 1),
		"no edit":            sound[:strings.Index(sound, "--")],
		"an edit cut short":  sound[:strings.LastIndex(sound, "-- new")],
		"an edit of nothing": strings.Replace(sound, "\told\n", "", 1),
	} {
		if _, err := parseMutant(text); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func TestWhatDoesNotStandOnceIsRefused(t *testing.T) {
	for text, times := range map[string]string{"no such text\n": "0 times", "\n": "times"} {
		m := mutant{Name: "x", Edits: []edit{{"mutant.go", text, "new"}}}
		if _, err := m.plant(".", t.TempDir()); err == nil || !strings.Contains(err.Error(), times) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAFailureNamesItsPlace(t *testing.T) {
	scenario, seed, err := failure{Replay: "klamm replay power-loss --seed 285"}.place()
	if scenario != "power-loss" || seed != 285 || err != nil {
		t.Errorf("%s %d %v", scenario, seed, err)
	}
	if _, _, err := (failure{Replay: "klamm"}).place(); err == nil {
		t.Error("no place was taken for one")
	}
}

func TestOnlyAJudgeComplains(t *testing.T) {
	for verdict, want := range map[string]bool{"violated": true, "crashed": true, "stuck": true,
		"inconclusive": false, "internal-error": false, "not-deterministic": false} {
		if got := (failure{Verdict: verdict}).isComplaint(mutant{}); got != want {
			t.Errorf("%s: %v", verdict, got)
		}
	}
	if !(failure{Verdict: "not-deterministic"}).isComplaint(mutant{Repeat: true}) {
		t.Error("runs that differ are no complaint about a mutant that makes them differ")
	}
}

func TestChoosing(t *testing.T) {
	all := []mutant{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	o := options{only: "c,a"}
	if got, err := o.choose(all); err != nil || len(got) != 2 || got[0].Name != "c" {
		t.Errorf("%v %v", got, err)
	}
	o = options{only: "d"}
	if _, err := o.choose(all); err == nil {
		t.Error("an unknown mutant was taken")
	}
	o = options{sample: 5}
	if got, err := o.choose(all); err != nil || len(got) != 3 || o.campaigns != 1 {
		t.Errorf("%v %v", got, err)
	}
}
