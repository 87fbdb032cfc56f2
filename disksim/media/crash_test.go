package media

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A pair is a volume and the oracle that follows it, driven by drawn operations.
type pair struct {
	t    *rapid.T
	v    *Volume
	o    *oracle
	inos map[*Inode]string
	log  []string
}

func newPair(t *rapid.T) *pair {
	p := &pair{t: t, v: New(1 << 30), o: newOracle()}
	p.inos = map[*Inode]string{p.v.root: "root"}
	return p
}

var (
	dirs  = []string{"d", "e"}
	names = []string{"a", "b", "d/a", "d/b", "e/a"}
)

func (p *pair) step() {
	name := rapid.SampledFrom(names).Draw(p.t, "name")
	op := rapid.SampledFrom([]string{"write", "write", "write", "truncate", "allocate", "create", "create",
		"mkdir", "remove", "rename", "rename", "sync", "syncdir", "rmdir", "mvdir", "writeback"}).Draw(p.t, "op")
	p.log = append(p.log, op+" "+name)
	switch op {
	case "mkdir", "rmdir", "syncdir", "mvdir":
		p.dirStep(op)
	case "create":
		p.create(name, Regular)
	case "remove":
		p.remove(name)
	case "rename":
		p.rename(name, rapid.SampledFrom(names).Draw(p.t, "to"))
	case "writeback":
		p.v.WriteBack(p.v.Seq())
		for _, f := range p.o.facts {
			f.atLeast = f.all()
		}
		p.o.journal = len(p.o.facts)
	default:
		if i, err := p.v.Lookup(name); err == nil {
			p.fileStep(op, i)
		}
	}
	if got, want := renderVolume(p.v), p.o.cache.render(); got != want {
		p.t.Fatalf("after %v the cache differs: %s", p.log, cmp.Diff(want, got))
	}
	if err := p.v.Check(); err != nil {
		p.t.Fatalf("after %v: %v", p.log, err)
	}
}

func (p *pair) dirStep(op string) {
	dir := rapid.SampledFrom(dirs).Draw(p.t, "dir")
	switch op {
	case "mkdir":
		p.create(dir, Directory)
	case "rmdir":
		p.remove(dir)
	case "mvdir":
		p.rename(dir, rapid.SampledFrom([]string{"e", "d/f", "f"}).Draw(p.t, "to"))
	case "syncdir":
		if rapid.Bool().Draw(p.t, "root") {
			dir = "."
		}
		if i, err := p.v.Lookup(dir); err == nil {
			p.v.SyncDir(i, p.v.Seq())
			p.o.syncDir(p.inos[i])
		}
	}
}

func (p *pair) dirOf(name string) (string, string) {
	i, err := p.v.Lookup(path.Dir(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.inos[i], path.Base(name)
}

func (p *pair) create(name string, typ Type) {
	i, err := p.v.Create(name, typ)
	if err != nil {
		return
	}
	p.o.nextIno++
	id := fmt.Sprintf("i%d", p.o.nextIno)
	p.inos[i] = id
	if typ == Regular {
		p.o.add(fact{kind: Alloc, ino: id})
	}
	dir, base := p.dirOf(name)
	p.o.add(fact{kind: Link, ino: id, isDir: typ == Directory, toDir: dir, toName: base})
}

func (p *pair) remove(name string) {
	i, err := p.v.Lookup(name)
	if err != nil || p.v.Remove(name) != nil {
		return
	}
	dir, base := p.dirOf(name)
	p.o.add(fact{kind: Unlink, ino: p.inos[i], isDir: i.IsDir(), dir: dir, name: base})
}

func (p *pair) rename(from, to string) {
	i, err := p.v.Lookup(from)
	if err != nil {
		return
	}
	// Two names of one file, as a crash may leave them: such a rename does nothing.
	target, err := p.v.Lookup(to)
	if p.v.Rename(from, to) != nil || err == nil && target == i {
		return
	}
	f := fact{kind: Rename, ino: p.inos[i], isDir: i.IsDir()}
	f.dir, f.name = p.dirOf(from)
	f.toDir, f.toName = p.dirOf(to)
	p.o.add(f)
}

func (p *pair) fileStep(op string, i *Inode) {
	if i.IsDir() {
		return
	}
	id := p.inos[i]
	switch op {
	case "sync":
		p.v.Sync(i, p.v.Seq())
		p.o.syncFile(id)
	case "truncate":
		n := rapid.Int64Range(0, 3*PageSize).Draw(p.t, "n")
		old := i.Size()
		p.v.Truncate(i, n)
		if n != old {
			p.o.add(fact{kind: Size, ino: id, oldSize: old, size: n})
		}
	case "allocate":
		p.allocate(i, rapid.Int64Range(0, 2*PageSize).Draw(p.t, "off"), rapid.Int64Range(1, 2*PageSize).Draw(p.t, "n"))
	case "write":
		off := rapid.OneOf(rapid.Int64Range(0, 3*PageSize), rapid.Just(i.Size())).Draw(p.t, "off")
		p.write(i, off, rapid.IntRange(1, 6000).Draw(p.t, "n"))
	}
}

func (p *pair) allocate(i *Inode, off, n int64) {
	old := i.Size()
	before := p.v.used
	if p.v.Allocate(i, off, n) != nil {
		p.t.Fatal("no space")
	}
	id := p.inos[i]
	if p.v.used != before {
		first := off / PageSize
		p.o.add(fact{kind: Reserve, ino: id, page: first, size: (off+n+PageSize-1)/PageSize - first})
	}
	if off+n > old {
		p.o.add(fact{kind: Size, ino: id, oldSize: old, size: off + n})
	}
}

func (p *pair) write(i *Inode, off int64, n int) {
	id, old := p.inos[i], i.Size()
	data := make([]byte, n)
	for k := range data {
		data[k] = byte(len(p.log)*37 + k)
	}
	if m, err := p.v.Write(i, data, off); m != n || err != nil {
		p.t.Fatal(m, err)
	}
	end := off + int64(n)
	for page := off / PageSize; page*PageSize < end; page++ {
		f := fact{kind: Page, ino: id, page: page, sectors: map[int][]byte{}}
		for s := range int64(sectorsPerPage) {
			at := page*PageSize + s*SectorSize
			if at >= end || at+SectorSize <= off {
				continue
			}
			sector := make([]byte, SectorSize)
			copy(sector, p.o.cache.sectors[id][at/SectorSize])
			for k := range int64(SectorSize) {
				if at+k >= off && at+k < end {
					sector[k] = data[at+k-off]
				}
			}
			f.sectors[int(s)] = sector
		}
		p.o.add(f)
	}
	if end > old {
		p.o.add(fact{kind: Size, ino: id, oldSize: old, size: end})
	}
}

// restart continues from an outcome, in both worlds.
func (p *pair) restart(c Crash) {
	p.o.crash(c.Kept)
	p.v.PowerLoss(c)
	p.log = append(p.log, c.String())
	if got, want := renderVolume(p.v), p.o.cache.render(); got != want {
		p.t.Fatalf("after %v the disk differs: %s", p.log, cmp.Diff(want, got))
	}
	if err := p.v.Check(); err != nil {
		p.t.Fatalf("after %v: %v", p.log, err)
	}
}

func drawProfile(t *rapid.T) Profile {
	return rapid.SampledFrom([]Profile{Posix, Ext4Ordered, XFSLike, Prefix}).Draw(t, "profile")
}

// TestCrashesAreExactlyTheLegalOnes compares the enumeration with the oracle's:
// all subsets that the rules, stated over the whole, allow.
func TestCrashesAreExactlyTheLegalOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		for range rapid.IntRange(0, 25).Draw(t, "steps") {
			p.step()
			if p.v.Pending() > 7 {
				break
			}
		}
		if p.v.Pending() > 10 {
			t.Skip("too many to enumerate twice")
		}
		profile := drawProfile(t)
		want := p.o.outcomes(profile)
		got := map[string]bool{}
		for c := range p.v.Crashes(profile) {
			if err := p.v.CheckCrash(c); err != nil {
				t.Fatal(err)
			}
			left := p.v.Clone()
			left.PowerLoss(c)
			if err := left.Check(); err != nil {
				t.Fatal(err)
			}
			got[renderVolume(left)] = true
		}
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
			t.Fatalf("%s: images after a power loss (-legal +enumerated)\n%v\n%v\n%s", profile, p.log, p.v.Effects(), diff)
		}
	})
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// TestDrawnCrashesAreLegal draws outcomes of longer runs, through several crashes.
func TestDrawnCrashesAreLegal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		for range rapid.IntRange(1, 4).Draw(t, "crashes") {
			for range rapid.IntRange(0, 30).Draw(t, "steps") {
				p.step()
			}
			profile := drawProfile(t)
			c := p.v.Draw(profile, 0, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
			if err := p.v.CheckCrash(c); err != nil {
				t.Fatalf("after %v drew %s: %v", p.log, c, err)
			}
			if !p.o.legal(profile, c.Kept) {
				t.Fatalf("after %v drew %s, which is not legal for %v", p.log, c, p.v.Effects())
			}
			p.restart(c)
		}
	})
}

// TestNoCrashTakesWhatIsDurable states the promise without the rules: whatever
// the profile, a file whose bytes and name were synced, and that was not touched
// since, is there under one of the names it has had.
func TestNoCrashTakesWhatIsDurable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		i, err := p.v.Create("keep", Regular)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = p.v.Write(i, []byte(strings.Repeat("durable", 1000)), 0)
		p.v.Sync(i, p.v.Seq())
		p.v.SyncDir(p.v.root, p.v.Seq())
		p.o.base, p.o.cache = nil, nil // not followed from here on
		at := "keep"
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			at = p.shuffle(at)
		}
		c := p.v.Draw(drawProfile(t), StaleTail, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		effects := p.v.Effects()
		p.v.PowerLoss(c)
		found := false
		p.v.walk(p.v.root, "", func(name string, other *Inode) {
			if other == i {
				data := make([]byte, 7000)
				_, err := p.v.Read(other, data, 0)
				found = found || err == nil && string(data) == strings.Repeat("durable", 1000)
			}
		})
		if !found {
			t.Fatalf("the file at %s is gone after %s of %v", at, c, effects)
		}
	})
}

// shuffle makes or removes directories around the file, moves the file, or syncs,
// and returns where the file is.
func (p *pair) shuffle(at string) string {
	name := rapid.SampledFrom([]string{"d", "e", "d/f", "e/f", "d/keep", "e/keep", "d/f/keep", "keep"}).Draw(p.t, "name")
	switch rapid.IntRange(0, 4).Draw(p.t, "op") {
	case 0, 1:
		if path.Base(name) == "keep" && p.v.Rename(at, name) == nil {
			return name
		}
		_, _ = p.v.Create(name, Directory) // or it exists
	case 2:
		if name != at {
			_ = p.v.Remove(name) // or there is none
		}
	case 3:
		to := rapid.SampledFrom([]string{"d", "e", "e/f", "d/f"}).Draw(p.t, "to")
		if path.Base(name) != "keep" && p.v.Rename(name, to) == nil && strings.HasPrefix(at, name+"/") {
			return to + at[len(name):]
		}
	case 4:
		if i, err := p.v.Lookup(name); err == nil && i.IsDir() && rapid.Bool().Draw(p.t, "sync") {
			p.v.SyncDir(i, p.v.Seq())
		}
	}
	return at
}
