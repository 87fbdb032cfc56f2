package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/klammlog/klamm/scenarios"
)

// What GitHub's runner makes of an annotation is what was meant, whatever is in it, and
// it is one line.
func TestAnnotationsAreReadBack(t *testing.T) {
	unescape := strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",")
	form := regexp.MustCompile(`^::error (?:file=([^,:]*),)?title=([^,:]*)::([^\r\n]*)\n$`)
	for _, c := range []struct{ file, title, message string }{
		{"", "klamm: quiet seed 1", "VIOLATED: a, b: c\nreplay: klamm replay quiet --seed 1"},
		{"cases/a,b:c.yaml", "100%: all, and %0A", "::set-env::x=y\r\n::error::another%3A"},
		{"", "", ""},
	} {
		var b bytes.Buffer
		annotate(&b, c.file, c.title, c.message)
		m := form.FindStringSubmatch(b.String())
		if m == nil || unescape.Replace(m[1]) != c.file || unescape.Replace(m[2]) != c.title || unescape.Replace(m[3]) != c.message {
			t.Errorf("%q is written as %q, and read as %q", c, &b, m)
		}
	}
}

// The worst failures are told, no more than GitHub shows, with the file of a case; a
// path elsewhere is none that GitHub could show.
func TestAnnotationsAreFewAndOfTheWorst(t *testing.T) {
	runs := []string{"quiet 99 inconclusive"}
	for seed := range 20 {
		runs = append(runs, fmt.Sprintf("quiet %d stuck", seed))
	}
	c := campaignOf(t, append(runs, "power-loss 1 violated")...)
	c.failures[len(c.failures)-1].File = "ci/../cases/one.yaml"
	c.rows["ci/../cases/one.yaml"] = c.rows["power-loss"]
	c.ended = errInterrupted
	var b bytes.Buffer
	if err := c.tellGitHub(&b, ""); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != githubAnnotations || lines[0] != "::error title=klamm%3A the campaign::interrupted" ||
		!strings.HasPrefix(lines[1], "::error file=cases/one.yaml,title=klamm%3A ci/../cases/one.yaml seed 1::VIOLATED ") ||
		lines[9] != "::error title=klamm%3A more failures::14 more runs failed" {
		t.Errorf("%s", &b)
	}
	b.Reset()
	annotate(&b, "/tmp/one.yaml", "x", "y")
	if b.String() != "::error title=x::y\n" {
		t.Errorf("%s", &b)
	}
}

// Nothing that a run says becomes Markdown or HTML.
func TestSummaryIsText(t *testing.T) {
	for text, want := range map[string]string{
		"no-lost-ack":                   `no\-lost\-ack`,
		"a | b\n\n# c":                  `a \| b \# c`,
		"<img src=x> `[a](b)` @all &lt": "\\<img src=x\\> \\`\\[a\\]\\(b\\)\\` \\@all \\&lt",
	} {
		if got := markdownText(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := markdownBlock("a\n```\n````\nb"); got != "`````\na\n```\n````\nb\n`````\n" {
		t.Errorf("%q", got)
	}
	if got := markdownCode("a `` b"); got != "``` a `` b ```" {
		t.Errorf("%q", got)
	}
	c := campaignOf(t, "quiet 1 violated", "power-loss 1 held")
	c.failures[0].Result.Violations[0].Sentence = "```\n<script>"
	text := c.markdown(summaryBytes)
	for _, want := range []string{
		"## klamm run: 2 runs, 1 failed\n", "| power\\-loss | 1 | held, identical 1 |", "| quiet | 1 | violated 1, identical 1 |",
		"\n````\nVIOLATED quiet seed 1: no-lost-ack: ```\n<script>\n", "\n```\nklamm replay quiet --seed 1 --set log.flush=os\n```\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// GitHub shows nothing at all of a summary that is too long, so none is; and what an
// earlier command of the step has written stays, and counts.
func TestSummaryIsBounded(t *testing.T) {
	c := newCampaign([]string{"quiet"}, runFlags{})
	for range 200 {
		f := parseFinding(t, "quiet 1 violated", 1)
		f.Result.Violations = []scenarios.Violation{{Guarantee: "no-lost-ack", Sentence: strings.Repeat("é", 20_000)}}
		c.take(f)
	}
	file := filepath.Join(t.TempDir(), "summary.md")
	put(t, file, "# before\n")
	for range 2 {
		if err := c.tellGitHub(&bytes.Buffer{}, file); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > summaryBytes || len(text) < summaryBytes/2 || !strings.HasPrefix(string(text), "# before\n## klamm run") ||
		!regexp.MustCompile(`\n… and \d+ more failures\n`).Match(text) {
		t.Errorf("%d bytes, want more than half of %d: %.100q … %q", len(text), summaryBytes, text, text[len(text)-100:])
	}
	if got := c.markdown(50); got != "" {
		t.Errorf("where nothing has room: %q", got)
	}
}
