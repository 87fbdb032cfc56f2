package netsim

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

func TestBytesArriveInOrderWhateverTheWeather(t *testing.T) {
	for seed := uint64(0); seed < 30; seed++ {
		k := newWorld(t, seed, Options{}, "a").k
		o := DrawOptions(k.Rand("options"))
		o.Link.Loss = Ratio{1, 50}
		w := newWorld(t, seed, o, "a", "b")
		sent := pattern(300_000)
		var got []byte
		w.serve("b", func(c env.Conn) {
			var err error
			got, err = readAll(c)
			w.must(err)
			c.Close()
		})
		w.dial("a", "b", func(c env.Conn) {
			for i := 0; i < len(sent); {
				n := min(len(sent)-i, 1+w.k.Rand("test").IntN(40_000))
				_, err := c.Write(sent[i : i+n])
				w.must(err)
				i += n
			}
			c.Close()
		})
		w.run(time.Hour)
		if !bytes.Equal(got, sent) {
			t.Fatalf("seed %d: %d bytes arrived, of %d, or others", seed, len(got), len(sent))
		}
	}
}

func TestRoundTripTakesLatencies(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", echo)
	var dialed, answered time.Duration
	w.dial("a", "b", func(c env.Conn) {
		start := w.now()
		dialed = start - time.Millisecond
		_, err := c.Write([]byte("ping"))
		w.must(err)
		_, err = c.Read(make([]byte, 10))
		w.must(err)
		answered = w.now() - start
	})
	w.run(time.Hour)
	if dialed != 2*time.Millisecond || answered != 2*time.Millisecond {
		t.Errorf("dial took %s, request %s, want 2ms each", dialed, answered)
	}
}

func TestDialFails(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.on("a", func(n env.Net) {
		_, err := n.Dial("b:1", kafka.Never)
		w.wantErr(err, env.ErrRefused)
		_, err = n.Dial("nowhere:1", kafka.Never)
		w.wantErr(err, env.ErrUnreachable)
		w.net.MachineDown("b")
		_, err = n.Dial("b:1", w.k.Now().Add(time.Second))
		w.wantErr(err, env.ErrDeadline)
		start := w.now()
		_, err = n.Dial("b:1", kafka.Never)
		w.wantErr(err, env.ErrUnreachable)
		if took := w.now() - start; took != 20*time.Second {
			t.Errorf("dial gave up after %s", took)
		}
		task := w.nodes["a"].Go("dial", func() {
			_, err = n.Dial("b:1", kafka.Never)
			w.wantErr(err, env.ErrCanceled)
		})
		w.sleep(time.Second)
		task.Cancel()
	})
	w.run(time.Hour)
	if n := w.net.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestListen(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.on("a", func(n env.Net) {
		first, err := n.Listen("a:9092")
		w.must(err)
		_, err = n.Listen("a:9092")
		w.wantErr(err, env.ErrAddrInUse)
		free, err := n.Listen("a:0")
		w.must(err)
		if free.Address() == "a:0" || free.Address() == first.Address() {
			t.Errorf("port 0 listens at %s", free.Address())
		}
		w.nodes["a"].Go("accept", func() {
			_, err := free.Accept()
			w.wantErr(err, env.ErrClosed)
		})
		w.sleep(time.Second)
		w.must(free.Close())
		w.must(first.Close())
		_, err = n.Listen("a:9092")
		w.must(err)
		_, err = n.Listen("b:9092")
		w.wantErr(err, env.ErrUnreachable)
	})
	w.run(time.Hour)
}

func TestClosingAListenerResetsWhatItDidNotAccept(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.on("b", func(n env.Net) {
		l, err := n.Listen("b:9092")
		w.must(err)
		w.sleep(time.Second)
		w.must(l.Close())
	})
	w.dial("a", "b", func(c env.Conn) {
		_, err := c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrReset)
	})
	w.run(time.Hour)
}

func TestHalfCloseLetsTheOtherDirectionGoOn(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", func(c env.Conn) {
		question, err := readAll(c)
		w.must(err)
		_, err = c.Write(append(question, '!'))
		w.must(err)
		w.must(c.Close())
	})
	w.dial("a", "b", func(c env.Conn) {
		_, err := c.Write([]byte("so"))
		w.must(err)
		w.must(c.CloseWrite())
		_, err = c.Write([]byte("x"))
		w.wantErr(err, env.ErrClosed)
		answer, err := readAll(c)
		w.must(err)
		if string(answer) != "so!" {
			t.Errorf("answer %q", answer)
		}
		w.must(c.Close())
		w.must(c.Close())
		_, err = c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrClosed)
	})
	w.run(time.Hour)
	if n := w.net.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestDeadlines(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	w.dial("a", "b", func(c env.Conn) {
		c.SetReadDeadline(w.k.Now().Add(time.Second))
		start := w.now()
		_, err := c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrDeadline)
		if took := w.now() - start; took != time.Second {
			t.Errorf("read waited %s", took)
		}
		_, err = c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrDeadline)
		c.SetWriteDeadline(w.k.Now().Add(time.Second))
		n, err := c.Write(make([]byte, 1<<20))
		w.wantErr(err, env.ErrDeadline)
		if want := 2 * 256 << 10; n != want {
			t.Errorf("%d bytes were taken, want the buffer and the window, %d", n, want)
		}
	})
	w.run(time.Hour)
}

func TestSettingADeadlineReachesAWaitingRead(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	w.dial("a", "b", func(c env.Conn) {
		w.nodes["a"].Go("deadline", func() {
			w.sleep(time.Second)
			c.SetReadDeadline(w.k.Now().Add(time.Second))
		})
		start := w.now()
		_, err := c.Read(make([]byte, 1))
		w.wantErr(err, env.ErrDeadline)
		if took := w.now() - start; took != 2*time.Second {
			t.Errorf("read waited %s", took)
		}
	})
	w.run(time.Hour)
}

func TestDeadlinesAreInTheTimeOfTheNode(t *testing.T) {
	for _, ppm := range []int64{-300_000, -7, 13, 400_000} {
		w := newWorld(t, 1, plain(), "a", "b")
		w.nodes["a"].SetDrift(ppm)
		slower := ppm - 1000 // a wake that was set for the old rate comes early
		w.serve("b", ignore)
		w.dial("a", "b", func(c env.Conn) {
			deadline := w.nodes["a"].Monotonic().Add(time.Second + 3)
			c.SetReadDeadline(deadline)
			w.k.After(time.Second/2, func() { w.nodes["a"].SetDrift(slower) })
			_, err := c.Read(make([]byte, 1))
			w.wantErr(err, env.ErrDeadline)
			if late := w.nodes["a"].Monotonic() - deadline; late < 0 || late > 10 {
				t.Errorf("drift %d: read ended %d ns after its deadline", ppm, late)
			}
		})
		w.run(time.Hour)
	}
}

func TestCloseAndCancelReachWaitingCalls(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	ended := 0
	w.dial("a", "b", func(c env.Conn) {
		canceled := w.nodes["a"].Go("canceled", func() {
			_, err := c.Read(make([]byte, 1))
			w.wantErr(err, env.ErrCanceled)
			_, err = c.Read(make([]byte, 1))
			w.wantErr(err, env.ErrCanceled)
			ended++
		})
		w.nodes["a"].Go("closed", func() {
			_, err := c.Write(make([]byte, 1<<20))
			w.wantErr(err, env.ErrClosed)
			ended++
		})
		w.sleep(time.Second)
		canceled.Cancel()
		w.sleep(time.Second)
		w.must(c.Close())
	})
	w.run(time.Hour)
	if ended != 2 {
		t.Errorf("%d of 2 calls ended", ended)
	}
}

// A paper is a file whose reads return pieces.
type paper struct {
	env.File
	b []byte
}

func (p paper) ReadAt(b []byte, off int64) (int, error) {
	n := copy(b[:min(len(b), 1000)], p.b[min(int(off), len(p.b)):])
	if int(off)+n == len(p.b) && n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func TestSendFile(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	file := paper{b: pattern(5000)}
	var got []byte
	w.serve("b", func(c env.Conn) {
		var err error
		got, err = readAll(c)
		w.must(err)
	})
	w.dial("a", "b", func(c env.Conn) {
		n, err := c.SendFile(file, 10, 3000)
		w.must(err)
		if n != 3000 {
			t.Errorf("%d bytes were sent", n)
		}
		n, err = c.SendFile(file, 4000, 2000)
		w.wantErr(err, io.ErrUnexpectedEOF)
		if n != 1000 {
			t.Errorf("%d bytes were sent of a file that ends early", n)
		}
		bufs := [][]byte{[]byte("a"), nil, []byte("bc")}
		n, err = c.WriteBuffers(bufs)
		w.must(err)
		if n != 3 || string(bufs[2]) != "bc" {
			t.Errorf("%d bytes were written, buffers now %q", n, bufs)
		}
		w.must(c.Close())
	})
	w.run(time.Hour)
	want := append(append(file.b[10:3010:3010], file.b[4000:]...), "abc"...)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived, want %d, or others", len(got), len(want))
	}
}

func TestBackpressureBlocksTheWriter(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	var written time.Duration
	w.serve("b", func(c env.Conn) {
		w.sleep(time.Minute)
		_, err := readAll(c)
		w.must(err)
	})
	w.dial("a", "b", func(c env.Conn) {
		_, err := c.Write(make([]byte, 1<<20))
		w.must(err)
		written = w.now()
		c.Close()
	})
	w.run(time.Hour)
	if written < time.Minute {
		t.Errorf("a megabyte was written at %s, before anybody read", written)
	}
}
