package media

import "slices"

// Read copies what a process sees from offset off. It returns io.EOF with what
// there was if the file ends before p is full.
func (v *Volume) Read(i *Inode, p []byte, off int64) (int, error) {
	return i.cache.read(p, off)
}

// Write changes the cache and issues the effects. It returns how many bytes were
// written: fewer than len(p), a whole number of pages, with ErrNoSpace.
func (v *Volume) Write(i *Inode, p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		index, at := (off+int64(n))>>pageShift, int((off+int64(n))%PageSize)
		m := min(PageSize-at, len(p)-n)
		pg := v.writable(i, index, at, m)
		if pg == nil {
			break
		}
		copy(pg.data[at:], p[n:n+m])
		v.issue(Effect{Kind: Page, Mask: sectorMask(at, m), ino: i, at: index, page: share(pg)})
		n += m
	}
	if n > 0 {
		v.grow(i, off+int64(n))
	}
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// writable returns page index of the cache, unshared, for the caller to write m
// bytes from position at; nil if the volume is full.
func (v *Volume) writable(i *Inode, index int64, at, m int) *page {
	old := i.cache.page(index)
	if i.bad != nil {
		v.repair(i, index)
	}
	switch {
	case old == nil && v.used >= v.capacity:
		return nil
	case old == nil:
		v.used++
		i.blocks++
	case old.refs == 1:
		return old
	}
	pg := v.pool.get()
	if old == nil {
		clear(pg.data[:at])
		clear(pg.data[at+m:])
	} else {
		copy(pg.data[:at], old.data[:])
		copy(pg.data[at+m:], old.data[at+m:])
	}
	v.pool.put(i.cache.set(index, pg))
	return pg
}

// grow makes the file at least n bytes long.
func (v *Volume) grow(i *Inode, n int64) {
	if n > i.cache.size {
		v.issue(Effect{Kind: Size, ino: i, at: i.cache.size, n: n})
		i.cache.size = n
	}
}

// Truncate sets the size. New bytes are zeros.
func (v *Volume) Truncate(i *Inode, n int64) {
	if n >= i.cache.size {
		v.grow(i, n)
		return
	}
	v.issue(Effect{Kind: Size, ino: i, at: i.cache.size, n: n})
	i.cache.cut(n, &v.pool, func(pg *page) {
		v.pool.put(pg)
		v.used--
		i.blocks--
	})
	i.cache.size = n
}

// Allocate sets space aside for a range, and grows the file to cover it.
// ErrNoSpace if there is not enough, and then nothing happened.
func (v *Volume) Allocate(i *Inode, off, n int64) error {
	if n <= 0 {
		return nil
	}
	first, end := off>>pageShift, (off+n+PageSize-1)>>pageShift
	var missing int64
	for k := first; k < end; k++ {
		if i.cache.page(k) == nil {
			missing++
		}
	}
	if v.used+missing > v.capacity {
		return errFull
	}
	if missing > 0 {
		v.issue(Effect{Kind: Reserve, ino: i, at: first, n: end - first})
		v.reserve(&i.cache, first, end)
		v.used += missing
		i.blocks += missing
	}
	v.grow(i, off+n)
	return nil
}

func (v *Volume) reserve(x *extent, first, end int64) {
	for k := first; k < end; k++ {
		if x.page(k) == nil {
			x.set(k, share(v.pool.zero))
		}
	}
}

// WriteLost is a Write that reaches the cache and never the durable image,
// whatever a later sync says. The size does.
func (v *Volume) WriteLost(i *Inode, p []byte, off int64) (int, error) {
	mark := v.seq
	n, err := v.Write(i, p, off)
	v.drop(i, func(e *Effect) bool { return e.Kind == Page && e.Seq > mark })
	return n, err
}

// Bad reports whether reading n bytes from off meets an unreadable sector.
func (v *Volume) Bad(i *Inode, off int64, n int) bool {
	if len(i.bad) == 0 || n == 0 || off >= i.cache.size {
		return false
	}
	end := off + int64(n)
	for k := off >> pageShift; k<<pageShift < end; k++ {
		at := max(0, off-k<<pageShift)
		m := min(PageSize, end-k<<pageShift) - at
		if i.bad[k]&sectorMask(int(at), int(m)) != 0 {
			return true
		}
	}
	return false
}

// Spoil makes the page that holds offset off unreadable until it is written.
func (v *Volume) Spoil(i *Inode, off int64) { i.spoil(off>>pageShift, allSectors) }

func (i *Inode) spoil(index int64, sectors uint8) {
	if i.bad == nil {
		i.bad = map[int64]uint8{}
	}
	i.bad[index] |= sectors
}

// repair makes a page readable, because it is being written: the device maps
// another sector in.
func (v *Volume) repair(i *Inode, index int64) {
	delete(i.bad, index)
	if len(i.bad) == 0 {
		i.bad = nil
	}
}

// RepairAll makes every page of the volume readable.
func (v *Volume) RepairAll() {
	for _, i := range v.inodes {
		i.bad = nil
	}
}

// Rot flips a bit of a file's durable image, and of the cache where it has the same
// byte and is not about to write it: it would be read again from the disk. It reports
// whether there was a durable byte at that offset.
func (v *Volume) Rot(i *Inode, off int64, bit uint) bool {
	index, at := off>>pageShift, off%PageSize
	old, cached := i.durable.page(index), i.cache.page(index)
	if off >= i.durable.size || old == nil {
		return false
	}
	clean := off < i.cache.size && cached != nil && cached.data[at] == old.data[at] && !i.writes(index, sectorMask(int(at), 1))
	pg := v.pool.copyOf(old)
	pg.data[at] ^= 1 << (bit % 8)
	switch {
	case clean && cached == old:
		v.pool.put(i.cache.set(index, share(pg)))
	case clean: // since a truncation, or since the images diverged
		other := v.pool.copyOf(cached)
		other.data[at] = pg.data[at]
		v.pool.put(i.cache.set(index, other))
	}
	v.pool.put(i.durable.set(index, pg))
	i.diverged = true
	return true
}

// writes reports whether a write of some sectors of a page is pending.
func (i *Inode) writes(index int64, sectors uint8) bool {
	return slices.ContainsFunc(i.pending, func(e Effect) bool {
		return e.Kind == Page && e.at == index && e.Mask&sectors != 0
	})
}
