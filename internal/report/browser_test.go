package report

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A page works in a real browser: its script runs without complaint, and the diagrams
// show what the run has. KLAMM_BROWSER names the browser, such as chromium.
func TestAPageWorksInABrowser(t *testing.T) {
	browser := os.Getenv("KLAMM_BROWSER")
	if browser == "" {
		t.Skip("KLAMM_BROWSER names no browser")
	}
	for name, r := range map[string]*Run{"example": example(), "empty": {Scenario: "quiet", Verdict: "held", Broke: Never}, "hostile": hostileExample()} {
		dir := t.TempDir()
		file := filepath.Join(dir, "page.html")
		if err := os.WriteFile(file, []byte(pageOf(t, r)), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+dir, "--enable-logging=stderr",
			"--virtual-time-budget=5000", "--dump-dom", "file://"+file)
		var errs strings.Builder
		cmd.Stderr = &errs
		dom, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, errs.String())
		}
		if said := regexp.MustCompile(`(?m)^.*CONSOLE.*$`).FindAllString(errs.String(), -1); len(said) > 0 {
			t.Errorf("%s: the console says\n%s", name, strings.Join(said, "\n"))
		}
		for _, want := range []string{`<body class="live">`, ` messages</output>`} {
			if !strings.Contains(string(dom), want) {
				t.Errorf("%s: the page does not show %q", name, want)
			}
		}
		if name == "empty" {
			continue
		}
		for _, want := range []string{">3 of 4 messages</output>", "leader epoch ", "<svg viewBox", "</canvas><div class=\"picked\""} {
			if !strings.Contains(string(dom), want) {
				t.Errorf("%s: the page does not show %q", name, want)
			}
		}
	}
}

// hostileExample has markup wherever a run has text that the script shows.
func hostileExample() *Run {
	r := example()
	r.Lanes[1].Name, r.Partitions[0], r.Groups[0].Name = hostile, hostile, hostile
	r.Events[0].Text, r.Messages[0].Name, r.Messages[0].Text = hostile, hostile, hostile
	return r
}
