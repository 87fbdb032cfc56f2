package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html page.css script/*.js
var files embed.FS

// scripts are the parts of the page's script, in their order.
var scripts = []string{"data", "view", "spacetime", "operations", "replicas", "groups", "log", "page"}

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"kinds": func(k OptionKind) string { return [...]string{"set by hand", "drawn", "default"}[k] },
	"span":  func(s Size) string { return s.Virtual.String() },
}).ParseFS(files, "page.html"))

// Write writes the page of a run.
func Write(out io.Writer, r *Run) error {
	b, err := render(r)
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	return err
}

// render makes the page, with less and less of the data until it fits.
func render(r *Run) ([]byte, error) {
	story := Story(r)
	for share := 1.0; share > 0.01; share /= 2 {
		b, err := fill(r, story, share)
		if err != nil || len(b) <= MaxBytes {
			return b, err
		}
	}
	return nil, fmt.Errorf("the page of %s seed %d has more than %d bytes without any data", r.Scenario, r.Seed, MaxBytes)
}

// contents are what the template shows.
type contents struct {
	*Run
	Title, Class, Lead string
	First              Violation
	More               []Violation
	MoreLeft           int // further violations that are not shown
	Story              []Moment
	FaultsShown        []Fault
	FaultsLeft         int
	Left               []string
	Style              template.CSS
	Data               template.JS
	Script             template.JS
}

// What a page shows at most without its script.
const (
	mostViolations = 20
	mostFaults     = 400
	mostEvidence   = 30
)

func fill(r *Run, story []Moment, share float64) ([]byte, error) {
	text, left, err := encode(r, story, share)
	if err != nil {
		return nil, err
	}
	style, script, err := sources()
	if err != nil {
		return nil, err
	}
	shown := *r
	c := contents{
		Run: &shown, Title: fmt.Sprintf("%s seed %d: %s", r.Scenario, r.Seed, r.Verdict), Story: story, Left: append(left, r.Missing...),
		Style: template.CSS(style), Data: template.JS(text), Script: template.JS(script),
	}
	c.Class, c.Lead = plain(r)
	if len(r.Violations) > 0 {
		c.First, c.More = cut(r.Violations[0]), r.Violations[1:]
	}
	if n := len(c.More) - mostViolations; n > 0 {
		c.More, c.MoreLeft = c.More[:mostViolations], n
	}
	c.FaultsShown = r.Faults
	if n := len(r.Faults) - mostFaults; n > 0 {
		c.FaultsShown, c.FaultsLeft = r.Faults[:mostFaults], n
	}
	var b bytes.Buffer
	if err := page.Execute(&b, &c); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// cut bounds what is shown of a violation.
func cut(v Violation) Violation {
	v.Evidence = v.Evidence[:min(len(v.Evidence), mostEvidence)]
	return v
}

// plain says what a verdict means, to somebody who hears of it for the first time.
func plain(r *Run) (class, sentence string) {
	switch r.Verdict {
	case "violated":
		return "safety", "A safety guarantee was broken: something happened that must never happen, whatever fails."
	case "stuck":
		return "liveness", "The faults had ended, and something never finished: the system did not recover by itself."
	case "crashed":
		return "crash", "A node's code panicked: an assertion failed, or worse."
	case "inconclusive":
		return "inconclusive", "The run shows nothing: what was to be tested did not happen, or could not be judged."
	case "held":
		return "held", "Every guarantee held in this run."
	}
	return "none", "The run was not judged."
}

// sources reads style and script.
func sources() (style, script string, err error) {
	b, err := files.ReadFile("page.css")
	if err != nil {
		return "", "", err
	}
	var s strings.Builder
	s.WriteString("(() => {\n'use strict';\n")
	for _, name := range scripts {
		part, err := files.ReadFile("script/" + name + ".js")
		if err != nil {
			return "", "", err
		}
		s.Write(part)
	}
	s.WriteString("})();\n")
	return string(b), s.String(), nil
}
