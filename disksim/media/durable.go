package media

import (
	"slices"
)

// The methods of this file are for observers: they look at the durable image,
// which no process can.

// Durable finds a file or directory on the durable image; ErrNotExist if a power
// loss could leave none.
func (v *Volume) Durable(name string) (*Inode, error) {
	return v.find(name, func(d *Inode) map[string]*Inode { return d.durableEntries })
}

// DurableSize returns a file's size on the durable image.
func (i *Inode) DurableSize() int64 { return i.durable.size }

// ReadDurable is Read of the durable image.
func (i *Inode) ReadDurable(p []byte, off int64) (int, error) { return i.durable.read(p, off) }

// A Range is the bytes from Off to End, exclusive.
type Range struct{ Off, End int64 }

// Suspect returns, in order, the ranges that were dirty when a sync of this file
// failed and have not been written and synced since. A later sync that succeeds
// says nothing about them.
func (i *Inode) Suspect() []Range {
	pages := make([]int64, 0, len(i.suspect))
	for index := range i.suspect { //klamm:unordered sorted below
		pages = append(pages, index)
	}
	slices.Sort(pages)
	var out []Range
	for _, index := range pages {
		for s := range int64(sectorsPerPage) {
			if i.suspect[index]&(1<<s) == 0 {
				continue
			}
			off := index*PageSize + s*SectorSize
			if n := len(out); n > 0 && out[n-1].End == off {
				out[n-1].End += SectorSize
			} else {
				out = append(out, Range{off, off + SectorSize})
			}
		}
	}
	return out
}

// NotSynced returns the names a process sees that are not on the durable image as
// such, sorted: created or renamed, and their directory never synced since.
func (v *Volume) NotSynced() []string {
	var out []string
	v.walk(v.root, "", func(name string, i *Inode) {
		if d, err := v.Durable(name); err != nil || d != i {
			out = append(out, name)
		}
	})
	return out
}

// Files returns the names of all regular files a process sees, sorted by
// directory.
func (v *Volume) Files() []string {
	var out []string
	v.walk(v.root, "", func(name string, i *Inode) {
		if !i.IsDir() {
			out = append(out, name)
		}
	})
	return out
}

// walk visits everything below a directory in the cache, in order of names.
func (v *Volume) walk(dir *Inode, prefix string, visit func(string, *Inode)) {
	for _, name := range sortedNames(dir.entries) {
		i := dir.entries[name]
		visit(prefix+name, i)
		if i.IsDir() {
			v.walk(i, prefix+name+"/", visit)
		}
	}
}
