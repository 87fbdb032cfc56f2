package netsim

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
)

// BenchmarkRoundTrip is a request of 1 KiB and its answer over one connection,
// with the default weather.
func BenchmarkRoundTrip(b *testing.B) { benchmarkRoundTrip(b, 1) }

// BenchmarkRoundTrip64 is the same over 64 connections at once.
func BenchmarkRoundTrip64(b *testing.B) { benchmarkRoundTrip(b, 64) }

func benchmarkRoundTrip(b *testing.B, conns int) {
	w := newWorld(b, 1, DefaultOptions(), "a", "b")
	w.serve("b", echo)
	left := b.N
	request := make([]byte, 1024)
	for range conns {
		w.dial("a", "b", func(c env.Conn) {
			answer := make([]byte, 1024)
			for left > 0 {
				left--
				if _, err := c.Write(request); err != nil {
					b.Error(err)
				}
				if _, err := readFull(c, answer); err != nil {
					b.Error(err)
				}
			}
			c.Close()
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	w.run(1e6 * time.Hour)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "trips/s")
}

// BenchmarkStream is a megabyte through one connection.
func BenchmarkStream(b *testing.B) {
	w := newWorld(b, 1, DefaultOptions(), "a", "b")
	w.serve("b", func(c env.Conn) {
		buf := make([]byte, 256<<10)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
	w.dial("a", "b", func(c env.Conn) {
		megabyte := make([]byte, 1<<20)
		for range b.N {
			if _, err := c.Write(megabyte); err != nil {
				b.Error(err)
			}
		}
		c.Close()
	})
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	b.ResetTimer()
	w.run(1e6 * time.Hour)
}
