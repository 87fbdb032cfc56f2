//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The children of the tests are the test's own binary.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	os.Exit(m.Run())
}

// Every section runs to its end and fills its table. The figures of so short a
// run are worth nothing, and may well be 0.
func TestEverySectionReports(t *testing.T) {
	var out bytes.Buffer
	p := &plan{out: &out, dir: t.TempDir(), rounds: 1, window: 30 * time.Millisecond, warm: 10 * time.Millisecond,
		sizes: []int{1024}, batch: 16 << 10, cold: 8 << 20, crowd: 60, idle: 10}
	if err := p.run(""); err != nil {
		t.Fatal(err)
	}
	report := out.String()
	if got := strings.Count(report, "\n## "); got != len(sections)+1 {
		t.Errorf("%d tables of %d sections, want one more: of holds", got, len(sections))
	}
	if got := regexp.MustCompile(`\d \([0-9.e-]+–[0-9.e-]+\)`).FindAllString(report, -1); len(got) < 80 {
		t.Errorf("%d figures, want 80 and more", len(got))
	}
	if wrong := regexp.MustCompile(`NaN|Inf|%!`).FindString(report); wrong != "" {
		t.Errorf("the report says %s", wrong)
	}
	if t.Failed() {
		t.Log(report)
	}
}

// What the stick answers is what a client reads, to the byte.
func TestTheStickSpeaksTheProtocol(t *testing.T) {
	p := &plan{dir: t.TempDir()}
	s, err := p.start(roleStick)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	l := newLoad(4<<10, 100)
	records, err := fill(s.address, "t", 1, l, 10*len(l.batch))
	if err != nil || records != int64(10*l.records) {
		t.Fatalf("%d records: %v", records, err)
	}
	w, err := dial(s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	got, err := w.fetchAt("t", 0, int64(3*l.records))
	if err != nil || len(got) != 7*len(l.batch) {
		t.Fatalf("%d bytes: %v, want %d", len(got), err, 7*len(l.batch))
	}
	for i := range 7 {
		batch := got[i*len(l.batch):][:len(l.batch)]
		if base := int64(binary.BigEndian.Uint64(batch)); base != int64((3+i)*l.records) || !bytes.Equal(batch[8:], l.batch[8:]) {
			t.Errorf("batch %d: base offset %d, want %d, and the bytes that were sent", i, base, (3+i)*l.records)
		}
	}
}

// Latency counts from when a request was due.
func TestLatencyCountsFromWhenDue(t *testing.T) {
	o := newOpenLoop(1000, time.Second)
	if o.every != lanes*time.Millisecond || o.count != 1000/lanes {
		t.Fatalf("1000 requests a second on %d lanes: one every %v, %d of each", lanes, o.every, o.count)
	}
	o.first = []int64{7}
	if got := o.due(0, 3) - o.due(0, 0); got != int64(3*o.every) {
		t.Errorf("the fourth is due %d ns after the first", got)
	}
	var q percentiles
	q.add([]int64{5, 1, 4, 2, 3})
	if q.p50.median() != 3 || q.p999.median() != 5 {
		t.Errorf("of 1 to 5: p50 %v, p99.9 %v", q.p50, q.p999)
	}
}
