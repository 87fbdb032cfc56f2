package media

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/env"
	"pgregory.net/rapid"
)

// make1 returns a volume with a file of n bytes, synced with its name.
func make1(t *testing.T, n int) (*Volume, *Inode) {
	t.Helper()
	v := New(1 << 30)
	i, err := v.Create("a", Regular)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, v, i, 0, n, 'o')
	v.Sync(i, v.Seq())
	v.SyncDir(v.root, v.Seq())
	return v, i
}

func fill(t *testing.T, v *Volume, i *Inode, off int64, n int, b byte) {
	t.Helper()
	if m, err := v.Write(i, bytes.Repeat([]byte{b}, n), off); m != n || err != nil {
		t.Fatalf("wrote %d of %d: %v", m, n, err)
	}
}

func text(v *Volume, name string) string {
	i, err := v.Lookup(name)
	if err != nil {
		return "none"
	}
	p := make([]byte, i.Size())
	_, _ = v.Read(i, p, 0) // the only error is the end of the file
	return string(p)
}

// outcomesOf draws many crashes of the same moment and returns what name holds
// after each, shortened by sum.
func outcomesOf(v *Volume, p Profile, m Modifiers, name string, sum func(string) string) map[string]int {
	seen := map[string]int{}
	for seed := range uint64(400) {
		left := v.Clone()
		left.PowerLoss(left.Draw(p, m, rand.New(rand.NewPCG(seed, 0))))
		seen[sum(text(left, name))]++
	}
	return seen
}

func wantSeen(t *testing.T, seen map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("never saw %q, only %v", w, seen)
		}
	}
}

func TestUnsyncedOverwriteIsOldNewOrTorn(t *testing.T) {
	v, i := make1(t, 2*PageSize)
	fill(t, v, i, 0, 2*PageSize, 'n')
	seen := outcomesOf(v, Posix, 0, "a", func(s string) string {
		var b strings.Builder
		for _, page := range []string{s[:PageSize], s[PageSize:]} {
			switch n := strings.Count(page, "n"); {
			case n%SectorSize != 0:
				b.WriteString("!")
			case n == 0:
				b.WriteString("o")
			case n == PageSize:
				b.WriteString("n")
			default:
				b.WriteString("t")
			}
		}
		return b.String()
	})
	wantSeen(t, seen, "oo", "nn", "on", "no", "tn", "nt", "to", "ot")
	for what := range seen {
		if strings.Contains(what, "!") {
			t.Errorf("a sector was torn inside: %v", seen)
		}
	}
}

// grown sums up what happened to a file of one page that grew by another.
func grown(s string) string {
	switch {
	case len(s) == PageSize:
		return "short"
	case strings.Count(s, "n") == PageSize:
		return "new"
	case strings.Count(s, "\x00") == PageSize:
		return "zeros"
	}
	return "torn"
}

func TestUnsyncedGrowth(t *testing.T) {
	v, i := make1(t, PageSize)
	fill(t, v, i, PageSize, PageSize, 'n')
	wantSeen(t, outcomesOf(v, Posix, 0, "a", grown), "short", "new", "zeros", "torn")
	for _, p := range []Profile{Ext4Ordered, XFSLike, Prefix} {
		seen := outcomesOf(v, p, 0, "a", grown)
		wantSeen(t, seen, "short", "new")
		if seen["zeros"]+seen["torn"] > 0 {
			t.Errorf("%s: a longer file without its data: %v", p, seen)
		}
	}
}

func TestStaleTailShowsFreedBytes(t *testing.T) {
	v, i := make1(t, PageSize)
	old, err := v.Create("old", Regular)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, v, old, 0, PageSize, 's')
	v.Sync(old, v.Seq())
	if err := v.Remove("old"); err != nil {
		t.Fatal(err)
	}
	v.SyncDir(v.root, v.Seq())
	fill(t, v, i, PageSize, PageSize, 'n')
	stale := func(s string) string {
		if strings.Count(s, "s") == PageSize {
			return "stale"
		}
		return grown(s)
	}
	wantSeen(t, outcomesOf(v, Posix, StaleTail, "a", stale), "short", "new", "stale")
	if seen := outcomesOf(v, Posix, 0, "a", stale); seen["stale"] > 0 {
		t.Errorf("stale bytes without the modifier: %v", seen)
	}
}

func TestHardCrashHurtsOnlyWhatWasInFlight(t *testing.T) {
	v, i := make1(t, 2*PageSize)
	fill(t, v, i, PageSize, SectorSize, 'n')
	seen := map[string]int{}
	for seed := range uint64(400) {
		left := v.Clone()
		left.PowerLoss(left.Draw(Posix, HardCrash, rand.New(rand.NewPCG(seed, 0))))
		f, _ := left.Lookup("a")
		s := text(left, "a")
		if left.Bad(f, 0, PageSize) || left.Bad(f, PageSize+SectorSize, PageSize-SectorSize) ||
			s[:PageSize] != strings.Repeat("o", PageSize) ||
			s[PageSize+SectorSize:] != strings.Repeat("o", PageSize-SectorSize) {
			t.Fatalf("seed %d: a sector that was not written is hurt", seed)
		}
		switch sector := s[PageSize : PageSize+SectorSize]; {
		case left.Bad(f, PageSize, 1):
			seen["bad"]++
		case strings.Count(sector, "n") == SectorSize:
			seen["new"]++
		case strings.Count(sector, "o") == SectorSize:
			seen["old"]++
		default:
			seen["noise"]++
		}
	}
	wantSeen(t, seen, "bad", "new", "old", "noise")
}

func TestUnsyncedTruncateCanBeUndone(t *testing.T) {
	v, i := make1(t, 2*PageSize)
	v.Truncate(i, 10)
	seen := outcomesOf(v, Posix, 0, "a", func(s string) string {
		if len(s) == 10 {
			return "cut"
		}
		return "back"
	})
	wantSeen(t, seen, "cut", "back")
}

func TestGrowingAgainShowsZeros(t *testing.T) {
	v, i := make1(t, 2*PageSize)
	v.Truncate(i, 10)
	v.Truncate(i, PageSize)
	v.Sync(i, v.Seq())
	v.PowerLoss(v.Draw(Posix, StaleTail, rand.New(rand.NewPCG(1, 1))))
	if s := text(v, "a"); len(s) != PageSize || strings.Count(s, "o") != 10 || strings.Count(s, "\x00") != PageSize-10 {
		t.Errorf("%d bytes, %d old", len(s), strings.Count(s, "o"))
	}
}

func TestUnsyncedNamesComeAndGo(t *testing.T) {
	v, _ := make1(t, 5)
	if err := v.Rename("a", "b"); err != nil {
		t.Fatal(err)
	}
	c, _ := v.Create("c", Regular)
	fill(t, v, c, 0, 5, 'c')
	v.Sync(c, v.Seq()) // its bytes, not its name
	if err := v.Remove("b"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for seed := range uint64(400) {
		left := v.Clone()
		left.PowerLoss(left.Draw(Posix, 0, rand.New(rand.NewPCG(seed, 0))))
		names, _ := left.List(".")
		seen[strings.Join(names, " ")]++
	}
	wantSeen(t, seen, "a", "b", "", "a c", "b c", "c")
	if len(seen) != 6 {
		t.Errorf("other sets of names: %v", seen)
	}
}

func TestSyncOfFileKeepsItsNameInAJournal(t *testing.T) {
	v := New(1 << 30)
	i, _ := v.Create("a", Regular)
	fill(t, v, i, 0, 5, 'x')
	v.Sync(i, v.Seq())
	for _, p := range []Profile{Ext4Ordered, XFSLike} {
		if seen := outcomesOf(v, p, 0, "a", strings.Clone); seen["xxxxx"] != 400 {
			t.Errorf("%s: %v", p, seen)
		}
	}
	wantSeen(t, outcomesOf(v, Posix, 0, "a", strings.Clone), "xxxxx", "none")
}

func TestRenameReplacesAtOnce(t *testing.T) {
	v, _ := make1(t, 3)
	i, _ := v.Create("tmp", Regular)
	fill(t, v, i, 0, 3, 'n')
	v.Sync(i, v.Seq())
	if err := v.Rename("tmp", "a"); err != nil {
		t.Fatal(err)
	}
	seen := outcomesOf(v, Posix, 0, "a", strings.Clone)
	wantSeen(t, seen, "ooo", "nnn")
	if len(seen) != 2 {
		t.Errorf("neither of the two: %v", seen)
	}
	// Without the sync of the new file its name can be there before its bytes.
	w, _ := make1(t, 3)
	i, _ = w.Create("tmp", Regular)
	fill(t, w, i, 0, 3, 'n')
	if err := w.Rename("tmp", "a"); err != nil {
		t.Fatal(err)
	}
	wantSeen(t, outcomesOf(w, Posix, 0, "a", strings.Clone), "ooo", "nnn", "", "\x00\x00\x00")
}

func TestRenameBetweenDirectoriesMayLeaveBothNames(t *testing.T) {
	v, _ := make1(t, 3)
	if _, err := v.Create("d", Directory); err != nil {
		t.Fatal(err)
	}
	v.SyncDir(v.root, v.Seq())
	if err := v.Rename("a", "d/a"); err != nil {
		t.Fatal(err)
	}
	names := func(p Profile) map[string]int {
		seen := map[string]int{}
		for seed := range uint64(400) {
			left := v.Clone()
			left.PowerLoss(left.Draw(p, 0, rand.New(rand.NewPCG(seed, 0))))
			seen[strings.Join(left.Files(), " ")]++
		}
		return seen
	}
	posix := names(Posix)
	wantSeen(t, posix, "a", "d/a", "a d/a")
	if ext4 := names(Ext4Ordered); len(posix) != 3 || len(ext4) != 2 {
		t.Errorf("posix %v, ext4 %v", posix, ext4)
	}
}

func TestFailedSync(t *testing.T) {
	for _, c := range []struct {
		how          SyncFailure
		seen, stored string // after a later sync that succeeds
	}{
		{FailDirty, "n", "n"},
		{FailClean, "n", "o"},
		{FailRevert, "o", "o"},
	} {
		v, i := make1(t, PageSize)
		fill(t, v, i, 0, PageSize, 'n')
		v.FailSync(i, v.Seq(), c.how)
		v.Sync(i, v.Seq())
		var b [1]byte
		_, _ = i.ReadDurable(b[:], 7)
		if string(b[:]) != c.stored || text(v, "a")[7:8] != c.seen {
			t.Errorf("%d: stored %s, seen %s", c.how, b[:], text(v, "a")[7:8])
		}
		if s := i.Suspect(); !slices.Equal(s, []Range{{0, PageSize}}) {
			t.Errorf("%d: suspect %v", c.how, s)
		}
		fill(t, v, i, 0, SectorSize, 'w')
		v.Sync(i, v.Seq())
		if s := i.Suspect(); !slices.Equal(s, []Range{{SectorSize, PageSize}}) {
			t.Errorf("%d: suspect after writing again %v", c.how, s)
		}
	}
}

func TestSyncCoversWhatWasIssuedBefore(t *testing.T) {
	v, i := make1(t, PageSize)
	fill(t, v, i, 0, 10, 'n')
	began := v.Seq()
	fill(t, v, i, PageSize, 10, 'n')
	v.Sync(i, began)
	if v.Pending() != 2 || i.DurableSize() != PageSize {
		t.Errorf("%d pending, durable size %d", v.Pending(), i.DurableSize())
	}
}

func TestSpace(t *testing.T) {
	v := New(4 * PageSize)
	i, _ := v.Create("a", Regular)
	n, err := v.Write(i, make([]byte, 5*PageSize), 100)
	if n != 4*PageSize-100 || !errors.Is(err, env.ErrNoSpace) {
		t.Errorf("wrote %d: %v", n, err)
	}
	if err := v.Allocate(i, 0, 5*PageSize); !errors.Is(err, env.ErrNoSpace) {
		t.Errorf("allocated more than there is: %v", err)
	}
	v.Truncate(i, PageSize)
	if free, _ := v.Usage(); free != 3*PageSize {
		t.Errorf("%d bytes free", free)
	}
	if err := v.Allocate(i, 0, 2*PageSize); err != nil {
		t.Error(err)
	}
	if err := v.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if free, _ := v.Usage(); free != 4*PageSize {
		t.Errorf("%d bytes free after remove", free)
	}
	if err := v.Check(); err != nil {
		t.Error(err)
	}
}

func TestPagesAreRecycled(t *testing.T) {
	v := New(1 << 30)
	slabs := 0
	for range 200 {
		i, _ := v.Create("a", Regular)
		fill(t, v, i, 0, 100*PageSize, 'x')
		v.Sync(i, v.Seq())
		v.SyncDir(v.root, v.Seq())
		if len(v.pool.free) == 0 {
			slabs++
		}
		if err := v.Remove("a"); err != nil {
			t.Fatal(err)
		}
		v.SyncDir(v.root, v.Seq())
	}
	if n := len(v.pool.free) + len(v.pool.grave); n > 300 || len(v.inodes) > 200 {
		t.Errorf("%d pages for a file of 100, %d inodes for one", n, len(v.inodes))
	}
}

func TestLostWrite(t *testing.T) {
	v, i := make1(t, PageSize)
	if _, err := v.WriteLost(i, bytes.Repeat([]byte{'n'}, PageSize), 0); err != nil {
		t.Fatal(err)
	}
	v.Sync(i, v.Seq())
	if text(v, "a")[0] != 'n' {
		t.Error("the cache does not show it")
	}
	v.PowerLoss(v.Draw(Posix, 0, rand.New(rand.NewPCG(1, 1))))
	if text(v, "a")[0] != 'o' {
		t.Error("it reached the disk")
	}
}

func TestRotHitsTheCleanCacheToo(t *testing.T) {
	v, i := make1(t, PageSize)
	if !v.Rot(i, 5, 0) || v.Rot(i, PageSize, 0) {
		t.Error("rot where there are no bytes, or none where there are")
	}
	if s := text(v, "a"); s[5] != 'o'^1 || strings.Count(s, "o") != PageSize-1 {
		t.Errorf("byte is %q, %d others as before", s[5], strings.Count(s, "o"))
	}
}

func TestRotHitsWhateverIsCleanOfThePage(t *testing.T) {
	durable := func(i *Inode) string {
		p := make([]byte, i.DurableSize())
		_, _ = i.ReadDurable(p, 0) // the only error is the end of the file
		return string(p)
	}
	for _, c := range []struct {
		name     string
		before   func(v *Volume, i *Inode)
		off      int64
		hit      bool // the cache, too
		repaired bool // by the next sync
	}{
		{"since rot elsewhere and a write", func(v *Volume, i *Inode) {
			v.Rot(i, PageSize-1, 0)
			_, _ = v.Write(i, []byte("n"), SectorSize)
			v.Sync(i, v.Seq())
		}, 5, true, false},
		{"since a truncation", func(v *Volume, i *Inode) {
			v.Truncate(i, 2000)
			v.Sync(i, v.Seq())
		}, 1999, true, false},
		{"before a truncation is synced", func(v *Volume, i *Inode) { v.Truncate(i, 2000) }, 1999, true, false},
		{"behind the end that a truncation gave", func(v *Volume, i *Inode) { v.Truncate(i, 2000) }, 2000, false, true},
		{"beside a sector that is written", func(v *Volume, i *Inode) {
			_, _ = v.Write(i, []byte("n"), SectorSize)
		}, SectorSize - 1, true, false},
		{"in a sector that is written", func(v *Volume, i *Inode) {
			_, _ = v.Write(i, []byte("n"), SectorSize)
		}, SectorSize + 9, false, true},
		{"where the cache is wrong", func(v *Volume, i *Inode) {
			_, _ = v.WriteLost(i, []byte("n"), 5)
		}, 5, false, false},
	} {
		v, i := make1(t, PageSize)
		c.before(v, i)
		before := text(v, "a")
		if !v.Rot(i, c.off, 0) {
			t.Fatalf("%s: no rot", c.name)
		}
		if hit := text(v, "a") != before; hit != c.hit {
			t.Errorf("%s: the cache was hit: %t", c.name, hit)
		}
		v.Sync(i, v.Seq())
		if c.hit || c.repaired {
			if got := durable(i); got != text(v, "a") {
				t.Errorf("%s: the cache does not show what is durable", c.name)
			}
		}
		if err := v.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestBadSectorIsMendedByWriting(t *testing.T) {
	v, i := make1(t, 2*PageSize)
	v.Spoil(i, PageSize+5)
	if v.Bad(i, 0, PageSize) || !v.Bad(i, 0, PageSize+1) {
		t.Error("the wrong page is bad")
	}
	fill(t, v, i, PageSize, PageSize, 'n')
	if v.Bad(i, 0, 2*PageSize) {
		t.Error("still bad")
	}
}

func TestNames(t *testing.T) {
	v := New(1 << 30)
	_, _ = v.Create("d", Directory)
	_, _ = v.Create("d/a", Regular)
	_, _ = v.Create("b", Regular)
	for _, c := range []struct {
		claim string
		got   error
		want  error
	}{
		{"no parent", second(v.Create("x/a", Regular)), env.ErrNotExist},
		{"parent is a file", second(v.Create("b/a", Regular)), env.ErrNotExist},
		{"taken", second(v.Create("b", Directory)), env.ErrExist},
		{"outside", second(v.Create("../b", Regular)), env.ErrNotExist},
		{"absolute", second(v.Create("/b", Regular)), env.ErrNotExist},
		{"not empty", v.Remove("d"), env.ErrNotEmpty},
		{"nothing to remove", v.Remove("d/b"), env.ErrNotExist},
		{"nothing to rename", v.Rename("d/b", "c"), env.ErrNotExist},
		{"into itself", v.Rename("d", "d/e"), env.ErrExist},
		{"file over directory", v.Rename("b", "d"), env.ErrExist},
		{"to itself", v.Rename("b", "b"), nil},
		{"list of a file", second(v.List("b")), env.ErrNotExist},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.claim, c.got, c.want)
		}
	}
	if got := v.NotSynced(); !slices.Equal(got, []string{"b", "d", "d/a"}) {
		t.Errorf("not synced: %v", got)
	}
}

func second[T any](_ T, err error) error { return err }

func TestOpenFileOutlivesItsName(t *testing.T) {
	v, i := make1(t, 5)
	v.Hold(i)
	if err := v.Remove("a"); err != nil {
		t.Fatal(err)
	}
	v.SyncDir(v.root, v.Seq())
	p := make([]byte, 5)
	if _, err := v.Read(i, p, 0); err != nil || string(p) != "ooooo" {
		t.Errorf("read %q: %v", p, err)
	}
	v.Release(i)
	if free, total := v.Usage(); free != total {
		t.Errorf("%d of %d bytes free", free, total)
	}
}

func TestCrashTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Crash{
			Profile:   drawProfile(t),
			Modifiers: Modifiers(rapid.IntRange(0, 3).Draw(t, "modifiers")),
			Salt:      rapid.Uint64().Draw(t, "salt"),
			Kept:      rapid.SliceOf(rapid.Uint8()).Draw(t, "kept"),
		}
		back, err := ParseCrash(c.String())
		if err != nil || back.String() != c.String() || !slices.Equal(back.Kept, c.Kept) || back.Salt != c.Salt {
			t.Fatalf("%s: %v, %v", c, back, err)
		}
	})
	for _, bad := range []string{"", "posix", "ext5 salt=1 kept=", "posix+x salt=1 kept=", "posix salt=x kept=", "posix salt=1 kept=100"} {
		if _, err := ParseCrash(bad); err == nil {
			t.Errorf("read %q", bad)
		}
	}
}

func BenchmarkDrawAndLose1000(b *testing.B) {
	v := New(1 << 30)
	for k := range 10 {
		i, _ := v.Create(string(rune('a'+k)), Regular)
		for n := range 50 {
			_, _ = v.Write(i, make([]byte, 1000), int64(n)*1000)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		left := v.Clone()
		left.PowerLoss(left.Draw(Posix, 0, r))
	}
	b.ReportMetric(float64(v.Pending()), "effects")
}

// TestMovedFileOutlivesItsOldName: the new name is durable, the directory it is in
// is not, and the removal of the old name must wait for that.
func TestMovedFileOutlivesItsOldName(t *testing.T) {
	v, _ := make1(t, 3)
	d, err := v.Create("d", Directory)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Rename("a", "d/a"); err != nil {
		t.Fatal(err)
	}
	v.SyncDir(d, v.Seq())
	seen := map[string]int{}
	for c := range v.Crashes(Posix) {
		left := v.Clone()
		left.PowerLoss(c)
		seen[strings.Join(left.Files(), " ")]++
	}
	wantSeen(t, seen, "a", "d/a", "a d/a")
	if len(seen) != 3 {
		t.Errorf("files after a power loss: %v", seen)
	}
}
