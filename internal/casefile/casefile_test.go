package casefile

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func example() Case {
	return Case{
		Klamm: Version, About: "a segment removed for a cut that was in memory only",
		Scenario: "everything", Seed: 1000989, Set: []string{"run.sends=100"}, Continue: "300ms#2",
		Faults: []string{"crash node=@controller at=4.58653364s for=1.955395017s n=0", "power-loss node=@all at=6.836101s for=1.521666047s n=0"},
		Found:  &Found{Verdict: "violated", Guarantee: "converges", Sentence: "n3 is down: it ended", Chain: "00ff", By: "klamm v1"},
	}
}

func TestACaseIsReadAsItWasWritten(t *testing.T) {
	name := filepath.Join(t.TempDir(), "case.yaml")
	for _, c := range []Case{example(), {Klamm: Version, Scenario: "quiet", Faults: []string{}}} {
		if err := c.Write(name); err != nil {
			t.Fatal(err)
		}
		got, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, got); d != "" {
			t.Error(d)
		}
	}
}

// What is no case is refused in one line that says where.
func TestWhatIsNoCaseIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "it is empty",
		"\x00":                                 "control characters are not allowed",
		"klamm: 1\nscenario: quiet\nseed: 1\n": "faults: it lists none; a run without faults says []",
		"klamm: 2\nscenario: quiet\nseed: 1\nfaults: []\n":                                 "klamm: 2: this klamm reads cases of version 1",
		"scenario: quiet\nseed: 1\nfaults: []\n":                                           "it is no case file: those begin with klamm: 1",
		"- quiet\n":                                                                        "line 1: want keys with values, not a list",
		"klamm: 1\nscenario: [quiet]\nseed: 1\nfaults: []\n":                               "line 2: want text, not a list",
		"klamm: 1\nseed: 1\nfaults: []\n":                                                  "scenario: it names none",
		"klamm: 1\nscenario: quiet\nseeds: 1\nfaults: []\n":                                "line 3: there is no key seeds",
		"klamm: 1\nscenario: quiet\nseed: -1\nfaults: []\n":                                "line 3: want a whole number from 0 to 18446744073709551615, not -1",
		"klamm: 1\nscenario: quiet\nseed: 1\nfaults: crash\n":                              "line 4: want a list of texts, not crash",
		"klamm: 1\nscenario: quiet\nseed: 1\nfaults: []\n---\nklamm: 1\n":                  "it holds more than one document",
		"klamm: 1\nscenario: quiet\nseed: 1\nfaults: []\n" + strings.Repeat("#", maxBytes): "it has more than 1048576 bytes",
	} {
		_, err := Decode([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: %v, want %q in one line", text, err, want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzDecode(f *testing.F) {
	b, err := example().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("klamm: 1\nscenario: &a [*a]\nfaults: []\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			return
		}
		again, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if d, err := Decode(again); err != nil || !cmp.Equal(c, d) {
			t.Errorf("%v: %s", err, cmp.Diff(c, d))
		}
	})
}
