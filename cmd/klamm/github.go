package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
)

// GitHub shows ten annotations of a step, and refuses a step's summary of more than a MiB.
const (
	githubAnnotations = 10
	summaryBytes      = 1 << 20
	evidenceBytes     = 16 << 10 // of one failure in a summary
)

// tellGitHub prints failures as annotations, the worst first, and appends a summary to
// a file, if there is one.
func (c *campaign) tellGitHub(out io.Writer, summary string) error {
	room := githubAnnotations
	if trouble := c.trouble(); trouble != "" {
		annotate(out, "", "klamm: the campaign", trouble)
		room--
	}
	for i, f := range c.weighed() {
		if i == room-1 && len(c.failures) > room {
			annotate(out, "", "klamm: more failures", fmt.Sprintf("%d more runs failed", len(c.failures)-i))
			break
		}
		annotate(out, f.File, "klamm: "+f.name(), f.headline()+"\nreplay: "+f.replay())
	}
	if summary == "" {
		return nil
	}
	file, err := os.OpenFile(summary, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	_, err = file.WriteString(c.markdown(summaryBytes - int(min(info.Size(), summaryBytes))))
	return err
}

// weighed returns the failures, the worst first.
func (c *campaign) weighed() []finding {
	out := append([]finding(nil), c.failures...)
	sortByWeight(out)
	return out
}

// annotate prints an error that GitHub shows beside the change. What it is told is one
// line, in which some characters have a meaning.
func annotate(out io.Writer, file, title, message string) {
	properties := "title=" + annotationProperty.Replace(title)
	if file != "" && !filepath.IsAbs(file) {
		properties = "file=" + annotationProperty.Replace(filepath.ToSlash(filepath.Clean(file))) + "," + properties
	}
	fmt.Fprintf(out, "::error %s::%s\n", properties, annotationText.Replace(message))
}

var (
	annotationText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	annotationProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// markdown tells a campaign in at most so many bytes of Markdown. What there is no
// room for is counted.
func (c *campaign) markdown(most int) string {
	var b strings.Builder
	b.WriteString(c.markdownHead())
	failures := c.weighed()
	for i, f := range failures {
		part := markdownFailure(f)
		rest := fmt.Sprintf("\n… and %d more failures\n", len(failures)-i)
		if b.Len()+len(part)+len(rest) > most {
			b.WriteString(rest)
			break
		}
		b.WriteString(part)
	}
	if b.Len() > most {
		return "" // half a table is worse than none
	}
	return b.String()
}

// markdownHead tells in a table how each scenario went. Cases that held are many, and
// alike: they are one line.
func (c *campaign) markdownHead() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## klamm run: %d runs, %d failed\n\n", c.runs(), c.failed)
	if c.gate != nil {
		fmt.Fprintf(&b, "%s\n\nAgain: %s\n\n", markdownText(c.gate.opening()), markdownCode(c.gate.again()))
	}
	if trouble := c.trouble(); trouble != "" {
		fmt.Fprintf(&b, "**The campaign is not whole:** %s\n\n", markdownText(trouble))
	}
	b.WriteString("| Scenario | Runs | Verdict | Chains |\n| --- | ---: | --- | --- |\n")
	held := 0
	for _, name := range c.names {
		r := c.rows[name]
		if casefile.IsName(name) && r.Verdicts[string(scenarios.Held)] == r.Seeds && r.Seeds > 0 {
			held++
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", markdownText(name), r.Seeds, markdownText(c.verdictCell(r)), markdownText(r.Digest))
	}
	if held > 0 {
		fmt.Fprintf(&b, "| %d cases | %d | held | |\n", held, held)
	}
	return b.String()
}

func markdownFailure(f finding) string {
	return fmt.Sprintf("\n### %s\n\n%s\n%s", markdownText(f.name()+": "+verdictOf(f)),
		markdownBlock(bounded(evidenceOf(f), evidenceBytes)), markdownBlock(f.replay()))
}

// markdownText writes a text so that none of it is Markdown or HTML, in one line.
func markdownText(text string) string {
	var b strings.Builder
	for _, r := range strings.Join(strings.Fields(text), " ") {
		if strings.ContainsRune("\\`*_{}[]<>()#+-.!|~&@$:", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// markdownCode writes a line as code, between more backticks than it has in a row.
func markdownCode(text string) string {
	fence := fenceFor(text, 1)
	return fmt.Sprintf("%s %s %s", fence, text, fence)
}

// markdownBlock writes a text as a block of code, which nothing in it ends.
func markdownBlock(text string) string {
	fence := fenceFor(text, 3)
	return fmt.Sprintf("%s\n%s\n%s\n", fence, text, fence)
}

// fenceFor returns at least so many backticks, and more than a text has in a row.
func fenceFor(text string, least int) string {
	longest, row := 0, 0
	for _, r := range text {
		if row++; r != '`' {
			row = 0
		}
		longest = max(longest, row)
	}
	return strings.Repeat("`", max(least, longest+1))
}
