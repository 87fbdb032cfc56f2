package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// Progress is for a terminal, in one line that goes away; whoever else reads
// standard error sees nothing of it.
func TestMeterShowsProgressOnTerminalsOnly(t *testing.T) {
	var out bytes.Buffer
	m := newMeter(&out, &out)
	m.shown = time.Now().Add(-time.Hour)
	m.add(10, 1000, "sent")
	m.clear()
	if out.Len() > 0 {
		t.Errorf("told a buffer %q", &out)
	}
	m.live, m.shown = true, time.Now().Add(-10*time.Second)
	m.add(90, 9000, "sent")
	m.add(900, 90000, "sent") // too soon
	if got := out.String(); !strings.HasPrefix(got, "\r100 records sent · 10/s") || strings.Count(got, "\r") != 1 {
		t.Errorf("told a terminal %q", got)
	}
	m.clear()
	if !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Errorf("left %q", &out)
	}
	if got := m.rates(); !strings.HasPrefix(got, "0.1 MB in ") || !strings.HasSuffix(got, "MB/s") {
		t.Errorf("altogether %q", got)
	}
}

func TestTerminalsAreTold(t *testing.T) {
	pipe, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if isTerminal(pipe) || isTerminal(&bytes.Buffer{}) {
		t.Error("neither a pipe nor a buffer is a terminal")
	}
}
