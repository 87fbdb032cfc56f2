package osenv

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// inTask runs f as a task of a new host.
func inTask(b *testing.B, f func(w *env.World)) {
	b.Helper()
	h := newHost(b, Options{LogDirs: []string{b.TempDir()}})
	err := h.Do(context.Background(), func() error { f(h.World()); return nil })
	if err != nil {
		b.Fatal(err)
	}
	holds := h.Holds()
	b.ReportMetric(float64(holds.Quantile(999)), "p99.9-hold-ns")
}

// One switch: a task wakes another and waits for it.
func BenchmarkTaskSwitch(b *testing.B) {
	for _, deadline := range []string{"never", "minute"} {
		b.Run("deadline="+deadline, func(b *testing.B) {
			inTask(b, func(w *env.World) {
				until := kafka.Never
				if deadline == "minute" {
					until = w.Now().Add(time.Minute)
				}
				turn, ping, pong := 0, w.NewCond("ping"), w.NewCond("pong")
				w.Go("other", func() {
					for i := range b.N {
						for turn != 2*i+1 {
							_ = ping.Wait(until)
						}
						turn++
						pong.Broadcast()
					}
				})
				for i := range b.N {
					turn++
					ping.Broadcast()
					for turn != 2*i+2 {
						_ = pong.Wait(until)
					}
				}
			})
		})
	}
}

// Laying the baton down and taking it again when nobody wants it.
func BenchmarkLeaveEnter(b *testing.B) {
	inTask(b, func(w *env.World) {
		for range b.N {
			w.Offload(func() {})
		}
	})
}

func BenchmarkStartTask(b *testing.B) {
	inTask(b, func(w *env.World) {
		g := env.NewGroup(w, "tasks")
		for range b.N {
			g.Go("task", func() {})
			_ = g.Wait(kafka.Never)
		}
	})
}

func BenchmarkReadAt4K(b *testing.B) {
	inTask(b, func(w *env.World) {
		f, err := w.LogDirs[0].FS.OpenFile("f", env.Write|env.Create)
		if err != nil {
			b.Error(err)
			return
		}
		defer f.Close()
		p := make([]byte, 4096)
		_, _ = f.WriteAt(p, 0)
		for range b.N {
			_, _ = f.ReadAt(p, 0)
		}
	})
}

// Requests of 100 bytes over connections whose server tasks hold the baton for 3
// µs each; the clients are another host with a baton of its own. With as many
// batons as connections, nobody waits for one: that is the price of having one.
func BenchmarkContendedRequests(b *testing.B) {
	for _, c := range []struct{ conns, batons int }{{1, 1}, {64, 1}, {64, 64}} {
		b.Run(fmt.Sprintf("conns=%d/batons=%d", c.conns, c.batons), func(b *testing.B) {
			contend(b, c.conns, c.batons)
		})
	}
}

func contend(b *testing.B, conns, hosts int) {
	servers := make([]*Host, hosts)
	addresses := make([]string, hosts)
	for i := range servers {
		h := newHost(b, Options{})
		servers[i] = h
		err := h.Do(context.Background(), func() (err error) {
			addresses[i], err = serve(h.World())
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	clients := newHost(b, Options{})
	w := clients.World()
	left := b.N
	b.ResetTimer()
	err := clients.Do(context.Background(), func() error {
		for i := range conns {
			w.Go("client", func() {
				if err := request(w, addresses[i%hosts], &left); err != nil {
					b.Error(err)
				}
			})
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	clients.Wait()
	b.StopTimer()
	holds := servers[0].Holds()
	b.ReportMetric(float64(holds.Quantile(999)), "p99.9-hold-ns")
	b.ReportMetric(float64(holds.Quantile(500)), "p50-hold-ns")
}

func serve(w *env.World) (string, error) {
	l, err := w.Net.Listen("127.0.0.1:0")
	if err != nil {
		return "", err
	}
	w.Go("accept", func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.Go("serve", func() {
				defer c.Close()
				answer(w, c)
			})
		}
	})
	return l.Address(), nil
}

func answer(w *env.World, c env.Conn) {
	p := make([]byte, 100)
	for {
		for got := 0; got < len(p); {
			n, err := c.Read(p[got:])
			if err != nil {
				return
			}
			got += n
		}
		for until := w.Now().Add(3 * time.Microsecond); w.Now() < until; {
		}
		if _, err := c.Write(p); err != nil {
			return
		}
	}
}

func request(w *env.World, address string, left *int) error {
	c, err := w.Net.Dial(address, kafka.Never)
	if err != nil {
		return err
	}
	defer c.Close()
	p := make([]byte, 100)
	for *left > 0 {
		*left--
		if _, err := c.Write(p); err != nil {
			return err
		}
		for got := 0; got < len(p); {
			n, err := c.Read(p[got:])
			if err != nil && err != io.EOF {
				return err
			}
			got += n
		}
	}
	return nil
}
