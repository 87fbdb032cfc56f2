package disksim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A bench is one node with one disk.
type bench struct {
	t testing.TB
	k *sim.Kernel
	n *sim.Node
	d *Disk
}

func newBench(t testing.TB, seed uint64, o Options) *bench {
	k := sim.New(sim.Options{Seed: seed})
	n := k.NewNode("n1")
	b := &bench{t: t, k: k, n: n, d: New(k, "n1/0", o)}
	t.Cleanup(k.Close)
	return b
}

// run runs f as a task to its end.
func (b *bench) run(f func(fs env.FS)) {
	b.t.Helper()
	done := false
	b.start(func(fs env.FS) { f(fs); done = true })
	b.drive()
	if !done {
		b.t.Fatal("the task never came to its end")
	}
}

func (b *bench) start(f func(fs env.FS)) {
	fs := b.d.FS(b.n)
	b.n.Go("test", func() { f(fs) })
}

func (b *bench) drive() {
	b.t.Helper()
	if end := b.k.Run(kafka.Never-1, func() bool { return false }); end != sim.Idle {
		b.t.Fatalf("run ended %s: %v", end, b.k.Panics())
	}
	if err := b.d.Check(); err != nil {
		b.t.Fatal(err)
	}
}

// lose crashes the machine.
func (b *bench) lose(p media.Profile, m media.Modifiers) media.Crash {
	b.n.Crash()
	c := b.d.PowerLoss(p, m)
	b.n.Restart()
	return c
}

// must stops the test on an error; it is for use inside tasks.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// write makes a file with some bytes, and leaves it open.
func write(fs env.FS, name string, data []byte) env.File {
	f, err := fs.OpenFile(name, env.Write|env.Create)
	must(err)
	n, err := f.WriteAt(data, 0)
	must(err)
	if n != len(data) {
		panic("short write")
	}
	return f
}

// contents reads a whole file; nil if there is none.
func contents(fs env.FS, name string) []byte {
	f, err := fs.OpenFile(name, env.ReadOnly)
	if errors.Is(err, env.ErrNotExist) {
		return nil
	}
	must(err)
	size, err := f.Size()
	must(err)
	p := make([]byte, size)
	_, err = f.ReadAt(p, 0)
	must(err)
	must(f.Close())
	return p
}

// prefixOf reads the first n bytes of a file, or what there is.
func prefixOf(fs env.FS, name string, n int) []byte {
	f, err := fs.OpenFile(name, env.ReadOnly)
	must(err)
	p := make([]byte, n)
	n, err = f.ReadAt(p, 0)
	if err != io.EOF {
		must(err)
	}
	return p[:n]
}

func pattern(n int, salt byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i/7) ^ byte(i*31) ^ salt | 1
	}
	return p
}

func TestReadsWhatWasWritten(t *testing.T) {
	b := newBench(t, 1, Options{Times: NVMe()})
	data := pattern(10_000, 3)
	b.run(func(fs env.FS) {
		must(fs.Mkdir("logs"))
		f := write(fs, "logs/a", data)
		must(f.Close())
		if got := contents(fs, "logs/a"); !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, other than the %d written", len(got), len(data))
		}
	})
	if b.d.Open() != 0 {
		t.Errorf("%d files are open", b.d.Open())
	}
}

func TestWhatIsSyncedSurvivesEveryProfile(t *testing.T) {
	for _, p := range []media.Profile{media.Posix, media.Ext4Ordered, media.XFSLike, media.Prefix} {
		for seed := range uint64(30) {
			b := newBench(t, seed, Options{Times: NVMe()})
			data := pattern(9_216, byte(seed))
			b.run(func(fs env.FS) {
				f := write(fs, "a", data)
				must(f.Sync())
				must(fs.SyncDir("."))
				if _, err := f.WriteAt([]byte("more"), 9_216); err != nil {
					panic(err)
				}
			})
			c := b.lose(p, media.HardCrash|media.StaleTail)
			b.run(func(fs env.FS) {
				// The unsynced bytes begin at a sector, which may be unreadable.
				if got := prefixOf(fs, "a", len(data)); len(got) < len(data) || !bytes.Equal(got[:len(data)], data) {
					t.Errorf("%s seed %d: synced bytes are gone after %s", p, seed, c)
				}
			})
		}
	}
}

func TestCloseDuringAWrite(t *testing.T) {
	b := newBench(t, 1, slowWrites())
	b.run(func(fs env.FS) {
		f, err := fs.OpenFile("a", env.Write|env.Create)
		must(err)
		must(fs.Remove("a"))
		must(fs.SyncDir("."))
		b.n.Go("other", func() { must(f.Close()) })
		want(t, "write", put(f, "x", 0), nil)
	})
	b.run(func(fs env.FS) {
		if free, total, _ := fs.Usage(); free != total {
			t.Errorf("%d of %d bytes free", free, total)
		}
	})
}

func TestWritingNothingDoesNothing(t *testing.T) {
	b := newBench(t, 1, Options{Capacity: media.PageSize})
	b.run(func(fs env.FS) {
		f := synced(fs, "a", media.PageSize)
		n, err := f.WriteAt(nil, 1<<20)
		if n != 0 || err != nil {
			t.Errorf("wrote %d: %v", n, err)
		}
		n, err = f.WriteAt([]byte("x"), 1<<20)
		if n != 0 || !errors.Is(err, env.ErrNoSpace) {
			t.Errorf("wrote %d: %v", n, err)
		}
		if n, _ := f.Size(); n != media.PageSize {
			t.Errorf("size %d", n)
		}
	})
}

func TestReadDirIsShuffled(t *testing.T) {
	b := newBench(t, 1, Options{})
	seen := map[string]bool{}
	b.run(func(fs env.FS) {
		for _, name := range []string{"a", "b", "c"} {
			synced(fs, name, 1)
		}
		for range 50 {
			names, err := fs.ReadDir(".")
			must(err)
			seen[strings.Join(names, "")] = true
		}
	})
	if len(seen) != 6 {
		t.Errorf("orders %v", seen)
	}
}

func TestOpenFlags(t *testing.T) {
	b := newBench(t, 1, Options{MaxOpen: 2})
	b.run(func(fs env.FS) {
		must(synced(fs, "a", 10).Close())
		_, err := fs.OpenFile("b", env.Write)
		want(t, "open of nothing", err, env.ErrNotExist)
		_, err = fs.OpenFile("a", env.Write|env.Create|env.Exclusive)
		want(t, "exclusive", err, env.ErrExist)
		f, err := fs.OpenFile("a", env.ReadOnly)
		must(err)
		want(t, "write to a file open for reading", put(f, "x", 0), env.ErrReadOnly)
		g, err := fs.OpenFile("a", env.Write|env.Trunc)
		must(err)
		if n, _ := g.Size(); n != 0 {
			t.Errorf("size %d after Trunc", n)
		}
		_, err = fs.OpenFile("a", env.ReadOnly)
		want(t, "third file", err, env.ErrTooManyFiles)
		must(fs.Mkdir("d"))
		must(f.Close())
		_, err = fs.OpenFile("d", env.ReadOnly)
		want(t, "open of a directory", err, env.ErrExist)
		info, err := fs.Stat("d")
		if must(err); !info.IsDir {
			t.Error("not a directory")
		}
	})
}

func TestSlowNodesHaveSlowDisks(t *testing.T) {
	b := newBench(t, 1, Options{Times: Times{Sync: Latency{Base: time.Millisecond}}})
	b.run(func(fs env.FS) {
		f := synced(fs, "a", 1)
		b.n.SetSlowness(30)
		began := b.k.Now()
		must(f.Sync())
		if d := b.k.Now().Sub(began); d < 30*time.Millisecond {
			t.Errorf("took %s", d)
		}
	})
}

func TestTimesAreDrawn(t *testing.T) {
	times := NVMe()
	b := newBench(t, 1, Options{})
	r := b.k.Rand("x")
	var low, high time.Duration = time.Hour, 0
	for range 10_000 {
		d := times.Sync.draw(r, 1)
		low, high = min(low, d), max(high, d)
	}
	if low < times.Sync.Base || low > times.Sync.Base+times.Sync.Spread/10 || high < 10*time.Millisecond || high > 21*time.Millisecond {
		t.Errorf("between %s and %s", low, high)
	}
}

func TestWritesBackByItself(t *testing.T) {
	b := newBench(t, 1, Options{MaxPending: 100, WriteBackEvery: time.Second})
	b.run(func(fs env.FS) {
		f := write(fs, "a", []byte("x"))
		b.k.Block("test", 3*time.Second)
		_, _ = f.Size()
		_, _ = f.Size()
		b.k.Block("test", 3*time.Second)
		_, _ = f.Size()
		if n, err := b.d.DurableSize("a"); n != 1 || err != nil {
			t.Errorf("durable size %d, %v", n, err)
		}
		for i := range int64(1000) {
			must(put(f, "x", i))
			if b.d.Pending() > 110 {
				t.Fatalf("%d effects pending", b.d.Pending())
			}
		}
	})
}

func TestReplacedDiskStartsAnew(t *testing.T) {
	b := newBench(t, 1, Options{})
	b.run(func(fs env.FS) {
		synced(fs, "a", 10_000)
		b.k.Block("test", 6*time.Second) // into the next generation of writing back
		_, _ = fs.Stat("a")
	})
	b.n.Crash()
	b.d.Replace(media.New(1 << 20))
	b.n.Restart()
	b.run(func(fs env.FS) {
		if got := contents(fs, "a"); got != nil {
			t.Errorf("%d bytes of the old disk", len(got))
		}
		write(fs, "b", []byte("x"))
		for range 3 {
			_, _ = fs.Stat("b")
		}
		if _, err := b.d.DurableSize("b"); !errors.Is(err, env.ErrNotExist) {
			t.Errorf("written back at once: %v", err)
		}
	})
}

func TestBigDisk(t *testing.T) {
	b := newBench(t, 1, Options{})
	b.run(func(fs env.FS) {
		f := synced(fs, "a", 1)
		chunk := pattern(1<<20, 9)
		for i := range int64(100) {
			_, err := f.WriteAt(chunk, i<<20)
			must(err)
			must(f.Sync())
		}
	})
	b.lose(media.Posix, 0)
	b.run(func(fs env.FS) {
		if got := contents(fs, "a"); len(got) != 100<<20 || !bytes.Equal(got[:1<<20], got[99<<20:]) {
			t.Errorf("read %d bytes", len(got))
		}
	})
}

func TestReadSeesSomeOfAWriteUnderWay(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(40) {
		b := newBench(t, seed, Options{})
		b.run(func(fs env.FS) {
			f := synced(fs, "a", 3*media.PageSize)
			b.d.options.Times.Write = Latency{Base: time.Second}
			b.n.Go("writer", func() {
				must(put(f, strings.Repeat("n", 2*media.PageSize), 100))
			})
			b.k.Block("test", time.Millisecond)
			s, err := get(f, 3*media.PageSize-50, 50)
			must(err)
			seen[fmt.Sprint(strings.Index(s, "n"), strings.Count(s, "n"))] = true
		})
	}
	if !seen["-1 0"] || !seen["50 3996"] || !seen["50 8092"] || !seen["50 8192"] || len(seen) != 4 {
		t.Errorf("first new byte and how many: %v", seen)
	}
}
