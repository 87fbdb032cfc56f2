package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/scenarios"
)

// What is told of one scenario or case is bounded, and so is how many of its failures
// are: one bug may fail a thousand runs.
const (
	junitFailures = 20
	junitBytes    = 64 << 10
)

// A junitSuites is the root of JUnit's XML. There is one testcase for each scenario and
// case file, and one more for what concerns them all.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"` // seconds
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitTrouble `xml:"failure"` // a promise was broken, or something never finished
	Error   *junitTrouble `xml:"error"`   // it could not be judged
	Skipped *junitTrouble `xml:"skipped"` // it was not run
}

type junitTrouble struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"` // the verdict
	Text    string `xml:",chardata"`
}

// writeJUnit writes what came of a campaign to a file.
func (c *campaign) writeJUnit(name string) error {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suites: []junitSuite{c.junit()}}); err != nil {
		return err
	}
	b.WriteByte('\n')
	return os.WriteFile(name, b.Bytes(), 0o644)
}

func (c *campaign) junit() junitSuite {
	s := junitSuite{Name: "klamm run", Time: seconds(time.Since(c.begun)), Timestamp: c.begun.UTC().Format("2006-01-02T15:04:05")}
	s.Properties = append(s.Properties, junitProperty{"klamm", buildVersion().line()})
	if c.gate != nil {
		s.Properties = append(s.Properties, junitProperty{"gate", c.gate.opening()}, junitProperty{"again", c.gate.again()})
	}
	for _, name := range c.names {
		s.add(c.junitCase(name))
	}
	if trouble := c.trouble(); trouble != "" {
		s.add(junitCase{Class: "klamm", Name: "the campaign", Time: seconds(0), Error: &junitTrouble{Message: trouble, Type: "missed"}})
	}
	return s
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// trouble says why a campaign is not what it was to be, whatever its runs came to; "" if
// it is.
func (c *campaign) trouble() string {
	switch missed := c.missed(); {
	case c.ended != nil:
		return c.ended.Error()
	case len(missed) > 0:
		return "no run reached " + strings.Join(missed, ", ")
	}
	return c.gateMissed()
}

func (c *campaign) junitCase(name string) junitCase {
	r := c.rows[name]
	out := junitCase{Class: "klamm", Name: name, Time: seconds(r.Took)}
	failures := c.failuresOf(name)
	switch {
	case len(failures) > 0:
		trouble := &junitTrouble{Message: failures[0].headline(), Type: verdictOf(failures[0]), Text: textOf(failures)}
		if isFailure(trouble.Type) {
			out.Failure = trouble
		} else {
			out.Error = trouble
		}
	case r.Seeds == 0:
		out.Skipped = &junitTrouble{Message: "not run"}
	}
	return out
}

// isFailure reports whether a verdict is about the system that was run, rather than about
// the run: one that tested nothing and one that was not the same again judge nothing.
func isFailure(verdict string) bool {
	return slices.Contains([]string{string(scenarios.Violated), string(scenarios.Crashed), string(scenarios.Stuck)}, verdict)
}

// failuresOf returns the failures of a scenario or case, the worst first.
func (c *campaign) failuresOf(name string) (of []finding) {
	for _, f := range c.failures {
		if f.row() == name {
			of = append(of, f)
		}
	}
	sortByWeight(of)
	return of
}

// sortByWeight puts first what decides an exit code, and leaves the rest in order.
func sortByWeight(failures []finding) {
	rank := func(f finding) int {
		for i, e := range exitOf {
			if e.verdict == verdictOf(f) {
				return i
			}
		}
		return len(exitOf)
	}
	slices.SortStableFunc(failures, func(a, b finding) int { return cmp.Compare(rank(a), rank(b)) })
}

// textOf tells failures with their evidence and how to make them again, the first ones.
func textOf(failures []finding) string {
	var b strings.Builder
	for i, f := range failures {
		if i == junitFailures || b.Len() > junitBytes {
			fmt.Fprintf(&b, "… and %d more failures\n", len(failures)-i)
			break
		}
		fmt.Fprintf(&b, "\n%s\nreplay: %s\n", bounded(evidenceOf(f), junitBytes/2), f.replay())
	}
	return b.String()
}

// evidenceOf tells one failure as klamm run does, but for what takes runs to find out.
func evidenceOf(f finding) string {
	var b strings.Builder
	if f.Result.Verdict != "" && f.Result.Verdict != scenarios.Held {
		printResult(&b, f.Result, 1)
	}
	if f.diverged() != nil {
		fmt.Fprintln(&b, f.headline())
	}
	if trouble := f.trouble(); trouble != "" {
		fmt.Fprintf(&b, "INTERNAL %s: %s\n", f.name(), trouble)
	}
	return strings.TrimRight(b.String(), "\n")
}

// bounded cuts a text to so many bytes, and says so.
func bounded(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
