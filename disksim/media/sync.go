package media

// Sync makes durable what was issued on a file up to Seq upTo.
func (v *Volume) Sync(i *Inode, upTo uint64) {
	v.writeBack(i, upTo)
	v.journal = max(v.journal, upTo)
}

// writeBack moves the effects of one inode up to Seq upTo to the durable image.
func (v *Volume) writeBack(i *Inode, upTo uint64) {
	n := 0
	for n < len(i.pending) && i.pending[n].Seq <= upTo {
		e := &i.pending[n]
		v.apply(e, e.full())
		v.pool.put(e.page)
		n++
	}
	v.pending -= n
	rest := copy(i.pending, i.pending[n:])
	clear(i.pending[rest:])
	i.pending = i.pending[:rest]
}

// WriteBack moves all effects up to Seq upTo to the durable image, as a kernel
// does in the background. Being a prefix of everything, that is legal in every
// profile.
func (v *Volume) WriteBack(upTo uint64) {
	for _, i := range v.inodes {
		v.writeBack(i, upTo)
	}
	v.commitEntries(func(e *Effect) uint8 {
		if e.Seq > upTo {
			return lost
		}
		return e.full()
	})
	v.journal = max(v.journal, upTo)
}

// apply changes the durable image by what is kept of an effect on content.
func (v *Volume) apply(e *Effect, kept uint8) {
	i := e.ino
	if kept == lost {
		return
	}
	switch e.Kind {
	case Alloc:
		i.allocated = true
	case Size:
		if e.shrinks() || e.n < i.durable.size {
			i.durable.cut(e.n, &v.pool, v.pool.bury)
		}
		i.durable.size = e.n
	case Reserve:
		v.reserve(&i.durable, e.at, e.at+e.n)
	case Page:
		v.applyPage(e, kept)
	}
}

// applyPage installs a page version. As long as nothing diverged and all is
// applied in order the version is the durable page plus this change, and can be
// shared instead of merged.
func (v *Volume) applyPage(e *Effect, kept uint8) {
	i := e.ino
	if kept == e.Mask && !i.diverged {
		v.pool.put(i.durable.set(e.at, share(e.page)))
		return
	}
	merged := v.pool.copyOf(i.durable.page(e.at))
	for s := range sectorsPerPage {
		if kept&(1<<s) != 0 {
			copy(merged.data[s*SectorSize:(s+1)*SectorSize], e.page.data[s*SectorSize:])
		}
	}
	v.pool.put(i.durable.set(e.at, merged))
	if len(i.suspect) > 0 && e.Seq > i.poison {
		i.suspect[e.at] &^= kept
		if i.suspect[e.at] == 0 {
			delete(i.suspect, e.at)
		}
	}
}

// drop forgets the pending effects of an inode that match: they are in the cache
// and will never be durable.
func (v *Volume) drop(i *Inode, match func(*Effect) bool) {
	kept := i.pending[:0]
	for _, e := range i.pending {
		if match(&e) {
			v.pool.put(e.page)
			v.pending--
			i.diverged = true
		} else {
			kept = append(kept, e)
		}
	}
	clear(i.pending[len(kept):])
	i.pending = kept
}

// A SyncFailure says what a failed sync does to the pages that were dirty.
type SyncFailure uint8

// How a sync fails.
const (
	FailDirty  SyncFailure = iota // they stay dirty; a later sync may even write them
	FailClean                     // they are marked clean and stay in the cache (ext4, XFS)
	FailRevert                    // the cache shows the durable bytes again (Btrfs)
)

// FailSync is a sync up to Seq upTo that fails. Either way nothing of what was
// dirty can be trusted from now on: Suspect tells it. Sizes and entries stay
// pending, since metadata often survives where data does not.
func (v *Volume) FailSync(i *Inode, upTo uint64, how SyncFailure) {
	var dirty []int64
	for k := range i.pending {
		e := &i.pending[k]
		if e.Kind != Page || e.Seq > upTo {
			continue
		}
		if i.suspect == nil {
			i.suspect = map[int64]uint8{}
		}
		i.suspect[e.at] |= e.Mask
		dirty = append(dirty, e.at)
	}
	i.poison, i.diverged = upTo, true
	if how == FailDirty {
		return
	}
	v.drop(i, func(e *Effect) bool { return e.Kind == Page && e.Seq <= upTo })
	if how == FailRevert {
		for _, index := range dirty {
			v.revert(i, index)
		}
	}
}

// revert shows the durable version of a page, in its old place or as zeros.
func (v *Volume) revert(i *Inode, index int64) {
	pg := i.durable.page(index)
	if pg == nil {
		pg = v.pool.zero
	}
	if int64(len(i.cache.pages)) > index && i.cache.pages[index] != nil {
		v.pool.put(i.cache.set(index, share(pg)))
	}
}
