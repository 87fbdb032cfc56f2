package media

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The oracle is the definition of the model, written without a thought of
// speed: it keeps every change ever issued with all its bytes, applies a subset
// to plain maps, and states the rules of the profiles as predicates over the
// whole subset.

// A fact is one change.
type fact struct {
	seq     int
	kind    Kind
	ino     string // unique per inode
	isDir   bool
	page    int64
	sectors map[int][]byte
	oldSize int64
	size    int64
	dir     string // inode of the directory of name; "" if there is none
	name    string
	toDir   string
	toName  string
	atLeast uint8 // what a sync made durable
}

func (f *fact) cross() bool { return f.kind == Rename && f.dir != f.toDir }

func (f *fact) all() uint8 {
	if f.kind == Page {
		var m uint8
		for s := range f.sectors {
			m |= 1 << s
		}
		return m
	}
	if f.cross() {
		return 3
	}
	return 1
}

func (f *fact) meta() bool    { return f.kind != Page }
func (f *fact) entry() bool   { return f.kind == Link || f.kind == Unlink || f.kind == Rename }
func (f *fact) content() bool { return !f.entry() }

// oldIn and newIn tell whether so much of an entry's change includes its effect
// on the old name, and on the new one.
func (f *fact) oldIn(kept uint8) bool { return kept != 0 && (!f.cross() || kept == 3) }
func (f *fact) newIn(kept uint8) bool { return kept != 0 }

// A state is a file system as plain maps.
type state struct {
	sectors map[string]map[int64][]byte // inode, sector number
	pages   map[string]map[int64]bool   // allocated
	size    map[string]int64
	alloc   map[string]bool
	entries map[string]map[string]string // directory inode, name, inode
	isDir   map[string]bool
}

func newState() *state {
	return &state{
		sectors: map[string]map[int64][]byte{}, pages: map[string]map[int64]bool{}, size: map[string]int64{},
		alloc: map[string]bool{}, entries: map[string]map[string]string{"root": {}},
		isDir: map[string]bool{"root": true},
	}
}

func (s *state) clone() *state {
	c := newState()
	for i, m := range s.sectors {
		c.sectors[i] = maps.Clone(m)
	}
	for i, m := range s.pages {
		c.pages[i] = maps.Clone(m)
	}
	for i, m := range s.entries {
		c.entries[i] = maps.Clone(m)
	}
	c.size, c.alloc, c.isDir = maps.Clone(s.size), maps.Clone(s.alloc), maps.Clone(s.isDir)
	return c
}

func (s *state) apply(f *fact, kept uint8) {
	if kept == 0 {
		return
	}
	switch f.kind {
	case Alloc:
		s.alloc[f.ino] = true
	case Page:
		if !s.alloc[f.ino] {
			return
		}
		if s.sectors[f.ino] == nil {
			s.sectors[f.ino] = map[int64][]byte{}
		}
		s.allocate(f.ino, f.page, 1)
		for n, b := range f.sectors {
			if kept&(1<<n) != 0 {
				s.sectors[f.ino][f.page*sectorsPerPage+int64(n)] = b
			}
		}
	case Reserve:
		if s.alloc[f.ino] {
			s.allocate(f.ino, f.page, f.size)
		}
	case Size:
		s.resize(f)
	default:
		s.relink(f, kept)
	}
}

func (s *state) allocate(ino string, page, n int64) {
	if s.pages[ino] == nil {
		s.pages[ino] = map[int64]bool{}
	}
	for k := range n {
		s.pages[ino][page+k] = true
	}
}

func (s *state) resize(f *fact) {
	if !s.alloc[f.ino] {
		return
	}
	if f.size < f.oldSize || f.size < s.size[f.ino] {
		s.cut(f.ino, f.size)
	}
	s.size[f.ino] = f.size
}

func (s *state) cut(ino string, size int64) {
	for n, b := range s.sectors[ino] {
		if keep := size - n*SectorSize; keep <= 0 {
			delete(s.sectors[ino], n)
		} else if keep < SectorSize {
			c := bytes.Clone(b)
			clear(c[keep:])
			s.sectors[ino][n] = c
		}
	}
	for p := range s.pages[ino] {
		if p*PageSize >= size {
			delete(s.pages[ino], p)
		}
	}
}

func (s *state) relink(f *fact, kept uint8) {
	if f.isDir {
		s.isDir[f.ino] = true
		if s.entries[f.ino] == nil {
			s.entries[f.ino] = map[string]string{}
		}
	}
	if f.toDir != "" {
		if s.entries[f.toDir] == nil {
			s.entries[f.toDir] = map[string]string{}
		}
		s.entries[f.toDir][f.toName] = f.ino
	}
	if f.dir != "" && f.oldIn(kept) && s.entries[f.dir][f.name] == f.ino {
		delete(s.entries[f.dir], f.name)
	}
}

// render lists everything that can be reached, with sizes and bytes.
func (s *state) render() string {
	var out []string
	s.renderDir("root", "", &out)
	return strings.Join(out, "\n")
}

func (s *state) renderDir(dir, prefix string, out *[]string) {
	for _, name := range slices.Sorted(maps.Keys(s.entries[dir])) {
		ino := s.entries[dir][name]
		if s.isDir[ino] {
			*out = append(*out, prefix+name+"/")
			s.renderDir(ino, prefix+name+"/", out)
			continue
		}
		size := s.size[ino]
		if !s.alloc[ino] {
			size = 0
		}
		data := make([]byte, size)
		for n, b := range s.sectors[ino] {
			if n*SectorSize < size {
				copy(data[n*SectorSize:], b)
			}
		}
		*out = append(*out, prefix+name+" "+digest(data))
	}
}

// digest shows a file's size and which sector holds what.
func digest(data []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", len(data))
	for off := 0; off < len(data); off += SectorSize {
		var h uint32
		for _, x := range data[off:min(off+SectorSize, len(data))] {
			h = h*31 + uint32(x)
		}
		fmt.Fprintf(&b, " %x", h)
	}
	return b.String()
}

// renderVolume is render of a volume's cache.
func renderVolume(v *Volume) string {
	var out []string
	v.walk(v.root, "", func(name string, i *Inode) {
		if i.IsDir() {
			out = append(out, name+"/")
			return
		}
		data := make([]byte, i.Size())
		_, _ = v.Read(i, data, 0) // the only error is the end of the file
		out = append(out, name+" "+digest(data))
	})
	return strings.Join(out, "\n")
}

// An oracle follows a volume.
type oracle struct {
	base    *state  // durable when the volume was made, or after the last crash
	facts   []*fact // everything since
	cache   *state
	journal int // the last fact a successful sync covered, as a journal counts
	nextIno int
}

func newOracle() *oracle { return &oracle{base: newState(), cache: newState()} }

func (o *oracle) add(f fact) {
	f.seq = len(o.facts) + 1
	o.facts = append(o.facts, &f)
	o.cache.apply(&f, f.all())
}

// pending are the facts that are not durable as a whole.
func (o *oracle) pending() []*fact {
	var out []*fact
	for _, f := range o.facts {
		if f.atLeast != f.all() {
			out = append(out, f)
		}
	}
	return out
}

// after returns the state that a crash leaves which keeps so much of the pending
// facts.
func (o *oracle) after(kept []uint8) *state {
	s := o.base.clone()
	n := 0
	for _, f := range o.facts {
		k := f.atLeast
		if k != f.all() {
			k |= o.asKept(f, kept[n])
			n++
		}
		s.apply(f, k)
	}
	for ino := range s.sectors {
		s.cut(ino, s.size[ino])
	}
	return s
}

// asKept translates: what is left of a rename whose new name is durable is an
// unlink, of which 1 means all.
func (o *oracle) asKept(f *fact, kept uint8) uint8 {
	if f.cross() && f.atLeast == 1 && kept == 1 {
		return 3
	}
	return kept
}

// syncFile makes the content of an inode durable.
func (o *oracle) syncFile(ino string) {
	for _, f := range o.facts {
		if f.content() && f.ino == ino {
			f.atLeast = f.all()
		}
	}
	o.journal = len(o.facts)
}

// syncDir makes the entries of a directory durable, and what they rest on.
func (o *oracle) syncDir(dir string) {
	for _, f := range o.facts {
		switch {
		case !f.entry():
		case f.dir == dir:
			o.settle(f, f.all())
		case f.toDir == dir:
			o.settle(f, 1)
		}
	}
	o.journal = len(o.facts)
	o.bury()
}

// bury settles the content of inodes that no name can lead to again: nobody will
// ever see it.
func (o *oracle) bury() {
	s := o.base.clone()
	named := map[string]bool{}
	for _, f := range o.facts {
		s.apply(f, f.atLeast)
		named[f.ino] = named[f.ino] || f.entry() && f.atLeast != f.all()
	}
	for _, entries := range s.entries {
		for _, ino := range entries {
			named[ino] = true
		}
	}
	for _, f := range o.facts {
		if f.content() && !named[f.ino] {
			f.atLeast = f.all()
		}
	}
}

// settle makes a fact durable; what must not be later than it goes first.
func (o *oracle) settle(f *fact, level uint8) {
	if f.atLeast&level == level {
		return
	}
	f.atLeast |= level
	for _, g := range o.facts[:f.seq-1] {
		if !g.entry() {
			continue
		}
		switch {
		case g.dir != "" && sameEntry(g.dir, g.name, f):
			o.settle(g, g.all())
		case g.toDir != "" && sameEntry(g.toDir, g.toName, f):
			o.settle(g, 1)
		}
		if f.kind == Unlink && f.isDir && (g.dir == f.ino || g.toDir == f.ino) {
			o.settle(g, g.all())
		}
		if f.cross() && f.atLeast == 3 && g.isDir && g.kind != Unlink {
			o.settle(g, g.all())
		}
	}
}

// sameEntry reports whether f changes that entry.
func sameEntry(dir, name string, f *fact) bool {
	return f.dir == dir && f.name == name || f.toDir == dir && f.toName == name
}

// legal states the rules of a profile over a whole outcome.
func (o *oracle) legal(p Profile, kept []uint8) bool {
	full := map[int]uint8{}
	n := 0
	for _, f := range o.facts {
		full[f.seq] = f.atLeast
		if f.atLeast != f.all() {
			full[f.seq] |= o.asKept(f, kept[n])
			n++
		}
	}
	if p == Prefix {
		return o.isPrefix(full, func(f *fact) bool { return f.atLeast != f.all() })
	}
	if !o.entriesInOrder(full) || !o.contentNeedsInode(full) {
		return false
	}
	if p == Posix {
		return true
	}
	pendingMeta := func(f *fact) bool { return f.meta() && f.atLeast != f.all() }
	return o.isPrefix(full, pendingMeta) && o.journalHeld(full) && o.dataOrdered(p, full)
}

// isPrefix: of the facts in question, some first ones are there as a whole, and
// the others not at all.
func (o *oracle) isPrefix(kept map[int]uint8, in func(*fact) bool) bool {
	ended := false
	for _, f := range o.facts {
		if !in(f) {
			continue
		}
		k := kept[f.seq]
		if k != f.all() && k != f.atLeast || ended && k != f.atLeast {
			return false
		}
		ended = ended || k != f.all()
	}
	return true
}

// entriesInOrder: the changes of each name are there in order; a directory goes
// after all that happened in it; a file leaves a directory for one that is there.
func (o *oracle) entriesInOrder(kept map[int]uint8) bool {
	for j, f := range o.facts {
		k := kept[f.seq]
		if !f.entry() || k == f.atLeast {
			continue
		}
		for _, g := range o.facts[:j] {
			if !g.entry() {
				continue
			}
			gk := kept[g.seq]
			if g.dir != "" && sameEntry(g.dir, g.name, f) && !g.oldIn(gk) ||
				g.toDir != "" && sameEntry(g.toDir, g.toName, f) && !g.newIn(gk) ||
				f.kind == Unlink && f.isDir && (g.dir == f.ino || g.toDir == f.ino) && gk != g.all() ||
				f.cross() && k == 3 && g.isDir && g.kind != Unlink && gk != g.all() {
				return false
			}
		}
	}
	return true
}

func (o *oracle) contentNeedsInode(kept map[int]uint8) bool {
	for _, f := range o.facts {
		for _, a := range o.facts {
			if f.content() && f.kind != Alloc && a.kind == Alloc && a.ino == f.ino &&
				kept[f.seq] != 0 && kept[a.seq] == 0 {
				return false
			}
		}
	}
	return true
}

func (o *oracle) journalHeld(kept map[int]uint8) bool {
	for _, f := range o.facts {
		if f.meta() && f.seq <= o.journal && kept[f.seq] != f.all() {
			return false
		}
	}
	return true
}

// dataOrdered: a file is longer only if its data is there (which data depends on
// the profile), and what was written behind a cut is there only if the cut is.
func (o *oracle) dataOrdered(p Profile, kept map[int]uint8) bool {
	durable := o.after(make([]uint8, len(o.pending())))
	for j, later := range o.facts {
		for _, earlier := range o.facts[:j] {
			if later.ino != earlier.ino || kept[later.seq] == 0 || kept[earlier.seq] == earlier.all() ||
				later.atLeast == later.all() {
				continue
			}
			if later.kind == Page && earlier.kind == Size && earlier.size < earlier.oldSize &&
				(later.page+1)*PageSize > earlier.size {
				return false
			}
			if later.kind != Size || later.size <= later.oldSize || earlier.kind != Page ||
				earlier.page*PageSize >= later.size {
				continue
			}
			if p == Ext4Ordered && !durable.pages[later.ino][earlier.page] {
				return false
			}
			if p == XFSLike && (earlier.page+1)*PageSize > later.oldSize && !o.cutBefore(later) {
				return false
			}
		}
	}
	return true
}

// cutBefore reports whether the file was made shorter before f, and that is not
// durable.
func (o *oracle) cutBefore(f *fact) bool {
	for _, g := range o.facts[:f.seq-1] {
		if g.ino == f.ino && g.kind == Size && g.size < g.oldSize && g.atLeast == 0 {
			return true
		}
	}
	return false
}

// outcomes enumerates all legal outcomes that keep pages whole or not at all.
func (o *oracle) outcomes(p Profile) map[string]bool {
	pending := o.pending()
	kept := make([]uint8, len(pending))
	images := map[string]bool{}
	var from func(int)
	from = func(k int) {
		if k == len(pending) {
			if o.legal(p, kept) {
				images[o.after(kept).render()] = true
			}
			return
		}
		f := pending[k]
		options := []uint8{0, f.all()}
		if f.cross() && f.atLeast == 0 {
			options = append(options, 1)
		}
		if f.cross() && f.atLeast == 1 {
			options[1] = 1 // the unlink that is left
		}
		for _, option := range options {
			kept[k] = option
			if p == Posix || !f.cross() || f.atLeast == 1 || option != 1 {
				from(k + 1)
			}
		}
	}
	from(0)
	return images
}

// crash continues from an outcome.
func (o *oracle) crash(kept []uint8) {
	s := o.after(kept)
	for ino := range s.size {
		s.alloc[ino] = true
	}
	o.base, o.facts, o.journal = s, nil, 0
	// What cannot be reached is gone; it would not be seen again anyway.
	for _, entries := range s.entries {
		for _, ino := range entries {
			s.alloc[ino] = true
		}
	}
	o.cache = s.clone()
}
