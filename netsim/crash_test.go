package netsim

import (
	"io"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

func TestADyingProcessEndsItsStreams(t *testing.T) {
	for _, test := range []struct {
		name   string
		unread int
		want   error
	}{
		{"everything was read: end of stream", 0, io.EOF},
		{"bytes were unread: reset", 10, env.ErrReset},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, 1, plain(), "a", "b")
			w.serve("b", func(c env.Conn) {
				_, err := c.Write([]byte("last words"))
				w.must(err)
				_, err = c.Read(make([]byte, 1))
				t.Errorf("a read of a dead process returned %v", err)
			})
			w.dial("a", "b", func(c env.Conn) {
				_, err := readFull(c, make([]byte, 10))
				w.must(err)
				w.k.After(9*time.Millisecond, w.nodes["b"].Crash)
				if test.unread > 0 {
					w.nodes["b"].Pause(time.Minute)
					_, err := c.Write(make([]byte, test.unread))
					w.must(err)
				}
				_, err = c.Read(make([]byte, 1))
				w.wantErr(err, test.want)
				if w.now() > time.Second {
					t.Errorf("the end was noticed at %s", w.now())
				}
				_, err = c.Write([]byte("x"))
				if test.want == io.EOF {
					w.must(err)
					_, err = c.Read(make([]byte, 1))
					w.wantErr(err, io.EOF)
					w.sleep(time.Second)
				}
				_, err = c.Write([]byte("x"))
				w.wantErr(err, env.ErrReset)
			})
			w.run(time.Hour)
		})
	}
}

func TestWhatADeadProcessHadWrittenArrives(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", func(c env.Conn) {
		_, err := c.Write(pattern(100_000))
		w.must(err)
		w.k.After(0, w.nodes["b"].Crash)
		w.sleep(time.Hour)
	})
	w.dial("a", "b", func(c env.Conn) {
		all, err := readAll(c)
		w.must(err)
		if len(all) != 100_000 {
			t.Errorf("%d bytes arrived", len(all))
		}
	})
	w.run(time.Hour)
}

func TestADeadProcessFreesItsPortsAndRefuses(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	w.k.At(kafka.Instant(time.Second), w.nodes["b"].Crash)
	w.k.At(kafka.Instant(3*time.Second), func() {
		w.nodes["b"].Restart()
		w.serve("b", ignore)
	})
	w.on("a", func(n env.Net) {
		w.sleep(2 * time.Second)
		_, err := n.Dial("b:9092", kafka.Never)
		w.wantErr(err, env.ErrRefused)
		w.sleep(2 * time.Second)
		_, err = n.Dial("b:9092", kafka.Never)
		w.must(err)
	})
	w.run(time.Hour)
}

func TestDeferredCallsOfADeadNodeHaveNoEffect(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	var atEnd error
	w.serve("b", func(c env.Conn) {
		defer func() {
			c.Close()
			_, atEnd = c.Write([]byte("ghost"))
			w.at["b"].Dial("a:1", kafka.Never)
			w.at["b"].Listen("b:1")
		}()
		c.Read(make([]byte, 1))
	})
	w.dial("a", "b", func(c env.Conn) {
		w.sleep(time.Second)
		w.net.MachineDown("b")
		w.nodes["b"].Crash()
		c.SetReadDeadline(w.k.Now().Add(10 * time.Second))
		n, err := c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrDeadline)
		if n != 0 {
			t.Errorf("a dead machine sent %d bytes", n)
		}
	})
	w.run(time.Minute)
	w.wantErr(atEnd, env.ErrClosed)
}

func TestAMachineThatLostPowerIsSilentThenResets(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	w.dial("a", "b", func(c env.Conn) {
		w.sleep(time.Second)
		w.net.MachineDown("b")
		w.nodes["b"].Crash()
		_, err := c.Write([]byte("anybody there?"))
		w.must(err)
		w.k.After(10*time.Second, func() {
			w.nodes["b"].Restart()
			w.serve("b", ignore)
		})
		_, err = c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrReset)
		if w.now() < 11*time.Second || w.now() > 14*time.Second {
			t.Errorf("the reset came at %s, the machine at 11s", w.now())
		}
	})
	w.run(time.Hour)
}

func TestAMachineThatStaysDown(t *testing.T) {
	for _, test := range []struct {
		name    string
		written int
		low     time.Duration
		high    time.Duration
	}{
		{"a writer gives up", 10, 30 * time.Second, 2*time.Minute + 2*time.Second},
		{"a reader has its keep-alive", 0, 151 * time.Second, 152 * time.Second},
		{"a full window does not hang for ever", 1 << 20, 30 * time.Second, 2*time.Minute + 2*time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, 1, plain(), "a", "b")
			w.serve("b", ignore)
			w.dial("a", "b", func(c env.Conn) {
				w.k.After(time.Second, func() {
					w.net.MachineDown("b")
					w.nodes["b"].Crash()
				})
				if test.written < 1000 {
					w.sleep(time.Second)
				}
				_, err := c.Write(make([]byte, test.written))
				if err == nil {
					_, err = c.Read(make([]byte, 1))
				}
				w.wantErr(err, env.ErrReset)
				if w.now() < test.low || w.now() > test.high {
					t.Errorf("the connection broke at %s", w.now())
				}
			})
			w.run(time.Hour)
			if n := w.net.Connections(); n != 0 {
				t.Errorf("%d connections are left", n)
			}
		})
	}
}

func TestAPausedNodeFillsItsSockets(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", func(c env.Conn) {
		all, err := readAll(c)
		w.must(err)
		if len(all) != 512<<10 || w.now() < time.Minute {
			t.Errorf("%d bytes at %s", len(all), w.now())
		}
	})
	w.dial("a", "b", func(c env.Conn) {
		w.sleep(10 * time.Millisecond)
		w.nodes["b"].Pause(time.Minute)
		_, err := c.Write(make([]byte, 512<<10))
		w.must(err)
		if w.now() > time.Second {
			t.Errorf("buffer and window took the bytes at %s", w.now())
		}
		w.must(c.Close())
	})
	w.run(time.Hour)
}
