package media

// A Type says what an inode is.
type Type uint8

// The types of inodes.
const (
	Regular Type = iota
	Directory
)

// An Inode is a file or a directory, in both images. Callers hold it as a handle
// and ask the Volume.
type Inode struct {
	id    uint64
	typ   Type
	freed bool

	cache, durable extent            // Regular
	entries        map[string]*Inode // Directory: the cache
	durableEntries map[string]*Inode // Directory: the durable image

	allocated bool     // the durable image knows the inode; else it is empty there
	pending   []Effect // on its content, in order of issue
	blocks    int64    // pages it occupies in the cache

	// diverged is set once durable plus pending is no longer the cache: a page
	// version then may hold sectors that must not become durable with it.
	diverged bool
	bad      map[int64]uint8 // unreadable sectors by page
	suspect  map[int64]uint8 // sectors that were dirty when a sync failed
	poison   uint64          // Seq at the last failed sync

	// Who refers to it: the inode is freed when nobody does.
	links, durableLinks, pendingLinks, opens int
}

// ID returns the inode's number, unique in its volume.
func (i *Inode) ID() uint64 { return i.id }

// IsDir reports whether it is a directory.
func (i *Inode) IsDir() bool { return i.typ == Directory }

// Size returns the size a process sees.
func (i *Inode) Size() int64 { return i.cache.size }

func (v *Volume) newInode(t Type) *Inode {
	if v.freed > 64 && v.freed > len(v.inodes)/2 {
		v.compact()
	}
	v.nextID++
	i := &Inode{id: v.nextID, typ: t}
	if t == Directory {
		i.entries, i.durableEntries = map[string]*Inode{}, map[string]*Inode{}
	}
	v.inodes = append(v.inodes, i)
	return i
}

// Hold keeps an inode's content while a file is open, even if it is removed.
func (v *Volume) Hold(i *Inode) { i.opens++ }

// Release undoes one Hold.
func (v *Volume) Release(i *Inode) {
	i.opens--
	v.maybeFree(i)
}

// maybeFree frees what nobody can reach: space as soon as no process can,
// memory when no crash can bring it back either.
func (v *Volume) maybeFree(i *Inode) {
	if i.links > 0 || i.opens > 0 || i.freed {
		return
	}
	v.used -= i.blocks
	i.blocks = 0
	if i.durableLinks > 0 || i.pendingLinks > 0 {
		return
	}
	v.free(i)
}

func (v *Volume) free(i *Inode) {
	v.dropPending(i)
	i.cache.release(v.pool.put)
	i.durable.release(v.pool.bury)
	i.entries, i.durableEntries, i.bad, i.suspect = nil, nil, nil, nil
	i.freed = true
	v.freed++
}

// dropPending forgets an inode's pending effects.
func (v *Volume) dropPending(i *Inode) {
	for k := range i.pending {
		v.pool.put(i.pending[k].page)
	}
	v.pending -= len(i.pending)
	clear(i.pending)
	i.pending = i.pending[:0]
}

// compact removes freed inodes from the list.
func (v *Volume) compact() {
	live := v.inodes[:0]
	for _, i := range v.inodes {
		if !i.freed {
			live = append(live, i)
		}
	}
	clear(v.inodes[len(live):])
	v.inodes, v.freed = live, 0
}
