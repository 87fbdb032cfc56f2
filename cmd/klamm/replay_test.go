package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
)

// saidBy runs a command in this process, which simulates, and returns what it printed.
func saidBy(t *testing.T, args ...string) (string, int) {
	t.Helper()
	inTheSimulator(t)
	var out, errs bytes.Buffer
	code := execute(args, streams{strings.NewReader(""), &out, &errs})
	return out.String() + errs.String(), code
}

func TestPlacesAreRead(t *testing.T) {
	for text, want := range map[string]struct {
		at    kafka.Instant
		event uint64
	}{"12.5s": {12_500_000_000, 0}, "1ns": {1, 0}, "event#1": {0, 1}, "event#20000": {0, 20000}} { //klamm:unordered each by itself
		if at, event, err := parsePlace(text); err != nil || at != want.at || event != want.event {
			t.Errorf("%q: %d, %d, %v", text, at, event, err)
		}
	}
	for _, text := range []string{"", "0s", "-1s", "12", "soon", "event", "event#", "event#0", "event#-1", "event#1.5", "event#99999999999999999999", "#3"} {
		if at, event, err := parsePlace(text); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %d, %d, %v", text, at, event, err)
		}
	}
}

func TestReplayRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--until", "-1s"}, {"--until", "event#0"}, {"--continue", "1s"}, {"--continue", "soon#1"}, {"--continue", "2s#1", "--continue", "1s#1"}, {"--trace", "broker=n1"},
		{"--trace", "node="}, {"--trace", "partition"}, {"--until", "1s", "--case", "x.yaml"}, {"--continue", "1s#1", "--case", "x.yaml"}, {"-o", "yaml"},
	} {
		if out, code := saidBy(t, append([]string{"replay", "quiet", "--seed", "1"}, args...)...); code != exitUsage || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: exit code %d: %s", args, code, out)
		}
	}
}

// A run that is stopped shows the cluster as it is there, in tables and as JSON.
func TestReplayShowsTheCluster(t *testing.T) {
	stopped := []string{"replay", "leader-crash", "--seed", "7", "--until", "event#15000", "--state"}
	text, code := saidBy(t, stopped...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, text)
	}
	for _, want := range []string{"event#150", "\nNODE ", "\nn2 ", "\nPARTITION ", "\norders-3 ", "under way: slow-node node=n1", "pending: p1 has"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	out, code := saidBy(t, append(stopped, "-o", "json")...)
	var r replayJSON
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	if s := r.State; s == nil || s.Events != r.Chain.Events || s.Events < 15000 || len(s.Nodes) != 3 || len(s.Partitions) != 4 || len(s.Faults) == 0 {
		t.Errorf("%+v", s)
	}
	leads := 0
	for _, p := range r.State.Partitions {
		for _, c := range p.Copies {
			if c.Node == p.Leader && c.Role == "leader" && c.HighWatermark <= c.LogEnd {
				leads++
			}
		}
	}
	if leads == 0 {
		t.Errorf("no replica leads: %+v", r.State.Partitions)
	}
}

// The trace of a partition has what nodes did with it, what clients did with it and what
// befell everybody, in the order of time, and nothing of another one.
func TestReplayTracesAPartition(t *testing.T) {
	out, code := saidBy(t, "replay", "leader-crash", "--seed", "6", "--until", "2s", "--trace", "partition=orders-0", "-o", "json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	var last int64
	seen := map[string]int{}
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		var e eventJSON
		if lines.Text() == "{" {
			break // the run's own object
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if p := e.Attrs["partition"]; p != "orders-0" && len(e.Attrs) > 0 {
			t.Errorf("an event of another one: %s", lines.Text())
		}
		if e.At < last {
			t.Errorf("not in the order of time: %s", lines.Text())
		}
		last = e.At
		switch {
		case e.Event == "role" || e.Event == "append":
			seen[e.Event]++
		case e.Attrs["client"] == "p2":
			seen["p2"]++
		case strings.HasPrefix(e.Event, "fault at "):
			seen["fault"]++
		}
	}
	if seen["role"] < 3 || seen["append"] < 3 || seen["p2"] < 3 || seen["fault"] < 4 {
		t.Errorf("%v", seen)
	}
}

func TestAFilterTakesWhatIsWanted(t *testing.T) {
	inTheSimulator(t)
	for _, c := range []struct {
		trace string
		want  []string // of what the text of some line begins with, behind its time
		not   string
	}{
		{"node=n2", []string{"n2         "}, "\n1s n3"},
		{"client=p1", []string{"p1         p1 sent", "n2         request conn=p1:"}, "client=p2"},
		{"all", []string{"n1         ", "n2         ", "p1         ", "p2         ", "           phase at 0.000s"}, "nothing"},
	} {
		out, code := saidBy(t, "replay", "leader-crash", "--seed", "6", "--until", "1.9s", "--trace", c.trace)
		for _, want := range c.want {
			if !strings.Contains(out, " "+want) {
				t.Errorf("%s: %q is missing", c.trace, want)
			}
		}
		if code != 0 || strings.Contains(out, c.not) {
			t.Errorf("%s: exit code %d, or %q is there", c.trace, code, c.not)
		}
	}
}

// A continuation is said to be one, and its replay command makes it again.
func TestReplayContinuesOtherwise(t *testing.T) {
	inTheSimulator(t)
	args := []string{"replay", "quiet", "--seed", "1", "--continue", "1s#3"}
	first, code := saidBy(t, args...)
	if code != exitNotReproduced || !strings.Contains(first, "continued otherwise from 1s on: number 3") {
		t.Errorf("exit code %d: %s", code, first)
	}
	again, _ := saidBy(t, args...)
	plain, _ := saidBy(t, "replay", "quiet", "--seed", "1")
	if chain := func(s string) string { line, _, _ := strings.Cut(s, "\n"); return line }; chain(first) != chain(again) || chain(first) == chain(plain) {
		t.Errorf("%s\n%s\n%s", chain(first), chain(again), chain(plain))
	}
}
