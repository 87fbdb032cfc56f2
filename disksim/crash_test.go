package disksim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// crashIn starts f, crashes the node while f is in a disk operation that takes a
// second, and restarts it.
func (b *bench) crashIn(f func(fs env.FS)) {
	b.t.Helper()
	b.start(f)
	b.k.After(500*time.Millisecond, b.n.Crash)
	b.drive()
	b.n.Restart()
	b.d.options.Times = Times{}
}

func slowWrites() Options {
	second := Latency{Base: time.Second}
	return Options{Times: Times{Write: second, Sync: second}}
}

func TestProcessCrashKeepsWhatReturned(t *testing.T) {
	b := newBench(t, 1, Options{})
	b.run(func(fs env.FS) {
		write(fs, "a", []byte("never synced"))
		must(fs.Rename("a", "b"))
	})
	b.n.Crash()
	b.n.Restart()
	b.run(func(fs env.FS) {
		if got := contents(fs, "b"); string(got) != "never synced" {
			t.Errorf("read %q", got)
		}
	})
}

func TestProcessCrashCutsTheWriteInFlightBetweenPages(t *testing.T) {
	seen := map[int]bool{}
	for seed := range uint64(60) {
		b := newBench(t, seed, slowWrites())
		b.crashIn(func(fs env.FS) { write(fs, "a", bytes.Repeat([]byte{'n'}, 2*media.PageSize+100)) })
		b.run(func(fs env.FS) { seen[len(contents(fs, "a"))] = true })
	}
	for _, n := range []int{0, media.PageSize, 2 * media.PageSize, 2*media.PageSize + 100} {
		if !seen[n] {
			t.Errorf("never %d bytes", n)
		}
	}
	if len(seen) != 4 {
		t.Errorf("sizes %v", seen)
	}
}

func TestProcessCrashInTruncate(t *testing.T) {
	seen := map[int]bool{}
	for seed := range uint64(20) {
		b := newBench(t, seed, Options{})
		b.run(func(fs env.FS) { synced(fs, "a", 10) })
		b.d.options = slowWrites().withDefaults()
		b.crashIn(func(fs env.FS) {
			f, err := fs.OpenFile("a", env.Write)
			must(err)
			must(f.Truncate(3))
		})
		b.run(func(fs env.FS) { seen[len(contents(fs, "a"))] = true })
	}
	if !seen[3] || !seen[10] || len(seen) != 2 {
		t.Errorf("sizes %v", seen)
	}
}

func TestProcessCrashInCreate(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(20) {
		b := newBench(t, seed, Options{Times: Times{Meta: Latency{Base: time.Second}}})
		b.crashIn(func(fs env.FS) { write(fs, "a", []byte("x")) })
		seen[fmt.Sprint(b.d.Files())] = true
	}
	if !seen["[]"] || !seen["[a]"] || len(seen) != 2 {
		t.Errorf("files %v", seen)
	}
}

func TestSyncDirCoversWhatReturnedBeforeItBegan(t *testing.T) {
	b := newBench(t, 1, Options{Times: Times{Sync: Latency{Base: time.Second}}})
	b.run(func(fs env.FS) {
		must(fs.Mkdir("a"))
		b.n.Go("later", func() {
			b.k.Block("test", 500*time.Millisecond)
			must(fs.Mkdir("b"))
		})
		must(fs.SyncDir("."))
		if got := b.d.NotSynced(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("not synced: %v", got)
		}
	})
}

func TestSyncInFlightPromisesNothing(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(60) {
		b := newBench(t, seed, Options{})
		b.run(func(fs env.FS) { synced(fs, "a", 1) })
		b.start(func(fs env.FS) {
			f, err := fs.OpenFile("a", env.Write)
			must(err)
			must(put(f, "n", 0))
			b.d.options.Times.Sync = Latency{Base: time.Second}
			must(f.Sync())
		})
		b.k.After(500*time.Millisecond, func() { b.lose(media.Posix, 0) })
		b.drive()
		b.run(func(fs env.FS) { seen[string(contents(fs, "a"))] = true })
	}
	if !seen["o"] || !seen["n"] {
		t.Errorf("saw %v", seen)
	}
}

func TestSyncCoversWhatReturnedBeforeItBegan(t *testing.T) {
	b := newBench(t, 1, Options{Times: Times{Sync: Latency{Base: time.Second}}})
	b.run(func(fs env.FS) {
		f := write(fs, "a", []byte("1"))
		must(fs.SyncDir("."))
		b.n.Go("later", func() {
			b.k.Block("test", 500*time.Millisecond)
			must(put(f, "2", 1))
		})
		must(f.Sync())
		if n, _ := b.d.DurableSize("a"); n != 1 {
			t.Errorf("durable size %d", n)
		}
	})
}

func TestFilesAndLocksEndWithTheProcess(t *testing.T) {
	b := newBench(t, 1, Options{})
	var old env.File
	b.run(func(fs env.FS) {
		old = write(fs, "a", []byte("x"))
		_, err := fs.Lock("lock")
		must(err)
		_, err = fs.Lock("lock")
		want(t, "second lock", err, env.ErrLocked)
	})
	b.n.Crash()
	if _, err := old.Size(); !errors.Is(err, env.ErrClosed) || b.d.Misuse().UsedAfterClose != 0 {
		t.Errorf("a dead node's call: %v, misuse %v", err, b.d.Misuse())
	}
	b.n.Restart()
	b.run(func(fs env.FS) {
		_, err := old.Size()
		want(t, "file of the last incarnation", err, env.ErrClosed)
		l, err := fs.Lock("lock")
		must(err)
		must(l.Close())
		want(t, "closing a lock twice", l.Close(), env.ErrClosed)
	})
	if b.d.Misuse().UsedAfterClose != 1 || b.d.Open() != 0 {
		t.Errorf("misuse %v, %d open", b.d.Misuse(), b.d.Open())
	}
}

func TestDeferredCallsOfADeadNodeHaveNoEffect(t *testing.T) {
	b := newBench(t, 1, Options{Times: Times{Sync: Latency{Base: time.Second}}})
	b.crashIn(func(fs env.FS) {
		f := write(fs, "a", []byte("x"))
		defer func() {
			_, err := f.WriteAt([]byte("y"), 0)
			want(t, "write", err, env.ErrClosed)
			want(t, "remove", fs.Remove("a"), env.ErrClosed)
			want(t, "close", f.Close(), env.ErrClosed)
		}()
		must(f.Sync())
	})
	b.run(func(fs env.FS) {
		if got := contents(fs, "a"); string(got) != "x" {
			t.Errorf("read %q", got)
		}
	})
	if b.d.Misuse().UsedAfterClose != 0 {
		t.Errorf("misuse %v", b.d.Misuse())
	}
}

func TestUseAfterClose(t *testing.T) {
	b := newBench(t, 1, Options{})
	b.run(func(fs env.FS) {
		f := write(fs, "a", []byte("x"))
		must(f.Close())
		_, err := get(f, 1, 0)
		want(t, "read", err, env.ErrClosed)
		want(t, "write", put(f, "y", 0), env.ErrClosed)
		want(t, "sync", f.Sync(), env.ErrClosed)
		want(t, "close", f.Close(), env.ErrClosed)
	})
	if b.d.Misuse().UsedAfterClose != 4 {
		t.Errorf("misuse %v", b.d.Misuse())
	}
}

// failure runs f and returns the assertion it fails.
func (b *bench) failure(f func(fs env.FS)) string {
	b.start(f)
	b.k.Run(kafka.Never-1, func() bool { return false })
	for _, p := range b.k.Panics() {
		if a, ok := p.Value.(assert.Failure); ok {
			return a.Message
		}
	}
	return ""
}

func TestOverlappingWritesAreCaught(t *testing.T) {
	for _, c := range []struct {
		off    int64
		caught bool
	}{{0, true}, {9, true}, {10, false}} {
		b := newBench(t, 1, slowWrites())
		msg := b.failure(func(fs env.FS) {
			f, err := fs.OpenFile("a", env.Write|env.Create)
			must(err)
			b.n.Go("other", func() { must(put(f, "0123456789", c.off)) })
			must(put(f, "0123456789", 0))
		})
		if strings.Contains(msg, "overlap") != c.caught {
			t.Errorf("at %d: %q", c.off, msg)
		}
	}
}

func TestBuffersAreFrozenDuringACall(t *testing.T) {
	b := newBench(t, 1, slowWrites())
	msg := b.failure(func(fs env.FS) {
		f, err := fs.OpenFile("a", env.Write|env.Create)
		must(err)
		p := []byte("0123456789")
		b.n.Go("other", func() { p[3] = 'x' })
		_, _ = f.WriteAt(p, 0)
	})
	if !strings.Contains(msg, "changed during the call") {
		t.Errorf("not caught: %q", msg)
	}
	b = newBench(t, 1, Options{Times: Times{Read: Latency{Base: time.Second}}})
	b.run(func(fs env.FS) {
		f := write(fs, "a", []byte("0123456789"))
		p := make([]byte, 10)
		b.n.Go("other", func() {
			if p[3] != 0xdb {
				t.Errorf("a byte of a read under way is %#x", p[3])
			}
		})
		_, err := f.ReadAt(p, 0)
		must(err)
		if string(p) != "0123456789" {
			t.Errorf("read %q", p)
		}
	})
}

func TestCrashesEnumerates(t *testing.T) {
	b := newBench(t, 1, Options{})
	b.run(func(fs env.FS) {
		f := synced(fs, "a", 10)
		must(put(f, "n", 0))
		must(fs.Rename("a", "b"))
	})
	seen := map[string]bool{}
	for c, v := range b.d.Crashes(media.Posix) {
		k := sim.New(sim.Options{Seed: 1})
		w := &bench{t: t, k: k, n: k.NewNode("n1"), d: NewFrom(k, "n1/0", Options{}, v)}
		w.run(func(fs env.FS) {
			names, err := fs.ReadDir(".")
			must(err)
			seen[fmt.Sprint(names, string(contents(fs, names[0])[:1]))] = true
		})
		if len(c.Kept) != 2 {
			t.Errorf("crash %s", c)
		}
	}
	if len(seen) != 4 {
		t.Errorf("saw %v", seen)
	}
	n := 0
	for range b.d.Crashes(media.Prefix) {
		n++
	}
	if n != 3 {
		t.Errorf("%d prefixes", n)
	}
}

func TestALossCanBeRepeated(t *testing.T) {
	run := func(lose func(d *Disk)) string {
		b := newBench(t, 5, Options{})
		b.run(func(fs env.FS) {
			f := synced(fs, "a", 3*media.PageSize)
			must(put(f, strings.Repeat("n", 3*media.PageSize), 0))
			write(fs, "b", []byte("b"))
		})
		b.n.Crash()
		lose(b.d)
		b.n.Restart()
		var out string
		b.run(func(fs env.FS) { out = string(contents(fs, "a")) + string(contents(fs, "b")) })
		return out
	}
	var line string
	first := run(func(d *Disk) { line = d.PowerLoss(media.Posix, media.HardCrash).String() })
	second := run(func(d *Disk) {
		c, err := media.ParseCrash(line)
		must(err)
		if err := d.Lose(media.Crash{Kept: c.Kept[1:]}); err == nil {
			t.Error("took an outcome of other effects")
		}
		must(d.Lose(c))
	})
	if first != second {
		t.Errorf("%s gave another image the second time", line)
	}
}

// workload is a bit of everything, with faults and crashes, from a seed. It adds
// the kinds of faults that struck.
func workload(t *testing.T, seed uint64, struck map[FaultKind]bool) (sim.Chain, []string) {
	k := sim.New(sim.Options{Seed: seed, HoldOneIn: 10, HoldMax: time.Millisecond})
	defer k.Close()
	b := &bench{t: t, k: k, n: k.NewNode("n1"), d: New(k, "n1/0", DrawOptions(k.Rand("options")))}
	for _, kind := range FaultKinds() {
		f := DrawFault(kind, "n1/0", kafka.Instant(4*time.Second), k.Rand("faults"))
		if kind == FaultFull {
			f.N %= media.PageSize // the files here are small
		}
		b.d.Inject(f)
	}
	for range 4 {
		for task := range 3 {
			fs := b.d.FS(b.n)
			b.n.Go(fmt.Sprint("task", task), func() { scribbleFiles(k, fs, fmt.Sprint("f", task)) })
		}
		b.k.Run(b.k.Now().Add(time.Second), func() bool { return false })
		b.n.Crash()
		b.d.PowerLoss(media.DrawProfile(k.Rand("profile")), media.HardCrash|media.StaleTail)
		if err := b.d.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		b.n.Restart()
	}
	if len(k.Panics()) > 0 {
		t.Fatalf("seed %d: %v\n%s", seed, k.Panics()[0], k.Panics()[0].Stack)
	}
	for _, c := range b.d.Struck() {
		struck[c.Kind] = true
	}
	return k.Chain(), b.d.Files()
}

// scribbleFiles does what it can with files of that name; errors are the point.
func scribbleFiles(k *sim.Kernel, fs env.FS, name string) {
	r := k.Rand("workload/" + name)
	data, buf := pattern(10_000, name[1]), make([]byte, 10_000)
	for n := 0; ; n++ {
		k.Block("think", time.Millisecond)
		f, err := fs.OpenFile(fmt.Sprint(name, n%5), env.Write|env.Create)
		if err != nil {
			continue
		}
		for range 5 {
			_, _ = f.WriteAt(data[r.IntN(1000):1000+r.IntN(9000)], r.Int64N(20_000))
			_, _ = f.ReadAt(buf[:1+r.IntN(9000)], r.Int64N(20_000))
		}
		_ = f.Sync()
		_ = f.Truncate(r.Int64N(20_000))
		_ = f.Allocate(r.Int64N(20_000), r.Int64N(20_000))
		_ = f.Close()
		_ = fs.SyncDir(".")
		_ = fs.Rename(fmt.Sprint(name, n%5), fmt.Sprint(name, (n+1)%5))
		_ = fs.Remove(fmt.Sprint(name, r.IntN(5)))
		_, _ = fs.ReadDir(".")
	}
}

func TestOneSeedIsOneRun(t *testing.T) {
	chains, struck := map[sim.Chain]bool{}, map[FaultKind]bool{}
	seeds := uint64(20)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		first, files := workload(t, seed, struck)
		second, again := workload(t, seed, struck)
		if first != second || !slices.Equal(files, again) {
			t.Fatalf("seed %d: chains %s and %s, files %v and %v", seed, first, second, files, again)
		}
		chains[first] = true
	}
	if len(chains) != int(seeds) {
		t.Errorf("%d chains of %d seeds", len(chains), seeds)
	}
	for _, kind := range FaultKinds() {
		if !struck[kind] && !testing.Short() {
			t.Errorf("%s never struck", kind)
		}
	}
}
