package disksim

import (
	"bytes"
	"errors"
	"io"
	"testing"

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
	b.start(f)
	b.drive()
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
