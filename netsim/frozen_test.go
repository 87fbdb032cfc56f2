package netsim

import (
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// spoil runs call and, while it waits, meddle; it returns what a task panicked
// with.
func spoil(t *testing.T, call func(c env.Conn), meddle func()) string {
	t.Helper()
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", func(c env.Conn) {
		w.sleep(2 * time.Second)
		echo(c)
	})
	w.dial("a", "b", func(c env.Conn) {
		w.k.After(time.Second, meddle)
		call(c)
	})
	if w.k.Run(kafka.Instant(time.Hour), func() bool { return false }) != sim.Panicked {
		return ""
	}
	return w.k.Panics()[0].String()
}

func TestABufferBelongsToTheCall(t *testing.T) {
	written := make([]byte, 1<<20)
	write := func(c env.Conn) {
		c.SetWriteDeadline(kafka.Instant(time.Minute))
		c.Write(written)
	}
	read := make([]byte, 1000)
	receive := func(c env.Conn) {
		c.SetReadDeadline(kafka.Instant(time.Minute))
		c.Read(read)
	}
	for _, test := range []struct {
		name   string
		call   func(env.Conn)
		meddle func()
		want   string
	}{
		{"written to while it is written out", write, func() { written[5]++ }, "buffer changed while"},
		{"left alone while it is written out", write, func() {}, ""},
		{"written to while it is read into", receive, func() { read[999] = 1 }, "buffer changed while"},
		{"left alone while it is read into", receive, func() {}, ""},
	} {
		got := spoil(t, test.call, test.meddle)
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: panic %q, want %q", test.name, got, test.want)
		}
	}
}

func TestAReadBufferIsScribbledOverWhileItWaits(t *testing.T) {
	p := []byte("still mine")
	spoil(t, func(c env.Conn) {
		c.SetReadDeadline(kafka.Instant(time.Minute))
		c.Read(p)
	}, func() {
		if string(p) == "still mine" {
			t.Error("the buffer keeps its bytes while a read waits")
		}
	})
}

func TestTwoReadersOfOneConnectionAreABug(t *testing.T) {
	w := newWorld(t, 1, plain(), "a", "b")
	w.serve("b", ignore)
	w.dial("a", "b", func(c env.Conn) {
		w.nodes["a"].Go("other", func() { c.Read(make([]byte, 1)) })
		c.Read(make([]byte, 1))
	})
	if w.k.Run(kafka.Instant(time.Hour), func() bool { return false }) != sim.Panicked {
		t.Error("nobody noticed")
	}
}
