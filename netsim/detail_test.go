package netsim

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

func TestPoolReusesBuffersThatAreLargeEnough(t *testing.T) {
	var p pool
	for _, n := range []int{1, 256, 257, 1000, 1024, 5000, maxSegment} {
		b := p.get(n)
		if cap(b) < n || len(b) != 0 {
			t.Fatalf("for %d bytes got %d of %d", n, len(b), cap(b))
		}
		p.put(b[:n])
		if again := p.get(n); &again[:1][0] != &b[:1][0] {
			t.Errorf("a buffer for %d bytes was not used again", n)
		}
	}
}

func TestHeldBytesResumeWhenTheSendersTimerFires(t *testing.T) {
	late := map[time.Duration]bool{}
	for seed := range uint64(10) {
		w := newWorld(t, seed, plain(), "a", "b")
		w.serve("b", func(c env.Conn) {
			_, err := readFull(c, make([]byte, 10))
			w.must(err)
			after := w.now() - 3*time.Second
			if after < 0 || after > 2*time.Second+time.Millisecond {
				t.Errorf("seed %d: held bytes arrived %s after the end of the partition", seed, after)
			}
			late[after] = true
		})
		w.dial("a", "b", func(c env.Conn) {
			w.apply("split at=10ms for=2.99s left=a right=b")
			w.sleep(time.Second)
			_, err := c.Write(make([]byte, 10))
			w.must(err)
		})
		w.run(time.Hour)
	}
	if len(late) < 8 {
		t.Errorf("10 seeds drew the times %v", late)
	}
}

func TestAFaultThatKeepsHeldBytesHeldTookEffect(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	var second *Applied
	w.dial("a", "b", func(c env.Conn) {
		w.apply("split for=2s left=a right=b")
		_, err := c.Write(make([]byte, 10))
		w.must(err)
		w.sleep(time.Second)
		second = w.apply("isolate for=2s hosts=a")
	})
	w.run(time.Hour)
	w.wantEffect(second)
}

func TestADialWaitsForANameThatMoved(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	a := w.apply("name-moved for=2s hosts=b")
	w.serve("b", ignore)
	w.dial("a", "b", func(env.Conn) {
		if w.now() < 2*time.Second || w.now() > 5*time.Second {
			t.Errorf("connected at %s", w.now())
		}
	})
	w.run(time.Hour)
	w.wantEffect(a)
}

func TestAResetMayOrMayNotSpareWhatWasReceived(t *testing.T) {
	spared := 0
	for seed := range uint64(20) {
		w := newWorld(t, seed, plain(), "a", "b")
		w.serve("b", func(c env.Conn) {
			_, err := c.Write(make([]byte, 10))
			w.must(err)
			w.sleep(time.Second)
			w.must(c.Close()) // with unread bytes
		})
		w.dial("a", "b", func(c env.Conn) {
			_, err := c.Write(make([]byte, 10))
			w.must(err)
			w.sleep(2 * time.Second)
			n, err := c.Read(make([]byte, 10))
			if n > 0 {
				spared++
				_, err = c.Read(make([]byte, 10))
			}
			w.wantErr(err, env.ErrReset)
		})
		w.run(time.Hour)
	}
	if spared == 0 || spared == 20 {
		t.Errorf("%d of 20 resets spared what was received", spared)
	}
}

func TestTheResetFaultTakesWhatWasReceived(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", func(c env.Conn) {
		_, err := c.Write(make([]byte, 10))
		w.must(err)
	})
	w.dial("a", "b", func(c env.Conn) {
		w.sleep(time.Second)
		w.apply("reset share=1/1")
		n, err := c.Read(make([]byte, 10))
		w.wantErr(err, env.ErrReset)
		if n != 0 {
			t.Errorf("%d bytes were read after a reset", n)
		}
	})
	w.run(time.Hour)
}

func TestAWriteIsCutIntoPieces(t *testing.T) {
	o := plain()
	o.Pieces = Ratio{1, 1}
	w := newWorld(t, 1, o, "a", "b")
	w.serve("b", func(c env.Conn) {
		w.sleep(time.Second)
		if pieces := c.(*end).received.len(); pieces < 3 {
			t.Errorf("200 bytes came in %d pieces", pieces)
		}
	})
	w.dial("a", "b", func(c env.Conn) {
		_, err := c.Write(make([]byte, 200))
		w.must(err)
	})
	w.run(time.Hour)
}

func TestSmallWritesOfOneInstantTravelTogether(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", func(c env.Conn) {
		n, err := c.Read(make([]byte, 100))
		w.must(err)
		if n != 30 {
			t.Errorf("the first read returned %d bytes of 30", n)
		}
	})
	w.dial("a", "b", func(c env.Conn) {
		for range 3 {
			_, err := c.Write(make([]byte, 10))
			w.must(err)
		}
	})
	w.run(time.Hour)
}

func TestWhatALinkHoldsDiesWithTheMachineThatSentIt(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", func(c env.Conn) {
		c.SetReadDeadline(kafka.Instant(time.Minute))
		n, err := c.Read(make([]byte, 10))
		w.wantErr(err, env.ErrDeadline)
		if n > 0 {
			t.Errorf("%d bytes arrived from a machine that had lost them", n)
		}
	})
	w.dial("a", "b", func(c env.Conn) {
		w.sleep(10 * time.Millisecond)
		w.apply("split for=10s left=a right=b")
		_, err := c.Write(make([]byte, 10))
		w.must(err)
		w.k.After(time.Second, func() {
			w.net.MachineDown("a")
			w.nodes["a"].Crash()
		})
		w.open-- // it dies here
		w.sleep(time.Hour)
	})
	w.run(2 * time.Minute)
}

func TestCallsThatNeedNotWaitLetOthersRun(t *testing.T) {
	o := plain()
	o.Yield = Ratio{1, 1}
	w := newWorld(t, 1, o, "a", "b")
	w.serve("b", echo)
	w.dial("a", "b", func(c env.Conn) {
		for _, call := range []struct {
			name string
			do   func() (int, error)
		}{
			{"write", func() (int, error) { return c.Write(make([]byte, 10)) }},
			{"read", func() (int, error) { return c.Read(make([]byte, 5)) }},
		} {
			ran := 0
			for range 5 {
				other := w.nodes["a"].Go("other", func() {})
				at := w.k.Now()
				_, err := call.do()
				w.must(err)
				if other.Done() && w.k.Now() == at {
					ran++
				}
				if call.name == "write" {
					w.sleep(10 * time.Millisecond) // so that the reads need not wait
				}
			}
			if ran == 0 {
				t.Errorf("in five %ss that did not wait nobody else ran", call.name)
			}
		}
	})
	w.run(time.Hour)
}

func TestTheBufferIsFreeAgainOnceAcknowledgementsPass(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", func(c env.Conn) {
		_, err := readAll(c)
		w.must(err)
	})
	w.dial("a", "b", func(c env.Conn) {
		w.apply("one-way for=10s from=b to=a")
		for range 3 {
			_, err := c.Write(make([]byte, 256<<10))
			w.must(err)
			w.sleep(time.Second)
		}
		if w.now() < 10*time.Second || w.now() > 15*time.Second {
			t.Errorf("the bytes were taken at %s", w.now())
		}
		w.must(c.Close())
	})
	w.run(time.Hour)
	if lines := w.net.Report(); len(lines) > 0 {
		t.Errorf("pending: %v", lines)
	}
}

func TestAFullBacklogMakesDialsWait(t *testing.T) {
	o := plain()
	o.Backlog = 2
	w := newWorld(t, 1, o, "a", "b")
	w.on("b", func(n env.Net) {
		l, err := n.Listen("b:9092")
		w.must(err)
		w.sleep(5 * time.Second)
		for range 3 {
			_, err := l.Accept()
			w.must(err)
		}
	})
	early := 0
	for range 3 {
		w.dial("a", "b", func(env.Conn) {
			if w.now() < 5*time.Second {
				early++
			}
		})
	}
	w.run(time.Hour)
	if early != 2 {
		t.Errorf("%d dials succeeded before anybody accepted, with a backlog of 2", early)
	}
}

func TestCloseWriteWakesABlockedWrite(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	w.dial("a", "b", func(c env.Conn) {
		w.nodes["a"].Go("end", func() {
			w.sleep(time.Second)
			w.must(c.CloseWrite())
		})
		_, err := c.Write(make([]byte, 1<<20))
		w.wantErr(err, env.ErrClosed)
	})
	w.run(time.Hour)
}

func TestACanceledTaskDoesNotDisturbAnothersCall(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	w.dial("a", "b", func(c env.Conn) {
		for _, call := range []func() error{
			func() error { _, err := c.Read(make([]byte, 1)); return err },
			func() error { _, err := c.Write(make([]byte, 1<<20)); return err },
		} {
			first := w.nodes["a"].Go("first", func() { w.wantErr(call(), env.ErrCanceled) })
			w.sleep(time.Second)
			late := w.nodes["a"].Go("late", func() { w.wantErr(call(), env.ErrCanceled) })
			late.Cancel()
			w.sleep(time.Second)
			first.Cancel()
			w.sleep(time.Second)
			if !first.Done() || !late.Done() {
				t.Error("a canceled call goes on")
			}
		}
	})
	w.run(time.Hour)
}

func TestReportSaysWhyBytesDoNotArrive(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	w.dial("a", "b", func(c env.Conn) {
		_, err := c.Write(make([]byte, 300<<10))
		w.must(err)
		w.sleep(time.Second)
		const waits = "a:32768>b:9092: 45056 bytes under way, 262144 unread, waiting for the reader"
		if got := w.net.Report(); len(got) != 1 || got[0] != waits {
			t.Errorf("got %q, want %q", got, waits)
		}
	})
	w.dial("b", "b", func(env.Conn) {
		w.apply("split at=1.5s left=a right=b")
	})
	w.dial("a", "b", func(c env.Conn) {
		w.sleep(2 * time.Second)
		_, err := c.Write(make([]byte, 10))
		w.must(err)
		w.sleep(time.Second)
		const held = "a:32769>b:9092: 10 bytes under way, 0 unread, held by split at=1.5s left=a right=b"
		if got := w.net.Report(); len(got) != 2 || got[1] != held {
			t.Errorf("got %q, want %q", got, held)
		}
	})
	w.run(time.Hour)
}
