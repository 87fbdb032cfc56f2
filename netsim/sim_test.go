package netsim

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// plain is a network without chance: every segment takes a millisecond.
func plain() Options {
	return Options{Link: Link{Latency: time.Millisecond}, Loopback: Link{Latency: time.Millisecond}}
}

// A world is a universe with a network and some hosts, for tests.
type world struct {
	t     testing.TB
	k     *sim.Kernel
	net   *Network
	nodes map[string]*sim.Node
	at    map[string]env.Net
	open  int // clients that dial started and that have not ended
}

func newWorld(t testing.TB, seed uint64, o Options, hosts ...string) *world {
	t.Helper()
	k := sim.New(sim.Options{Seed: seed})
	w := &world{t: t, k: k, net: New(k, o), nodes: map[string]*sim.Node{}, at: map[string]env.Net{}}
	for _, h := range hosts {
		w.nodes[h] = k.NewNode(h)
		w.at[h] = w.net.Host(w.nodes[h], h)
	}
	t.Cleanup(k.Close)
	return w
}

// on starts a task on a host.
func (w *world) on(host string, f func(n env.Net)) {
	w.nodes[host].Go("test", func() { f(w.at[host]) })
}

// run runs the universe until nothing is left to do, or virtual time is up. The
// clients that dial started must have ended then.
func (w *world) run(limit time.Duration) sim.Ending {
	w.t.Helper()
	ending := w.k.Run(kafka.Instant(limit), func() bool { return false })
	for _, p := range w.k.Panics() {
		w.t.Fatalf("%v\n%s", p, p.Stack)
	}
	if w.open > 0 {
		w.t.Errorf("at %s, %s: %d clients have not ended; %v", w.k.Now(), ending, w.open, w.net.Report())
	}
	return ending
}

// must fails the test on an error. Tasks call it, so it cannot stop the test.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Errorf("at %s: %v", w.k.Now(), err)
	}
}

func (w *world) wantErr(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Errorf("at %s: got error %v, want %v", w.k.Now(), err, want)
	}
}

// sleep lets virtual time pass in a task.
func (w *world) sleep(d time.Duration) { w.k.Block("test", d) }

// serve accepts one connection after the other on a host's port 9092 and hands
// each to f, in a task of its own.
func (w *world) serve(host string, f func(c env.Conn)) {
	w.on(host, func(n env.Net) {
		l, err := n.Listen(host + ":9092")
		w.must(err)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.nodes[host].Go("serve", func() { f(c) })
		}
	})
}

// dial runs f on a host, with a connection to another's port 9092.
func (w *world) dial(from, to string, f func(c env.Conn)) {
	w.open++
	w.on(from, func(n env.Net) {
		w.sleep(time.Millisecond) // let servers listen
		c, err := n.Dial(to+":9092", kafka.Never)
		w.must(err)
		if err == nil {
			f(c)
		}
		w.open--
	})
}

// echo sends back what it reads.
func echo(c env.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			c.Close()
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			c.Close()
			return
		}
	}
}

// ignore keeps a connection and does nothing with it.
func ignore(env.Conn) {}

func readFull(c env.Conn, p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m, err := c.Read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func readAll(c env.Conn) ([]byte, error) {
	var all []byte
	buf := make([]byte, 8<<10)
	for {
		n, err := c.Read(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// apply makes a fault happen that is given as text.
func (w *world) apply(text string) *Applied {
	w.t.Helper()
	f, err := ParseFault(text)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := w.net.Apply(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) now() time.Duration { return time.Duration(w.k.Now()) }

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}
