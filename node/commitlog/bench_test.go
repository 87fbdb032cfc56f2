package commitlog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
	"github.com/klammlog/klamm/node/record"
)

// A machine is a real one, with a log in a temporary directory.
type machine struct {
	b    *testing.B
	host *osenv.Host
	w    *env.World
	dir  *commitlog.Dir
	log  *commitlog.Log
	cfg  commitlog.Config
}

func newMachine(b *testing.B, path string, cfg commitlog.Config) *machine {
	h, err := osenv.New(osenv.Options{LogDirs: []string{path}})
	if err != nil {
		b.Fatal(err)
	}
	m := &machine{b: b, host: h, w: h.World(), cfg: cfg}
	m.do(func() error {
		m.dir, err = commitlog.OpenDir(m.w, m.w.LogDirs[0], commitlog.DirOptions{})
		return err
	})
	return m
}

func (m *machine) do(f func() error) {
	m.b.Helper()
	if err := m.host.Do(context.Background(), f); err != nil {
		m.b.Fatal(err)
	}
}

func (m *machine) open() {
	m.b.Helper()
	m.do(func() (err error) {
		m.log, err = commitlog.Open(m.w, m.dir, commitlog.Options{Path: "bench-0",
			Partition: kafka.TopicPartition{Topic: "bench"}, Config: &m.cfg})
		return err
	})
}

func (m *machine) close() {
	m.b.Helper()
	m.do(m.log.Close)
	m.do(m.dir.Close)
	m.host.Close()
}

func batch(size int) []byte {
	var b record.Builder
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	b.Append(record.Record{Timestamp: 1, Value: value})
	out, err := b.Build(record.Spec{}, nil)
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}

// fill appends bytes in batches, without waiting for each.
func (m *machine) fill(bytes int64, size int) {
	one := batch(size)
	m.do(func() error {
		for done := int64(0); done < bytes; {
			var r commitlog.AppendResult
			for i := 0; i < 256 && done < bytes; i++ {
				var err error
				if r, err = m.log.Append(append([]byte(nil), one...), 1); err != nil {
					return err
				}
				done += int64(len(one))
			}
			if err := m.log.WaitHeld(r, kafka.Never); err != nil {
				return err
			}
		}
		return nil
	})
}

func osConfig() commitlog.Config {
	c := commitlog.Defaults()
	c.Flush = commitlog.FlushOS
	return c
}

// BenchmarkAppend: producers of 4 KiB batches, each of which waits until its batch
// is held before it sends the next.
func BenchmarkAppend(b *testing.B) {
	for name, cfg := range map[string]commitlog.Config{"ack": commitlog.Defaults(), "os": osConfig()} {
		for _, producers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/producers=%d", name, producers), func(b *testing.B) {
				m := newMachine(b, b.TempDir(), cfg)
				m.open()
				one := batch(4096)
				b.SetBytes(int64(len(one)))
				b.ResetTimer()
				m.do(func() error { return m.produce(one, producers, b.N) })
				b.StopTimer()
				m.close()
			})
		}
	}
}

func (m *machine) produce(one []byte, producers, n int) error {
	g := env.NewGroup(m.w, "producers")
	left := n
	for range producers {
		g.Go("producer", func() {
			for left > 0 {
				left--
				r, err := m.log.Append(append([]byte(nil), one...), 1)
				if err == nil {
					err = m.log.WaitHeld(r, kafka.Never)
				}
				if err != nil {
					panic(err)
				}
			}
		})
	}
	return g.Wait(kafka.Never)
}

func (m *machine) read(from kafka.Offset, maxBytes int) (int, error) {
	c, err := m.log.Read(from, maxBytes, m.log.Written(), commitlog.TakeOversize)
	if err != nil {
		return 0, err
	}
	n := c.Len()
	c.Release()
	if n == 0 {
		return 0, fmt.Errorf("nothing at %d", from)
	}
	return n, nil
}

// BenchmarkRead finds chunks and does not copy them: the tail, as most consumers
// do, and 64 KiB anywhere in 512 MiB that another process run wrote.
func BenchmarkRead(b *testing.B) {
	path := b.TempDir()
	c := osConfig()
	c.SegmentBytes = 64 << 20
	m := newMachine(b, path, c)
	m.open()
	m.fill(512<<20, 1000)
	end := m.log.Written()
	b.Run("tail", func(b *testing.B) {
		m.b = b
		m.do(func() error {
			for range b.N {
				if _, err := m.read(end-1, 1<<20); err != nil {
					return err
				}
			}
			return nil
		})
	})
	random := func(b *testing.B) {
		m.b = b
		stream := rand.New(rand.NewPCG(1, 1))
		m.do(func() error {
			for range b.N {
				if _, err := m.read(kafka.Offset(stream.Int64N(int64(end)-100)), 64<<10); err != nil {
					return err
				}
			}
			return nil
		})
	}
	b.Run("random/own", random)
	m.b = b
	m.close()
	m = newMachine(b, path, c)
	m.open()
	b.Run("random/verified", random)
	m.b = b
	m.close()
}

// BenchmarkSegments does the same to a log of 30 MB in one segment and in 10,000: an
// append of 3 KB through the page cache, a look at the tail, a read of one batch
// anywhere.
func BenchmarkSegments(b *testing.B) {
	for _, segments := range []int64{1, 10_000} {
		c := osConfig()
		if segments > 1 {
			c.SegmentBytes = 4096 // one batch
		}
		m := newMachine(b, b.TempDir(), c)
		m.open()
		m.fill(30<<20, 3000)
		m.cfg.SegmentBytes = 1 << 30 // no rolls from here on
		end, name := m.log.Written(), fmt.Sprintf("segments=%d", m.log.Segments())
		b.Run("append/"+name, func(b *testing.B) {
			m.b = b
			one := batch(3000)
			m.do(func() error { return m.produce(one, 1, b.N) })
		})
		b.Run("tail/"+name, func(b *testing.B) {
			m.b = b
			m.do(func() error {
				at := m.log.Written() - 1
				for range b.N {
					if _, err := m.read(at, 1<<20); err != nil {
						return err
					}
				}
				return nil
			})
		})
		b.Run("old/"+name, func(b *testing.B) {
			m.b = b
			stream := rand.New(rand.NewPCG(1, 1))
			m.do(func() error {
				for range b.N {
					if _, err := m.read(kafka.Offset(stream.Int64N(int64(end))), 4<<10); err != nil {
						return err
					}
				}
				return nil
			})
		})
		m.b = b
		m.close()
	}
}

// BenchmarkOpenClean: a start after a clean shutdown.
func BenchmarkOpenClean(b *testing.B) {
	for _, segments := range []int64{1, 10_000} {
		b.Run(fmt.Sprintf("segments=%d", segments), func(b *testing.B) {
			path := b.TempDir()
			c := osConfig()
			c.SegmentBytes = 4096
			m := newMachine(b, path, c)
			m.open()
			m.fill(segments*3000, 3000) // a segment holds one batch
			m.do(m.log.Checkpoint)
			m.do(m.log.Close)
			b.ResetTimer()
			for range b.N {
				m.open()
				b.StopTimer()
				m.do(m.log.Close)
				b.StartTimer()
			}
			b.StopTimer()
			b.ReportMetric(float64(m.log.Segments()), "segments")
			m.open()
			began := time.Now()
			m.do(func() error { _, err := m.read(0, 1000); return err })
			b.ReportMetric(float64(time.Since(began).Microseconds()), "µs/first-old-read")
			m.do(m.log.Close)
			m.do(m.dir.Close)
			m.host.Close()
		})
	}
}

// tableBatches returns batches of 100 records of 150 bytes, all with keys of their
// own.
func tableBatches(n int) (out [][]byte) {
	value := make([]byte, 120)
	for k := range n {
		var b record.Builder
		for i := range 100 {
			for j := range value {
				value[j] = byte(rand.Uint32())
			}
			b.Append(record.Record{Timestamp: 1, Key: fmt.Appendf(nil, "key %10d", k*100+i), Value: value})
		}
		batch, err := b.Build(record.Spec{}, nil)
		if err != nil {
			panic(err)
		}
		out = append(out, batch.Bytes())
	}
	return out
}

// BenchmarkCompact: one pass over 256 MiB in which each of 100,000 keys was
// written about 17 times.
func BenchmarkCompact(b *testing.B) {
	batches := tableBatches(1000)
	for range b.N {
		b.StopTimer()
		c := osConfig()
		c.SegmentBytes, c.Cleanup, c.MinCleanableRatio = 16<<20, commitlog.CleanupCompact, 0
		m := newMachine(b, b.TempDir(), c)
		m.open()
		m.do(func() error {
			for size := 0; size < 256<<20; {
				var r commitlog.AppendResult
				for range 64 {
					one := batches[rand.IntN(len(batches))]
					var err error
					if r, err = m.log.Append(append([]byte(nil), one...), 1); err != nil {
						return err
					}
					size += len(one)
				}
				if err := m.log.WaitHeld(r, kafka.Never); err != nil {
					return err
				}
			}
			return m.log.Checkpoint()
		})
		b.StartTimer()
		began := time.Now()
		m.do(func() error { return m.log.Compact(m.w.Wall()) })
		took := time.Since(began)
		b.StopTimer()
		s := m.log.Stats()
		b.ReportMetric(float64(s.CompactRead)/1e6/took.Seconds(), "MB/s-read")
		b.ReportMetric(float64(s.CompactRead), "read-B")
		b.ReportMetric(float64(s.CompactWritten), "written-B")
		m.close()
	}
}

// BenchmarkRecover: a start after a crash, with a GiB to look at.
func BenchmarkRecover(b *testing.B) {
	for _, size := range []int{1000, 16 << 10} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			const bytes = 512 << 20
			path := b.TempDir()
			m := newMachine(b, path, osConfig())
			m.open()
			m.fill(bytes, size)
			var took time.Duration
			for range b.N {
				m.do(m.dir.Close) // the process is gone; the log was not closed
				m.do(func() (err error) {
					m.dir, err = commitlog.OpenDir(m.w, m.w.LogDirs[0], commitlog.DirOptions{})
					return err
				})
				began := time.Now()
				m.open()
				took += time.Since(began)
				if b.N > 1 {
					b.Fatal("run with -benchtime=1x: the second time there is nothing to recover")
				}
			}
			b.ReportMetric(took.Seconds()/(float64(bytes)/(1<<30))/float64(b.N), "s/GiB")
			b.ReportMetric(float64(m.log.Stats().Scanned), "scanned-B")
			m.do(m.log.Close)
			m.do(m.dir.Close)
			m.host.Close()
		})
	}
}
