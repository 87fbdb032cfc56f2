package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What the help shows can be pasted. Runs are made shorter, and those that read for
// ever end.
func TestExamplesWork(t *testing.T) {
	inTheSimulator(t)
	t.Parallel()
	p := throwAway(t)
	defer p.stop()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "klamm", "#!/bin/sh\nexec env KLAMM_TEST_RUN=1 "+self+` "$@"`+"\n")
	write(t, dir, "users.txt", "ann:1\nbob:2\n")
	write(t, dir, "logo.png", "\x89PNG\r\n\x1a\n")
	sh := func(line string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "KLAMM_BOOTSTRAP="+p.address())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := sh("klamm topic create orders users pictures copies -p 1 && klamm record orders --for 100ms > run.jsonl && seq 300 | klamm produce orders"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, cmd := range []*cobra.Command{newProduceCommand(), newConsumeCommand(), newRecordCommand(), newCheckCommand(), newGroupCommand()} {
		for _, line := range strings.Split(cmd.Example, "\n") {
			t.Run(line, func(t *testing.T) {
				if out, err := sh(shorter(line)); err != nil {
					t.Errorf("%s: %v: %s", shorter(line), err, out)
				}
			})
		}
	}
}

var (
	longTime  = regexp.MustCompile(`--for \d+s`)
	manyTimes = regexp.MustCompile(`--records \d+`)
	endless   = regexp.MustCompile(`klamm consume (\w+)`)
)

// shorter changes a command so that it ends soon.
func shorter(line string) string {
	line = manyTimes.ReplaceAllString(longTime.ReplaceAllString(line, "--for 100ms"), "--records 300")
	if !strings.Contains(line, " -e") && !strings.Contains(line, "--exit-at-end") && !strings.Contains(line, "--to") {
		line = endless.ReplaceAllString(line, "klamm consume $1 -e")
	}
	if !strings.Contains(line, "--for") && !strings.Contains(line, "--records") {
		line = strings.ReplaceAll(line, "klamm record", "klamm record --for 100ms")
	}
	return line
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// The program in docs/history.md writes a history that holds, if there is a Python
// with kafka-python to run it.
func TestTheWriterInTheDocsWorks(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import kafka").Run() != nil {
		t.Skip("no kafka-python here")
	}
	text, err := os.ReadFile("../../docs/history.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(text), "```python\n")
	program, _, ok := strings.Cut(program, "```")
	if !ok {
		t.Fatal("docs/history.md has no program in Python")
	}
	p := throwAway(t)
	defer p.stop()
	dir := t.TempDir()
	write(t, dir, "writer.py", program)
	run := exec.CommandContext(t.Context(), python, "writer.py", p.address(), "t", "run.jsonl")
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var out bytes.Buffer
	if code := execute([]string{"check", filepath.Join(dir, "run.jsonl")}, streams{nil, &out, &out}); code != 0 ||
		!strings.Contains(out.String(), "1000 sends: 1000 acknowledged") {
		t.Errorf("code %d: %s", code, &out)
	}
}
