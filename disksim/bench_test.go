package disksim

import (
	"testing"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// benchmarkAppend appends records of 4 KiB, not aligned to pages, and syncs
// each. Segments of 1 MiB are replaced, so that memory stays small.
func benchmarkAppend(b *testing.B, o Options) {
	w := newBench(b, 1, o)
	data := pattern(4096, 5)
	w.start(func(fs env.FS) {
		f, err := fs.OpenFile("log", env.Write|env.Create)
		must(err)
		must(fs.SyncDir("."))
		off := int64(100)
		for b.Loop() {
			_, err := f.WriteAt(data, off)
			must(err)
			must(f.Sync())
			if off += 4096; off > 1<<20 {
				must(f.Truncate(0))
				off = 100
			}
		}
	})
	b.ReportAllocs()
	w.k.Run(kafka.Never-1, func() bool { return false })
}

func BenchmarkAppendSyncInstant(b *testing.B) { benchmarkAppend(b, Options{}) }
func BenchmarkAppendSyncNVMe(b *testing.B)    { benchmarkAppend(b, Options{Times: NVMe()}) }

// BenchmarkBlock is the part of it that is the kernel's: two parkings.
func BenchmarkBlock(b *testing.B) {
	w := newBench(b, 1, Options{})
	w.n.Go("test", func() {
		for b.Loop() {
			w.k.Block("disk", 1)
			w.k.Block("disk", 1)
		}
	})
	w.k.Run(kafka.Never-1, func() bool { return false })
}

// BenchmarkAppendUnsynced is log.flush=os: small records to many files, written
// back by the disk itself.
func BenchmarkAppendUnsynced(b *testing.B) {
	w := newBench(b, 1, Options{Times: NVMe()})
	data := pattern(300, 5)
	w.start(func(fs env.FS) {
		files := make([]env.File, 100)
		for i := range files {
			files[i] = write(fs, string(rune('a'+i)), data)
		}
		must(fs.SyncDir("."))
		n := 0
		for b.Loop() {
			_, err := files[n%100].WriteAt(data, int64(n/100%3000)*300)
			must(err)
			n++
		}
	})
	b.ReportAllocs()
	w.k.Run(kafka.Never-1, func() bool { return false })
}

// BenchmarkRead reads 64 KiB.
func BenchmarkRead(b *testing.B) {
	w := newBench(b, 1, Options{Times: NVMe()})
	w.start(func(fs env.FS) {
		f := write(fs, "a", pattern(1<<20, 5))
		p := make([]byte, 64<<10)
		for b.Loop() {
			_, err := f.ReadAt(p, 4321)
			must(err)
		}
	})
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	w.k.Run(kafka.Never-1, func() bool { return false })
}
