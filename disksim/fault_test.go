package disksim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

// synced makes a file of n bytes that a power loss leaves, and leaves it open.
func synced(fs env.FS, name string, n int) env.File {
	f := write(fs, name, bytes.Repeat([]byte{'o'}, n))
	must(f.Sync())
	must(fs.SyncDir("."))
	return f
}

func fault(kind FaultKind) Fault { return Fault{Kind: kind, Disk: "n1/0", Path: "*"} }

func once(kind FaultKind) Fault {
	f := fault(kind)
	f.Times = 1
	return f
}

func want(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func put(f env.File, s string, off int64) error {
	n, err := f.WriteAt([]byte(s), off)
	if err == nil && n != len(s) {
		return io.ErrShortWrite
	}
	return err
}

func get(f env.File, n int, off int64) (string, error) {
	p := make([]byte, n)
	n, err := f.ReadAt(p, off)
	return string(p[:n]), err
}

func durable(b *bench, name string, n int) string {
	p := make([]byte, n)
	n, err := b.d.ReadDurable(name, p, 0)
	if err != nil {
		return err.Error()
	}
	return string(p[:n])
}

// effects has a check for every kind of fault: what it does to a file "a" of two
// durable pages full of 'o'.
var effects = map[FaultKind]func(t *testing.T, b *bench, fs env.FS, f env.File){
	FaultShortRead: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		once(FaultShortRead).Apply(b.d)
		s, err := get(f, 1000, 0)
		if len(s) == 0 || len(s) >= 1000 || err != nil {
			t.Errorf("read %d of 1000: %v", len(s), err)
		}
		s, err = get(f, 1000, 0)
		if len(s) != 1000 || err != nil {
			t.Errorf("afterwards read %d: %v", len(s), err)
		}
	},
	FaultShortWrite: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		once(FaultShortWrite).Apply(b.d)
		n, err := f.WriteAt(bytes.Repeat([]byte{'n'}, 1000), 0)
		if n == 0 || n >= 1000 || err != nil {
			t.Errorf("wrote %d of 1000: %v", n, err)
		}
		if s, _ := get(f, 1000, 0); bytes.Count([]byte(s), []byte{'n'}) != n {
			t.Errorf("said %d, wrote %d", n, bytes.Count([]byte(s), []byte{'n'}))
		}
	},
	FaultReadError: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		sticky := fault(FaultReadError)
		sticky.Path = "b*"
		sticky.Apply(b.d)
		g := synced(fs, "bad", 10)
		for range 3 {
			_, err := get(g, 1, 0)
			want(t, "read", err, env.ErrIO)
		}
		_, err := get(f, 1, 0)
		want(t, "read of another file", err, nil)
	},
	FaultWriteError: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		fault(FaultWriteError).Apply(b.d)
		seen := map[int]bool{}
		for i := range 30 {
			data := bytes.Repeat([]byte{byte(i)}, 2*media.PageSize)
			n, err := f.WriteAt(data, 0)
			want(t, "write", err, env.ErrIO)
			s, _ := get(f, len(data), 0)
			seen[bytes.Count([]byte(s), []byte{byte(i)})] = true
			if n != 0 {
				t.Errorf("wrote %d with an error", n)
			}
		}
		if !seen[0] || !seen[media.PageSize] || !seen[2*media.PageSize] || len(seen) != 3 {
			t.Errorf("wrote %v", seen)
		}
	},
	FaultMetaError: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		fault(FaultMetaError).Apply(b.d)
		_, err := fs.OpenFile("a", env.ReadOnly)
		want(t, "open", err, env.ErrIO)
		_, err = fs.Stat("a")
		want(t, "stat", err, env.ErrIO)
		done := 0
		for i := range 30 {
			want(t, "mkdir", fs.Mkdir(fmt.Sprint("d", i)), env.ErrIO)
			if _, err := b.d.v.Lookup(fmt.Sprint("d", i)); err == nil {
				done++
			}
		}
		if done == 0 || done == 30 {
			t.Errorf("%d of 30 took effect", done)
		}
	},
	FaultSyncDirError: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		must(fs.Rename("a", "b"))
		once(FaultSyncDirError).Apply(b.d)
		want(t, "syncdir", fs.SyncDir("."), env.ErrIO)
		if got := b.d.NotSynced(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("not synced: %v", got)
		}
		must(fs.SyncDir("."))
		if got := b.d.NotSynced(); len(got) > 0 {
			t.Errorf("not synced: %v", got)
		}
	},
	FaultSyncError:   syncFails(FaultSyncError, env.ErrIO, "n", "n"),
	FaultSyncKeep:    syncFails(FaultSyncKeep, env.ErrIO, "n", "o"),
	FaultSyncRevert:  syncFails(FaultSyncRevert, env.ErrIO, "o", "o"),
	FaultSyncNoSpace: syncFails(FaultSyncNoSpace, env.ErrNoSpace, "n", "o"),
	FaultSyncLate: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		once(FaultSyncLate).Apply(b.d)
		must(put(f, "n", 0))
		want(t, "sync", f.Sync(), nil)
		if durable(b, "a", 1) != "o" {
			t.Error("it is durable")
		}
		want(t, "second sync", f.Sync(), env.ErrIO)
		want(t, "third sync", f.Sync(), nil)
		if durable(b, "a", 1) != "o" {
			t.Error("it is durable in the end")
		}
	},
	FaultSyncOthers: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		other, err := fs.OpenFile("a", env.Write)
		must(err)
		once(FaultSyncOthers).Apply(b.d)
		must(put(f, "n", 0))
		want(t, "sync", f.Sync(), env.ErrIO)
		later, err := fs.OpenFile("a", env.Write)
		must(err)
		want(t, "sync of a later descriptor", later.Sync(), nil)
		want(t, "second sync", f.Sync(), nil)
		want(t, "sync of another descriptor", other.Sync(), env.ErrIO)
		want(t, "sync of another descriptor, again", other.Sync(), nil)
		if durable(b, "a", 1) != "o" {
			t.Error("it is durable")
		}
	},
	FaultShutdown: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		once(FaultShutdown).Apply(b.d)
		must(put(f, "n", 0))
		want(t, "sync", f.Sync(), env.ErrIO)
		want(t, "sync again", f.Sync(), env.ErrIO)
		want(t, "write", put(f, "n", 0), env.ErrIO)
		want(t, "mkdir", fs.Mkdir("d"), env.ErrIO)
		_, err := get(f, 1, 0)
		want(t, "read", err, nil)
	},
	FaultSyncLies: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		lie := fault(FaultSyncLies)
		lie.For = time.Second
		lie.Apply(b.d)
		must(put(f, "n", 0))
		want(t, "sync", f.Sync(), nil)
		if durable(b, "a", 1) != "o" {
			t.Error("it is durable at once")
		}
		for range 3 { // what is written back is older than a generation
			_, _ = f.Size()
			b.k.Block("test", 6*time.Second)
		}
		if durable(b, "a", 1) != "n" {
			t.Error("it never became durable")
		}
	},
	FaultFull: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		full := fault(FaultFull)
		full.N, full.For = 3*media.PageSize, time.Second
		full.Apply(b.d)
		written, failed := int64(0), false
		for i := 0; i < 10 && !failed; i++ {
			n, err := f.WriteAt(make([]byte, 2*media.PageSize), 2*media.PageSize+written)
			written += int64(n)
			if failed = err != nil; failed {
				want(t, "write", err, env.ErrNoSpace)
			}
		}
		if !failed || written != 3*media.PageSize {
			t.Errorf("wrote %d bytes, failed: %t", written, failed)
		}
		want(t, "overwrite", put(f, "n", 0), nil)
		if free, _, _ := fs.Usage(); free != 0 {
			t.Errorf("%d bytes free", free)
		}
		b.k.Block("test", time.Second)
		want(t, "write after space returned", put(f, "n", 1<<20), nil)
	},
	FaultReadOnly: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		fault(FaultReadOnly).Apply(b.d)
		want(t, "write", put(f, "n", 0), env.ErrReadOnly)
		want(t, "truncate", f.Truncate(0), env.ErrReadOnly)
		want(t, "rename", fs.Rename("a", "b"), env.ErrReadOnly)
		_, err := fs.OpenFile("c", env.Write|env.Create)
		want(t, "create", err, env.ErrReadOnly)
		_, err = fs.OpenFile("a", env.ReadOnly)
		want(t, "open for reading", err, nil)
		b.d.Heal()
		want(t, "write after heal", put(f, "n", 0), nil)
	},
	FaultTooManyFiles: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		once(FaultTooManyFiles).Apply(b.d)
		_, err := fs.OpenFile("a", env.ReadOnly)
		want(t, "open", err, env.ErrTooManyFiles)
		_, err = fs.OpenFile("a", env.ReadOnly)
		want(t, "open again", err, nil)
	},
	FaultSlow: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		b.d.options.Times.Sync = Latency{Base: time.Millisecond}
		slow := fault(FaultSlow)
		slow.N = 70
		slow.Apply(b.d)
		began := b.k.Now()
		must(f.Sync())
		if d := b.k.Now().Sub(began); d != 70*time.Millisecond {
			t.Errorf("took %s", d)
		}
	},
	FaultStall: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		stall := fault(FaultStall)
		stall.For = 30 * time.Second
		stall.Apply(b.d)
		began := b.k.Now()
		must(f.Sync())
		if d := b.k.Now().Sub(began); d != 30*time.Second {
			t.Errorf("took %s", d)
		}
		stall.For = 0
		stall.Apply(b.d)
		b.k.After(time.Minute, b.d.Heal)
		began = b.k.Now()
		must(f.Sync())
		if d := b.k.Now().Sub(began); d != time.Minute {
			t.Errorf("took %s until heal", d)
		}
	},
	FaultMisread: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		once(FaultMisread).Apply(b.d)
		for i, want := range []int{2*media.PageSize - 1, 2 * media.PageSize} {
			s, err := get(f, 2*media.PageSize, 0)
			if n := bytes.Count([]byte(s), []byte{'o'}); n != want || err != nil {
				t.Errorf("read %d: %d bytes as before, want %d: %v", i, n, want, err)
			}
		}
	},
	FaultRot: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		if !fault(FaultRot).Apply(b.d) {
			t.Error("no effect")
		}
		s, _ := get(f, 2*media.PageSize, 0)
		if n := bytes.Count([]byte(s), []byte{'o'}); n != 2*media.PageSize-1 {
			t.Errorf("%d bytes as before", n)
		}
	},
	FaultBadSector: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		fault(FaultBadSector).Apply(b.d)
		_, err := get(f, 2*media.PageSize, 0)
		want(t, "read", err, env.ErrIO)
		must(put(f, string(make([]byte, 2*media.PageSize)), 0))
		_, err = get(f, 2*media.PageSize, 0)
		want(t, "read after rewriting", err, nil)
	},
	FaultMisdirect: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		once(FaultMisdirect).Apply(b.d)
		want(t, "write", put(f, "n", 7), nil)
		must(f.Sync())
		if s := durable(b, "a", 2*media.PageSize); s[7] != 'o' || s[media.PageSize+7] != 'n' {
			t.Errorf("durable %c, %c", s[7], s[media.PageSize+7])
		}
	},
	FaultLostWrite: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		once(FaultLostWrite).Apply(b.d)
		want(t, "write", put(f, "n", 0), nil)
		want(t, "sync", f.Sync(), nil)
		if s, _ := get(f, 1, 0); s != "n" || durable(b, "a", 1) != "o" {
			t.Errorf("seen %s, durable %s", s, durable(b, "a", 1))
		}
	},
	FaultEmpty: func(t *testing.T, b *bench, fs env.FS, f env.File) { fault(FaultEmpty).Apply(b.d) },
	FaultOld: func(t *testing.T, b *bench, fs env.FS, f env.File) {
		fault(FaultOld).Apply(b.d)
		must(put(f, "n", 0))
		must(f.Sync())
	},
}

// syncFails checks a sync that fails once: what is seen, and what is durable after
// a second one that succeeds.
func syncFails(kind FaultKind, err error, seen, stored string) func(*testing.T, *bench, env.FS, env.File) {
	return func(t *testing.T, b *bench, fs env.FS, f env.File) {
		once(kind).Apply(b.d)
		must(put(f, "n", 0))
		want(t, "sync", f.Sync(), err)
		if s, _ := get(f, 1, 0); s != seen || durable(b, "a", 1) != "o" {
			t.Errorf("seen %s, durable %s", s, durable(b, "a", 1))
		}
		if s := b.d.Suspect("a"); !slices.Equal(s, []media.Range{{Off: 0, End: media.SectorSize}}) {
			t.Errorf("suspect: %v", s)
		}
		want(t, "second sync", f.Sync(), nil)
		if durable(b, "a", 1) != stored {
			t.Errorf("durable after the second sync: %s", durable(b, "a", 1))
		}
		if len(b.d.Suspect("a")) == 0 {
			t.Error("the second sync is believed")
		}
	}
}

// afterCrash has what those kinds do that wait for one.
var afterCrash = map[FaultKind]string{FaultEmpty: "", FaultOld: "o"}

func TestEachKindOfFaultDoesWhatItSays(t *testing.T) {
	for _, kind := range FaultKinds() {
		t.Run(string(kind), func(t *testing.T) {
			if effects[kind] == nil {
				t.Fatal("nobody checks it")
			}
			b := newBench(t, 7, Options{})
			b.run(func(fs env.FS) {
				f := synced(fs, "a", 2*media.PageSize)
				effects[kind](t, b, fs, f)
			})
			if first, waits := afterCrash[kind]; waits {
				b.n.Crash()
				b.n.Restart()
				b.run(func(fs env.FS) {
					if got := contents(fs, "a"); string(got[:min(1, len(got))]) != first {
						t.Errorf("after the crash %q, want %q", got[:1], first)
					}
				})
			}
			whole := kind == FaultEmpty || kind == FaultOld
			if (len(b.d.Damages()) > 0) != (kind.Destroys() && !whole) {
				t.Errorf("damages: %v", b.d.Damages())
			}
			for _, hurt := range b.d.Damages() {
				if hurt.Kind != kind || hurt.Path != "a" || hurt.Off >= hurt.End {
					t.Errorf("damage: %v", hurt)
				}
			}
			if !slices.ContainsFunc(b.d.Struck(), func(c Count) bool { return c.Kind == kind && c.N > 0 }) {
				t.Errorf("not counted: %v", b.d.Struck())
			}
		})
	}
}

func TestStallOrSlownessIsCountedOnlyWhenItStrikes(t *testing.T) {
	b := newBench(t, 1, Options{})
	f := fault(FaultStall)
	f.Path = "other"
	f.Apply(b.d)
	b.run(func(fs env.FS) { synced(fs, "a", 1) })
	if len(b.d.Struck()) != 0 {
		t.Errorf("struck: %v", b.d.Struck())
	}
}

func TestFaultsHaveTheirTime(t *testing.T) {
	b := newBench(t, 1, Options{})
	f := fault(FaultReadError)
	f.At, f.For = kafka.Instant(time.Second), time.Second
	b.d.Inject(f)
	b.run(func(fs env.FS) {
		file := synced(fs, "a", 1)
		for _, c := range []struct {
			at  time.Duration
			err error
		}{{900, nil}, {1100, env.ErrIO}, {1900, env.ErrIO}, {2100, nil}} {
			b.k.Block("test", kafka.Instant(c.at*time.Millisecond).Sub(b.k.Now()))
			_, err := get(file, 1, 0)
			want(t, c.at.String(), err, c.err)
		}
	})
}

func TestHealIsForGood(t *testing.T) {
	b := newBench(t, 1, Options{})
	for _, kind := range FaultKinds() {
		f := fault(kind)
		f.For = time.Second
		f.Apply(b.d)
	}
	b.d.Heal()
	for _, kind := range FaultKinds() {
		if fault(kind).Apply(b.d) {
			t.Errorf("%s took effect after Heal", kind)
		}
		b.d.Inject(fault(kind))
	}
	b.run(func(fs env.FS) {
		f := synced(fs, "a", 10_000)
		_, err := get(f, 10_000, 0)
		must(err)
	})
	if len(b.d.Struck()) != 0 {
		t.Errorf("struck: %v", b.d.Struck())
	}
}

func TestHealMendsSectors(t *testing.T) {
	b := newBench(t, 1, Options{})
	b.run(func(fs env.FS) {
		f := synced(fs, "a", 10)
		fault(FaultBadSector).Apply(b.d)
		_, err := get(f, 10, 0)
		want(t, "read", err, env.ErrIO)
		b.d.Heal()
		_, err = get(f, 10, 0)
		want(t, "read after heal", err, nil)
	})
}

func TestHealForgivesOwedErrors(t *testing.T) {
	b := newBench(t, 1, Options{})
	b.run(func(fs env.FS) {
		f := synced(fs, "a", 10)
		once(FaultSyncLate).Apply(b.d)
		want(t, "sync", f.Sync(), nil)
		b.d.Heal()
		want(t, "sync after heal", f.Sync(), nil)
	})
}

func TestShutdownLastsUntilTheMachineRestarts(t *testing.T) {
	b := newBench(t, 1, Options{})
	tries := func(err error) {
		b.run(func(fs env.FS) { want(t, "mkdir", fs.Mkdir("d"), err) })
	}
	b.run(func(fs env.FS) {
		f := synced(fs, "a", 10)
		once(FaultShutdown).Apply(b.d)
		want(t, "sync", f.Sync(), env.ErrIO)
	})
	b.n.Crash()
	b.n.Restart()
	tries(env.ErrIO)
	b.lose(media.Posix, 0)
	tries(nil)
}

func TestOneInIsAboutRight(t *testing.T) {
	b := newBench(t, 1, Options{})
	f := fault(FaultReadError)
	f.OneIn = 4
	f.Apply(b.d)
	failed := 0
	b.run(func(fs env.FS) {
		file := synced(fs, "a", 1)
		for range 1000 {
			if _, err := get(file, 1, 0); err != nil {
				failed++
			}
		}
	})
	if failed < 180 || failed > 320 {
		t.Errorf("%d of 1000 failed", failed)
	}
}

func TestFaultTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Fault{
			Kind:  rapid.SampledFrom(FaultKinds()).Draw(t, "kind"),
			Disk:  rapid.StringMatching(`[a-z0-9/]+`).Draw(t, "disk"),
			Path:  rapid.StringMatching(`[a-z0-9/.*=-]*`).Draw(t, "path"),
			At:    kafka.Instant(rapid.Int64Min(0).Draw(t, "at")),
			For:   time.Duration(rapid.Int64Min(0).Draw(t, "for")),
			Times: rapid.Int64().Draw(t, "times"),
			OneIn: rapid.Int64().Draw(t, "onein"),
			N:     rapid.Int64().Draw(t, "n"),
		}
		back, err := ParseFault(f.String())
		if err != nil || back != f {
			t.Fatalf("%s: %+v, %v", f, back, err)
		}
	})
	for _, bad := range []string{"", "disk-melts disk=a", "disk-rot", "disk-rot disk=a x=1", "disk-rot disk=a n=x"} {
		if _, err := ParseFault(bad); err == nil {
			t.Errorf("read %q", bad)
		}
	}
}

func TestDrawnFaultsAreReadBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, kind := range FaultKinds() {
		for range 50 {
			f := DrawFault(kind, "n1/0", kafka.Instant(time.Minute), r)
			if back, err := ParseFault(f.String()); err != nil || back != f {
				t.Fatalf("%s: %v", f, err)
			}
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		fits          bool
	}{
		{"*", "", true}, {"*", "a/b", true}, {"a", "a", true}, {"a", "ab", false},
		{"a*", "abc", true}, {"*.log", "t-0/0.log", true}, {"*.log", "t-0/0.log.deleted", false},
		{"t-*/*.log", "t-0/0.log", true}, {"a*b*c", "abbc", true}, {"a*b*c", "acb", false}, {"", "", true}, {"", "a", false},
	} {
		if matches(c.pattern, c.name) != c.fits {
			t.Errorf("%q fits %q: %t", c.name, c.pattern, !c.fits)
		}
	}
}
