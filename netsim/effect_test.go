package netsim

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// wantEffect checks that a fault noticed what it did.
func (w *world) wantEffect(a *Applied) {
	w.t.Helper()
	if !a.TookEffect() {
		w.t.Errorf("%s took no effect", a.Fault)
	}
}

// transfer sends size bytes from a to b, starting at 10ms, while a fault is at
// work, and returns when the last of them was read.
func transfer(t *testing.T, fault string, size int) (w *world, a *Applied, arrived time.Duration) {
	t.Helper()
	w = newWorld(t, 1, plain(), "a", "b", "c")
	a = w.apply(fault)
	w.serve("b", func(c env.Conn) {
		got, err := readAll(c)
		w.must(err)
		if !bytes.Equal(got, pattern(size)) {
			t.Errorf("%s: %d bytes arrived, of %d, or others", fault, len(got), size)
		}
		arrived = w.now()
	})
	w.dial("a", "b", func(c env.Conn) {
		w.sleep(10*time.Millisecond - w.now())
		_, err := c.Write(pattern(size))
		w.must(err)
		w.must(c.CloseWrite())
	})
	w.run(time.Hour)
	return w, a, arrived
}

func TestFaultsDelayBytes(t *testing.T) {
	for _, test := range []struct {
		fault             string
		size              int
		earliest, ceiling time.Duration
	}{
		{"latency at=5ms base=1s share=0/1", 100, 1011 * time.Millisecond, 1012 * time.Millisecond},
		{"latency at=5ms from=a to=b base=1s share=0/1", 100, 1011 * time.Millisecond, 1012 * time.Millisecond},
		{"latency at=5ms share=1/1 tail=10s", 100, 20 * time.Millisecond, 10100 * time.Millisecond},
		{"bandwidth at=5ms rate=10000", 100_000, 10 * time.Second, 10100 * time.Millisecond},
		{"buffer at=5ms size=1000", 100_000, 100 * time.Millisecond, 300 * time.Millisecond},
		{"loss at=5ms share=1/2", 1_000_000, 210 * time.Millisecond, 20 * time.Second},
		{"loss at=5ms share=1/1", 100, 200 * time.Millisecond, 20 * time.Second},
		{"partial at=5ms share=1/1", 100_000, 11 * time.Millisecond, 12 * time.Millisecond},
		{"split at=5ms for=3s left=a right=b,c", 100, 3 * time.Second, 5100 * time.Millisecond},
		{"isolate at=5ms for=3s hosts=b", 100, 3 * time.Second, 5100 * time.Millisecond},
		{"one-way at=5ms for=3s from=a to=b,c", 100, 3 * time.Second, 5100 * time.Millisecond},
		{"bridge at=5ms for=3s left=a right=b via=c", 100, 3 * time.Second, 5100 * time.Millisecond},
		{"clog at=5ms for=3s from=a to=b", 100, 3 * time.Second, 5100 * time.Millisecond},
		{"swizzle-clog at=5ms for=3s order=a,b release=b,a", 100, 2250 * time.Millisecond, 5100 * time.Millisecond},
		{"accept-stall at=0s for=3s hosts=b", 100, 3 * time.Second, 3100 * time.Millisecond},
		{"slow-receiver at=5ms for=1h hosts=b rate=1000", 10_000, 9900 * time.Millisecond, 10100 * time.Millisecond},
	} {
		w, a, arrived := transfer(t, test.fault, test.size)
		if arrived < test.earliest || arrived > test.ceiling {
			t.Errorf("%s: bytes arrived at %s, want %s to %s", test.fault, arrived, test.earliest, test.ceiling)
		}
		w.wantEffect(a)
	}
}

func TestFaultsLeaveTheOthersAlone(t *testing.T) {
	for _, fault := range []string{
		"latency at=5ms from=b to=a base=1s share=0/1",
		"bandwidth at=5ms from=c rate=10",
		"loss at=5ms to=c share=1/1",
		"buffer at=5ms from=b size=1",
		"split at=5ms left=a,b right=c",
		"isolate at=5ms hosts=c",
		"bridge at=5ms left=b right=c via=a",
		"clog at=5ms from=a to=c",
		"swizzle-clog at=1ms for=10s order=c release=c",
		"reset at=9ms hosts=c share=1/1",
		"reset at=9ms hosts=a peers=c share=1/1",
		"half-open at=9ms gone=c share=1/1",
		"refuse hosts=a",
		"refuse at=5ms hosts=b",
		"accept-stall hosts=a",
		"slow-receiver hosts=a rate=1",
		"name-moved at=5ms hosts=c",
	} {
		w, a, arrived := transfer(t, fault, 100)
		if arrived != 11*time.Millisecond {
			t.Errorf("%s: bytes between others arrived at %s", fault, arrived)
		}
		if a.TookEffect() {
			t.Errorf("%s: took effect on nothing: %+v", fault, w.net.Effects())
		}
	}
}

func TestHealEndsFaultsAndKeepsOthersFromBeginning(t *testing.T) {
	for _, fault := range []string{
		"latency base=10s share=1/1 tail=10s",
		"bandwidth rate=10",
		"buffer size=1",
		"loss share=1/1",
		"split left=a right=b",
		"isolate hosts=a",
		"one-way from=a to=b",
		"one-way from=b to=a",
		"bridge left=a right=b via=c",
		"clog from=a to=b",
		"swizzle-clog for=100s order=a release=a",
		"accept-stall hosts=b",
		"slow-receiver hosts=b rate=10",
		"refuse at=2s hosts=b",
		"split at=2s left=a right=b",
	} {
		w := newWorld(t, 1, plain(), "a", "b", "c")
		w.apply(fault)
		w.k.At(kafka.Instant(time.Second), w.net.Heal)
		var arrived time.Duration
		w.serve("b", func(c env.Conn) {
			_, err := readFull(c, make([]byte, 2000))
			w.must(err)
			arrived = w.now()
		})
		w.dial("a", "b", func(c env.Conn) {
			_, err := c.Write(make([]byte, 1000))
			w.must(err)
			w.sleep(3*time.Second - w.now())
			_, err = c.Write(make([]byte, 1000))
			w.must(err)
		})
		w.run(time.Hour)
		if arrived == 0 || arrived > 5*time.Second {
			t.Errorf("%s: healed at 1s, bytes arrived at %s", fault, arrived)
		}
	}
}

func TestOneWayHoldsAcknowledgementsOfTheOtherWay(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	heard := 0
	w.serve("b", func(c env.Conn) {
		for {
			n, err := c.Read(make([]byte, 64<<10))
			heard += n
			if err != nil {
				w.wantErr(err, env.ErrReset)
				return
			}
		}
	})
	w.dial("a", "b", func(c env.Conn) {
		a := w.apply("one-way from=b to=a")
		c.SetWriteDeadline(w.k.Now().Add(10 * time.Second))
		n, err := c.Write(make([]byte, 1<<20))
		w.wantErr(err, env.ErrDeadline)
		if n != 256<<10 || heard != n {
			t.Errorf("%d bytes were written, %d heard, want a buffer full", n, heard)
		}
		w.wantEffect(a)
		c.SetWriteDeadline(kafka.Never)
		_, err = c.Write(make([]byte, 1))
		w.wantErr(err, env.ErrReset)
		if w.now() < 30*time.Second {
			t.Errorf("the writer gave up at %s", w.now())
		}
	})
	w.run(time.Hour)
}

func TestPartitionsDecideWhoReachesWhom(t *testing.T) {
	for _, test := range []struct {
		fault string
		at    time.Duration
		want  string // pairs that connect
	}{
		{"split left=a right=b,c", time.Second, "bc cb"},
		{"split left=a right=b", time.Second, "ac bc ca cb"},
		{"isolate hosts=c", time.Second, "ab ba"},
		{"isolate hosts=a,b", time.Second, ""},
		{"bridge left=a right=b via=c", time.Second, "ac bc ca cb"},
		{"one-way from=a to=b", time.Second, "ac bc ca cb"},
		{"clog from=c to=b", time.Second, "ab ac ba ca"},
		{"swizzle-clog for=60s order=a,b,c release=b,a,c", 5 * time.Second, "bc cb"},
		{"swizzle-clog for=60s order=a,b,c release=b,a,c", 15 * time.Second, ""},
		{"swizzle-clog for=60s order=a,b,c release=b,a,c", 45 * time.Second, "ab ba"},
		{"refuse hosts=a,b", time.Second, "ac bc"},
		{"name-moved hosts=a", time.Second, "ab ac bc cb"},
	} {
		w := newWorld(t, 1, plain(), "a", "b", "c")
		w.apply(test.fault)
		names := []string{"a", "b", "c"}
		for _, h := range names {
			w.serve(h, ignore)
		}
		reached := map[string]bool{}
		for _, from := range names {
			for _, to := range names {
				w.on(from, func(n env.Net) {
					w.sleep(test.at)
					c, err := n.Dial(to+":9092", w.k.Now().Add(time.Second))
					if err == nil {
						reached[from+to] = true
						c.Close()
					}
				})
			}
		}
		w.run(time.Hour)
		got := ""
		for _, from := range names {
			for _, to := range names {
				if from == to && !reached[from+to] && test.fault[:6] != "refuse" && test.fault[:4] != "name" {
					t.Errorf("%s: %s does not reach itself", test.fault, from)
				}
				if from != to && reached[from+to] {
					got += " " + from + to
				}
			}
		}
		if got != "" {
			got = got[1:]
		}
		if got != test.want {
			t.Errorf("%s: at %s got %q, want %q", test.fault, test.at, got, test.want)
		}
	}
}

func TestADialWaitsForThePartitionToEnd(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	a := w.apply("split for=5s left=a right=b")
	w.serve("b", ignore)
	w.dial("a", "b", func(env.Conn) {
		if w.now() < 5*time.Second || w.now() > 10*time.Second {
			t.Errorf("connected at %s", w.now())
		}
	})
	w.run(time.Hour)
	w.wantEffect(a)
}

func TestResetBreaksBothEndsAndLosesBytes(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	ended := 0
	w.serve("b", func(c env.Conn) {
		n, err := c.Read(make([]byte, 100))
		w.wantErr(err, env.ErrReset)
		if n != 0 {
			t.Errorf("%d bytes arrived", n)
		}
		ended++
	})
	w.dial("a", "b", func(c env.Conn) {
		w.nodes["a"].Go("read", func() {
			_, err := c.Read(make([]byte, 100))
			w.wantErr(err, env.ErrReset)
			ended++
		})
		_, err := c.Write([]byte("lost"))
		w.must(err)
		a := w.apply("reset hosts=a peers=b share=1/1")
		w.wantEffect(a)
		if a.Bytes != 4 {
			t.Errorf("%d bytes were lost, want 4", a.Bytes)
		}
		_, err = c.Write([]byte("x"))
		w.wantErr(err, env.ErrReset)
		ended++
	})
	w.run(time.Hour)
	if ended != 3 {
		t.Errorf("%d of 3 calls ended", ended)
	}
	if n := w.net.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestHalfOpen(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", func(c env.Conn) {
		_, err := c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrReset)
	})
	w.dial("a", "b", func(c env.Conn) {
		w.sleep(10 * time.Millisecond)
		w.wantEffect(w.apply("half-open gone=b peers=a share=1/1"))
		c.SetReadDeadline(w.k.Now().Add(time.Second))
		_, err := c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrDeadline)
		start := w.now()
		_, err = c.Write([]byte("x"))
		w.must(err)
		c.SetReadDeadline(kafka.Never)
		_, err = c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrReset)
		if took := w.now() - start; took < 30*time.Second || took > 2*time.Minute+time.Second {
			t.Errorf("the write failed after %s", took)
		}
	})
	w.run(time.Hour)
}

func TestAnIdleHalfOpenConnectionEndsByKeepAlive(t *testing.T) {
	for _, fault := range []string{"half-open gone=b share=1/1", "name-moved hosts=b", "split left=a right=b", "one-way from=a to=b"} {
		w := newWorld(t, 1, plain(), "a", "b")
		w.serve("b", ignore)
		w.dial("a", "b", func(c env.Conn) {
			w.sleep(10 * time.Millisecond)
			start := w.now()
			w.apply(fault)
			_, err := c.Read(make([]byte, 1))
			w.wantErr(err, env.ErrReset)
			if took := w.now() - start; took != 150*time.Second {
				t.Errorf("%s: the read ended after %s", fault, took)
			}
		})
		w.run(time.Hour)
	}
}

func TestAFaultWithoutTrafficIsKnownToHaveDoneNothing(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	for _, family := range Families() {
		if family == Bridge {
			continue
		}
		_, err := w.net.Apply(Draw(family, w.k.Rand("faults"), []string{"a", "b"}, Window{0, 1000}))
		w.must(err)
	}
	w.run(time.Hour)
	effects := w.net.Effects()
	if len(effects) != int(families)-1 {
		t.Errorf("%d families in %v", len(effects), effects)
	}
	for i, e := range effects {
		if e.Applied != 1 || e.Effective != 0 || e.Hits != 0 {
			t.Errorf("%+v", e)
		}
		if i > 0 && fmt.Sprint(effects[i-1].Family) >= fmt.Sprint(e.Family) {
			t.Errorf("%s comes before %s", effects[i-1].Family, e.Family)
		}
	}
}
