package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/klammlog/klamm/scenarios"
)

// campaignOf is a campaign of these runs, as parseFinding reads them.
func campaignOf(t *testing.T, runs ...string) *campaign {
	t.Helper()
	c := newCampaign([]string{"quiet", "power-loss"}, runFlags{output: "text", repeat: 2})
	for _, run := range runs {
		f := parseFinding(t, run, 2)
		f.Took = 1500 * time.Millisecond
		c.take(f)
	}
	c.conclude()
	return c
}

// What is broken fails, what could not be judged is an error, and nothing that was not
// run looks like success.
func TestJUnitSaysWhatCameOfEachScenario(t *testing.T) {
	for _, c := range []struct {
		runs                    string
		failure, error, skipped string // the verdict that is told, of quiet; power-loss holds
	}{
		{"quiet 1 held", "", "", ""},
		{"quiet 1 violated", "violated", "", ""},
		{"quiet 1 crashed", "crashed", "", ""},
		{"quiet 1 stuck", "stuck", "", ""},
		{"quiet 1 inconclusive", "", "inconclusive", ""},
		{"quiet 1 diverged", "", "not-deterministic", ""},
		{"quiet 1 died", "", "internal-error", ""},
		{"quiet 1 inconclusive,quiet 2 held,quiet 3 stuck,quiet 4 violated", "violated", "", ""},
		{"quiet 1 stuck,quiet 2 diverged", "", "not-deterministic", ""},
		{"", "", "", "not run"},
	} {
		runs := []string{"power-loss 1 held"}
		if c.runs != "" {
			runs = append(runs, strings.Split(c.runs, ",")...)
		}
		camp := campaignOf(t, runs...)
		file := filepath.Join(t.TempDir(), "klamm.xml")
		if err := camp.writeJUnit(file); err != nil {
			t.Fatal(err)
		}
		var read junitSuites
		readXML(t, file, &read)
		s := read.Suites[0]
		count := func(word string) int { return len(strings.Fields(strings.ReplaceAll(word, " ", ""))) }
		if s.Tests != 2 || s.Failures != count(c.failure) || s.Errors != count(c.error) || s.Skipped != count(c.skipped) {
			t.Errorf("%s: %d tests, %d failures, %d errors, %d skipped", c.runs, s.Tests, s.Failures, s.Errors, s.Skipped)
		}
		got := s.Cases[0]
		for what, trouble := range map[string]*junitTrouble{c.failure: got.Failure, c.error: got.Error} {
			if what != "" && (trouble == nil || trouble.Type != what || !strings.Contains(trouble.Text, "\nreplay: klamm replay quiet --seed ")) {
				t.Errorf("%s: %+v, want %s with how to make it again", c.runs, trouble, what)
			}
		}
		if other := s.Cases[1]; other.Name != "power-loss" || other.Time != "1.500" || other.Failure != nil || other.Error != nil || other.Skipped != nil {
			t.Errorf("%+v", other)
		}
	}
}

// A campaign that something ended has a test of its own that fails.
func TestJUnitTellsOfACampaignThatEndedEarly(t *testing.T) {
	c := campaignOf(t, "quiet 1 held", "power-loss 1 held")
	c.ended = errors.New("start a worker process: no more processes")
	s := c.junit()
	if last := s.Cases[len(s.Cases)-1]; s.Errors != 1 || s.Tests != 3 || last.Error.Message != c.ended.Error() {
		t.Errorf("%+v", s)
	}
}

// Whatever a sentence holds, it is XML, and what XML can hold is read back as it was.
func TestJUnitOfAnySentence(t *testing.T) {
	for sentence, want := range map[string]string{
		"</failure>]]><x y='z'>&amp; \"quoted\"\n\ttabbed": "</failure>]]><x y='z'>&amp; \"quoted\"\n\ttabbed",
		"a key of bytes \x00\x1b[31m\xff\ufffe é …":        "a key of bytes \ufffd\ufffd[31m\ufffd\ufffd é …",
	} {
		c := campaignOf(t, "quiet 1 violated", "power-loss 1 held")
		c.failures[0].Result.Violations = []scenarios.Violation{{Guarantee: "no-lost-ack", Sentence: sentence}}
		file := filepath.Join(t.TempDir(), "klamm.xml")
		if err := c.writeJUnit(file); err != nil {
			t.Fatal(err)
		}
		var read junitSuites
		readXML(t, file, &read)
		got := read.Suites[0].Cases[0].Failure
		if d := cmp.Diff("VIOLATED quiet seed 1: no-lost-ack: "+want, got.Message); d != "" {
			t.Error(d)
		}
		if !strings.Contains(got.Text, want) {
			t.Errorf("%q is not in %q", want, got.Text)
		}
	}
}

// A bug that fails every run does not fill a disk.
func TestJUnitIsBounded(t *testing.T) {
	c := newCampaign([]string{"quiet"}, runFlags{})
	for range 1000 {
		f := parseFinding(t, "quiet 1 violated", 1)
		f.Result.Violations[0].Events = []string{strings.Repeat("é", junitBytes)}
		c.take(f)
	}
	text := c.junit().Cases[0].Failure.Text
	if len(text) > 2*junitBytes || !strings.HasSuffix(text, "more failures\n") || strings.Contains(text, "\ufffd") {
		t.Errorf("%d bytes, ending in %q", len(text), text[len(text)-50:])
	}
}
