package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/scenarios"
)

// The histories in testdata are small enough to be read. Each is wrong in one way,
// named by the judge that must complain of it; two are not.
func TestEachHistoryIsJudgedAsItIsNamed(t *testing.T) {
	names := []string{"held", "inconclusive"}
	for _, g := range checker.Guarantees() {
		names = append(names, string(g))
	}
	names = append(names, "group-held")
	for _, g := range delivery.Guarantees() {
		names = append(names, string(g))
	}
	files, err := filepath.Glob("testdata/histories/*.jsonl")
	if err != nil || len(files) != len(names) {
		t.Fatalf("%d histories, of %d names, %v", len(files), len(names), err)
	}
	for _, name := range names {
		file := "testdata/histories/" + name + ".jsonl"
		var out bytes.Buffer
		code := execute([]string{"check", file, "-o", "json"}, streams{nil, &out, &out})
		var j checkJSON
		if err := json.Unmarshal(out.Bytes(), &j); err != nil {
			t.Fatalf("%s: %v: %s", name, err, &out)
		}
		switch name {
		case "held", "group-held", "inconclusive":
			if want := map[string]int{"inconclusive": exitInconclusive}[name]; code != want || string(j.Verdict) != strings.TrimPrefix(name, "group-") {
				t.Errorf("%s: code %d, %s: %s", name, code, j.Verdict, j.Reason)
			}
		default:
			broken := len(j.Report.Verdict(checker.Guarantee(name)).Violations) > 0
			if j.Groups != nil {
				broken = slices.ContainsFunc(j.Groups.Verdicts, func(v groupVerdict) bool {
					return string(v.Guarantee) == name && v.Status == checker.Violated && len(v.Violations) > 0
				})
			}
			if code != exitViolated || !broken {
				t.Errorf("%s: code %d, %s, %+v", name, code, &j.Report, j.Groups)
			}
		}
		if code != j.Code {
			t.Errorf("%s: code %d, told %d", name, code, j.Code)
		}
	}
}

func TestCheckOf(t *testing.T) {
	text, err := os.ReadFile("testdata/histories/no-lost-ack.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	const (
		dir  = "testdata/histories/"
		lost = dir + "no-lost-ack.jsonl"
	)
	for _, c := range []struct {
		claim string
		args  []string
		stdin string
		code  int
		want  string
	}{
		{"standard input", []string{"-"}, string(text), exitViolated, "VIOLATED -: no-lost-ack: orders-0 offset 1 acknowledged at 0.004s, absent at the end"},
		{"several files: the worst decides", []string{dir + "held.jsonl", lost, dir + "inconclusive.jsonl"}, "", exitViolated, "HELD " + dir + "held.jsonl\n"},
		{"an excuse", []string{lost, "--unclean"}, "", exitInconclusive, "no-lost-ack         not-applicable"},
		{"an excuse that is taken back", []string{dir + "held.jsonl", "--flush", "os", "--power-loss", "any"}, "", 0, "log.flush=os promises nothing"},
		{"an excuse that there is not", []string{lost, "--flush", "never"}, "", exitUsage, `flush "never": want ack or os`},
		{"a history that says half", []string{"-"}, "{\"history\":\"klamm\",\"version\":2}\n{\"type\":\"invoke\"}", exitUsage, "history line 2: no event has type"},
		{"a history whose writer was killed", []string{"-"}, string(text[:len(text)-30]), exitInconclusive, "skipped: line 12 is cut off"},
		{"no history", []string{"check_test.go"}, "", exitUsage, "check_test.go: history line 1: the header: invalid character"},
		{"nothing", []string{"-"}, "", exitUsage, "no header"},
		{"a file that is not there", []string{"no such file"}, "", exitUsage, "no such file or directory"},
		{"demands nobody knows", []string{"-"}, `{"history":"klamm","version":2,"demands":{"luck":true}}`, exitUsage, `unknown field "luck"`},
		{"a line without an end", []string{"-"}, `{"history":"` + strings.Repeat("x", 17<<20), exitUsage, "line 1: more than 16777216 bytes"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			var out bytes.Buffer
			code := execute(append([]string{"check"}, c.args...), streams{strings.NewReader(c.stdin), &out, &out})
			if code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("code %d, want %d, and %q in\n%s", code, c.code, c.want, &out)
			}
		})
	}
}

// What a history does not say of its sends, whoever checks it may.
func TestCheckIsToldWhatSendsWere(t *testing.T) {
	text, err := os.ReadFile("testdata/histories/no-duplicate.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	bare := strings.Replace(string(text), `"acks": "all", "delivery": "idempotent", `, "", 1)
	if bare == string(text) {
		t.Fatal("the header tells nothing")
	}
	for _, c := range []struct {
		args []string
		code int
	}{
		{nil, exitUsage},
		{[]string{"--acks", "all"}, exitUsage},
		{[]string{"--acks", "all", "--idempotent"}, exitViolated},
		{[]string{"--acks", "all", "--idempotent=false"}, 0}, // whose retries may be appended twice
		{[]string{"--acks", "2", "--idempotent"}, exitUsage},
	} {
		var out bytes.Buffer
		if code := execute(append([]string{"check", "-"}, c.args...), streams{strings.NewReader(bare), &out, &out}); code != c.code {
			t.Errorf("%v: code %d, want %d: %s", c.args, code, c.code, &out)
		}
	}
}

// A simulated run is judged the same from what it left behind.
func TestCheckAgreesWithTheRun(t *testing.T) {
	inTheSimulator(t)
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	for seed := 1; ; seed++ {
		o, err := scenarios.Run(scenarios.Spec{Scenario: "power-loss", Seed: uint64(seed), Set: []string{"log.flush=os"}}, scenarios.Watch{})
		if err != nil || seed > defaultSeeds {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if o.Verdict != scenarios.Violated || o.Violations[0].Guarantee != string(checker.NoLostAck) {
			continue
		}
		if err := writeFile(filepath.Join(dir, "history.jsonl"), o.WriteHistory); err != nil {
			t.Fatal(err)
		}
		if code := execute([]string{"check", filepath.Join(dir, "history.jsonl")}, streams{nil, &out, &out}); code != exitViolated ||
			!strings.Contains(out.String(), "no-lost-ack: "+o.Violations[0].Sentence) {
			t.Errorf("code %d, want %q in\n%s", code, o.Violations[0].Sentence, &out)
		}
		return
	}
}

// Whatever a file holds, check says one of the four things it may say.
func FuzzCheck(f *testing.F) {
	files, err := filepath.Glob("testdata/histories/*.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var out bytes.Buffer
		switch code := execute([]string{"check", "-"}, streams{bytes.NewReader(text), &out, &out}); code {
		case 0, exitViolated, exitUsage, exitInconclusive:
		default:
			t.Errorf("exit code %d: %s", code, &out)
		}
	})
}
