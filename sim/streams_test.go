package sim

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// drawing runs two tasks that draw from streams of their own every millisecond, for
// ten, and from one that nobody has used before in each. It returns a line for each
// draw, and the chain.
func drawing(stop Stop, c ...Continuation) ([]string, Chain, Ending) {
	k := New(Options{Seed: 3, Continuations: c, Stop: stop, HoldOneIn: 8, HoldMax: time.Millisecond})
	n := k.NewNode("n1")
	var out []string
	for i := range 2 {
		name := fmt.Sprint("t", i)
		draws := n.Random().Rand(name)
		n.Go(name, func() {
			for j := range 10 {
				k.Block("pause", time.Millisecond)
				late := n.Random().Rand(fmt.Sprint(name, j))
				out = append(out, fmt.Sprintf("%s %s %d %d", k.Now(), name, draws.Uint64(), late.Uint64()))
			}
		})
	}
	ending := k.Run(kafka.Never-1, func() bool { return false })
	return out, k.Chain(), ending
}

// before returns how many lines are of instants before t.
func before(lines []string, t kafka.Instant) (n int) {
	for _, l := range lines {
		at, _, _ := strings.Cut(l, " ")
		if d, err := time.ParseDuration(at); err == nil && kafka.Instant(d) < t {
			n++
		}
	}
	return n
}

func TestAContinuationIsTheRunUntilItBegins(t *testing.T) {
	plain, chain, _ := drawing(Stop{})
	for _, from := range []kafka.Instant{0, 1e6, 4e6 - 1, 4e6, 4e6 + 1, 9e6} {
		seen := map[Chain]uint64{chain: 0}
		for number := uint64(1); number < 4; number++ {
			c := Continuation{From: from, Number: number}
			lines, turned, _ := drawing(Stop{}, c)
			if again, twice, _ := drawing(Stop{}, c); strings.Join(again, "\n") != strings.Join(lines, "\n") || twice != turned {
				t.Fatalf("%s made two runs: %s and %s", c, turned, twice)
			}
			if other, dup := seen[turned]; dup {
				t.Errorf("%s: numbers %d and %d are one run", c, other, number)
			}
			seen[turned] = number
			n := before(plain, from)
			if strings.Join(lines[:n], "\n") != strings.Join(plain[:n], "\n") {
				t.Errorf("%s: another run before it:\n%s\nand without\n%s", c, strings.Join(lines, "\n"), strings.Join(plain, "\n"))
			}
			for _, l := range lines[n:] {
				for _, other := range plain {
					if drawn := strings.Fields(l); strings.Contains(other, drawn[2]) || strings.Contains(other, drawn[3]) {
						t.Errorf("%s: %q was drawn without it too: %q", c, l, other)
					}
				}
			}
		}
	}
}

// What begins when the run is over, or is number 0, is the run.
func TestAContinuationThatNeverBeginsLeavesTheRunAlone(t *testing.T) {
	_, want, _ := drawing(Stop{})
	for _, c := range []Continuation{{From: 1e12, Number: 7}, {From: 1e6, Number: 0}, {From: kafka.Never, Number: 1}} {
		if _, got, _ := drawing(Stop{}, c); got != want {
			t.Errorf("%s: chain %s, want %s", c, got, want)
		}
	}
}

// Continuations of one number that begin at different instants have nothing in common.
func TestContinuationsFromTwoInstantsDiffer(t *testing.T) {
	first, _, _ := drawing(Stop{}, Continuation{From: 2e6, Number: 1})
	second, _, _ := drawing(Stop{}, Continuation{From: 2e6 + 1, Number: 1})
	if first[len(first)-1] == second[len(second)-1] {
		t.Error("both drew the same in the end")
	}
}

// A run that turns twice is the one that turns once until it does so again, and another
// one from there on, also if both are of one instant.
func TestARunTurnsSeveralTimes(t *testing.T) {
	first := Continuation{From: 2e6, Number: 1}
	plain, once, _ := drawing(Stop{}, first)
	for _, from := range []kafka.Instant{2e6, 2e6 + 1, 6e6} {
		for _, number := range []uint64{1, 2} {
			second := Continuation{From: from, Number: number}
			lines, twice, _ := drawing(Stop{}, first, second)
			alone, other, _ := drawing(Stop{}, second)
			n := before(plain, from)
			if twice == once || twice == other || !slices.Equal(lines[:n], plain[:n]) {
				t.Errorf("%s and %s: chains %s, %s and %s", first, second, once, other, twice)
			}
			if last := lines[len(lines)-1]; last == plain[len(plain)-1] || last == alone[len(alone)-1] {
				t.Errorf("%s and %s end as one of them does: %s", first, second, last)
			}
			if _, again, _ := drawing(Stop{}, first, second); again != twice {
				t.Errorf("%s and %s made two runs", first, second)
			}
			if _, never, _ := drawing(Stop{}, first, Continuation{From: 1e12, Number: 7}, Continuation{From: 2e12, Number: 7}); never != once {
				t.Errorf("%s is another run with one that never begins", first)
			}
		}
	}
}

func TestAStopEndsARunAtAnInstantOrAnEvent(t *testing.T) {
	plain, whole, _ := drawing(Stop{})
	lines, chain, ending := drawing(Stop{At: 5e6})
	if n := before(plain, 5e6+1); ending != Stopped || len(lines) != n || strings.Join(lines, "\n") != strings.Join(plain[:n], "\n") {
		t.Errorf("%s after %d lines, want %d", ending, len(lines), n)
	}
	if chain.Events >= whole.Events {
		t.Errorf("%d events, %d without the stop", chain.Events, whole.Events)
	}
	for n := uint64(1); n <= whole.Events; n++ {
		_, chain, ending := drawing(Stop{Events: n})
		if ending != Stopped || chain.Events < n || chain.Events > n+3 {
			t.Errorf("asked for %d events: %s after %d", n, ending, chain.Events)
		}
	}
	if _, chain, ending := drawing(Stop{Events: whole.Events + 1}); ending != Idle || chain != whole {
		t.Errorf("%s, chain %s", ending, chain)
	}
}

// Every look at a clock is in a recording: two runs in which a node was shown another
// time part there.
func TestARecordingHasTheClocks(t *testing.T) {
	var text bytes.Buffer
	r := NewRecorder(&text)
	k := New(Options{Seed: 1, Recorder: r})
	n := k.NewNode("n1")
	n.Go("a", func() { n.Clock().Now(); n.Clock().Wall() })
	drive(t, k)
	r.Flush()
	for _, want := range []string{"clock n1 monotonic 0\n", fmt.Sprintf("clock n1 wall %d\n", WallStart)} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &text)
		}
	}
}

// A recording has a line for each event, and for what was seen, whatever texts they have.
func TestARecordingHasALineForEachEvent(t *testing.T) {
	var text bytes.Buffer
	r := NewRecorder(&text)
	k := New(Options{Seed: 1, Recorder: r, Sink: r.Seen})
	n := k.NewNode("n1")
	n.Go("a", func() { n.Log().Info("two\nlines"); n.Sight().Trace("seen", slog.String("err", "a\nb")) })
	drive(t, k)
	r.Flush()
	for _, line := range strings.Split(strings.TrimSpace(text.String()), "\n") {
		if words := strings.Fields(line); len(words) < 3 || words[0] != "seen" && !strings.Contains("12345", words[0]) {
			t.Errorf("%q", line)
		}
	}
	if want := "seen 0s n1 seen err=a b\n"; !strings.Contains(text.String(), want) {
		t.Errorf("%q is missing in\n%s", want, &text)
	}
}

func TestContinuationsAreReadAsTheyPrint(t *testing.T) {
	for _, want := range []Continuation{{From: 0, Number: 1}, {From: 12_345_678_901, Number: 7}, {From: 1, Number: 1<<64 - 1}} {
		if got, err := ParseContinuation(want.String()); err != nil || got != want {
			t.Errorf("%s was read as %s, %v", want, got, err)
		}
	}
	for _, text := range []string{"", "1s", "1s#", "1s#0", "#1", "1s#x", "-1s#1", "1s#1#1", "event#3"} {
		if c, err := ParseContinuation(text); err == nil {
			t.Errorf("%q was read as %s", text, c)
		}
	}
}
