package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The planted klamm complains of every third seed, and its hunt of the second run.
const plantedKlamm = `#!/bin/sh
first=${4%+*}
case $1 in
run) echo '{"scenarios": [{"seeds": 3}], "failures": [{"verdict": "violated", "replay": "klamm replay crash --seed '$((first + 2))'",
	"result": {"violations": [{"guarantee": "no-lost-ack"}]}}]}' ;;
hunt) echo '{"found": true, "runs": 2, "verdict": "stuck", "exit_code": 3}' ;;
esac
exit 1
`

// The sound one complains of seed 3 too.
const soundKlamm = `#!/bin/sh
case "$*" in
*" 3+1 "*) echo '{"scenarios": [{"seeds": 1}], "failures": [{"verdict": "violated"}]}' ;;
*) echo '{"scenarios": [{"seeds": 1}]}' ;;
esac
`

func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "klamm")
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// A campaign goes on behind what the sound code does too, and counts those runs.
func TestACampaignCountsRunsUntilAComplaintThatTheSoundCodeDoesNotEarn(t *testing.T) {
	c := &comparison{hunter: hunter{dir: t.TempDir(), sound: script(t, soundKlamm), jobs: 1, scenarios: []string{"crash"}}}
	binary := script(t, plantedKlamm)
	for _, want := range []outcome{
		{Search: plainSearch, First: 1, Runs: 6, Unsound: 1, Guarantee: "no-lost-ack"},
		{Search: plainSearch, Campaign: 2, First: 201, Runs: 3, Guarantee: "no-lost-ack"},
		{Search: guidedSearch, Campaign: 1, First: 101, Runs: 2, Guarantee: "stuck"},
	} {
		got := outcome{Scenario: "crash", Search: want.Search, Campaign: want.Campaign, Limit: 100}
		if err := c.make(binary, mutant{Name: "m"}, &got); err != nil {
			t.Fatal(err)
		}
		if !got.Found || got.First != want.First || got.Runs != want.Runs || got.Unsound != want.Unsound || got.Guarantee != want.Guarantee {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// What was noted stays noted; a line that was cut short is no campaign.
func TestNotesOutliveACut(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notes")
	one := outcome{Mutant: "m", Scenario: "crash", Search: plainSearch, Limit: 100, Runs: 7, Found: true, Commit: "abc"}
	n, err := openNotes(name)
	if err != nil {
		t.Fatal(err)
	}
	if n.has(one) {
		t.Error("a campaign that nobody made")
	}
	if err := n.add(one); err != nil {
		t.Fatal(err)
	}
	if _, err := n.file.WriteString(`{"mutant": "m", "campaign": 1, "search"`); err != nil {
		t.Fatal(err)
	}
	n.close()
	if n, err = openNotes(name); err != nil {
		t.Fatal(err)
	}
	defer n.close()
	other := one
	other.Commit = "abd"
	if len(n.all) != 1 || !n.has(one) || n.has(other) {
		t.Errorf("%+v", n.all)
	}
	one.Campaign = 1
	if err := n.add(one); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil || strings.Count(string(text), "\n") != 2 || strings.Contains(string(text), `"search"`+"\n") {
		t.Errorf("%q, %v", text, err)
	}
}

// The table has medians and quartiles; a campaign that found nothing counts as its limit.
func TestTheTableComparesMedians(t *testing.T) {
	n := &notes{}
	for i, runs := range []int{4, 8, 12, 20} {
		o := outcome{Mutant: "m", Scenario: "crash", Campaign: i, Limit: 100, Commit: "abc", Seconds: 1, Found: true}
		o.Search, o.Runs = plainSearch, runs
		n.all = append(n.all, o)
		o.Commit = "abd"
		o.Search, o.Runs, o.Found = guidedSearch, runs/2, i < 3
		n.all = append(n.all, o)
		o.Commit = "before" // of other code
		n.all = append(n.all, o)
	}
	want := "| `m` | crash | 10 (6 to 16) | 4 of 4 | 5 (3 to 53) | 3 of 4 | 0.50 | 4, 4 |\n"
	if got := n.table(map[string]string{plainSearch: "abc", guidedSearch: "abd"}); !strings.HasSuffix(got, want) || strings.Count(got, "\n") != 3 {
		t.Errorf("%s\nwant %s", got, want)
	}
}
