package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/casefile"
)

// A quest whose time is up tells what it knows: shrink has the run as it was, why knows
// nothing, and neither claims more.
func TestAQuestEndsWithItsTime(t *testing.T) {
	inTheSimulator(t)
	workersAreThisTest(t)
	name := lossAt1s(t)
	const up = "not complete: the time that --for gives is up"
	out, code := exitOfCommand(t, "why", name, "--for", "1ns", "--jobs", "1")
	if code != 0 || !strings.Contains(out, "nothing is known: ") || !strings.Contains(out, up) || strings.Contains(out, "likely") {
		t.Errorf("exit code %d: %s", code, out)
	}
	small := filepath.Join(t.TempDir(), "small.yaml")
	out, code = exitOfCommand(t, "shrink", name, "--for", "1ns", "--jobs", "1", "--case", small)
	if c, err := casefile.Read(small); code != 0 || err != nil || c.Shrunk == nil || c.Shrunk.Complete || !strings.Contains(out, up) {
		t.Errorf("exit code %d, %+v, %v: %s", code, c, err, out)
	}
}

// When nobody hears how far it is any more, as behind a pipe to head, shrink ends, and
// keeps what it has found.
func TestShrinkOutlivesItsAudience(t *testing.T) {
	inTheSimulator(t)
	name, small := lossAt1s(t), filepath.Join(t.TempDir(), "small.yaml")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd := klamm(t, "shrink", name, "--jobs", "1", "--case", small)
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Run()
	w.Close()
	if c, broken := casefile.Read(small); cmd.ProcessState.ExitCode() != exitInterrupted || broken != nil || c.Shrunk == nil || c.Shrunk.Complete {
		t.Errorf("%v; %+v, %v", err, c, broken)
	}
}

type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestAnAudienceMayGo(t *testing.T) {
	gone := false
	a := audience{deaf{}, func() { gone = true }}
	if n, err := a.Write([]byte("how far it is")); n != 13 || err != nil || !gone {
		t.Errorf("%d, %v, gone: %v", n, err, gone)
	}
	for err, early := range map[error]bool{errInterrupted: true, errRunsUsedUp: true, errTimeUp: true, os.ErrClosed: false, nil: false} {
		if endedEarly(errors.Join(err)) != early {
			t.Errorf("%v: ended early: %v", err, !early)
		}
	}
}
