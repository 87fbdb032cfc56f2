package media

// A page is one version of 4096 bytes, shared by reference counting between
// cache, effects, durable image and clones. Whoever wants to change a shared one
// copies it.
type page struct {
	refs int32
	data [PageSize]byte
}

// A pool recycles pages. It allocates them in slabs, because a page with its
// counter does not fit any size class of the runtime.
type pool struct {
	free  []*page
	zero  *page   // what reserved and not yet written pages share
	grave []*page // some pages that were freed, for stale tails; a ring
	next  int     // where the ring goes on
}

const (
	slabPages  = 64
	gravePages = 64
)

func (p *pool) init() { p.zero = &page{refs: 1} }

// get returns a page of unknown content with one reference.
func (p *pool) get() *page {
	if len(p.free) == 0 {
		slab := make([]page, slabPages)
		for i := range slab {
			p.free = append(p.free, &slab[i])
		}
	}
	last := len(p.free) - 1
	pg := p.free[last]
	p.free = p.free[:last]
	pg.refs = 1
	return pg
}

// put gives back one reference. Nil is allowed.
func (p *pool) put(pg *page) {
	if pg == nil {
		return
	}
	pg.refs--
	if pg.refs == 0 {
		p.free = append(p.free, pg)
	}
}

// bury keeps a durable page that is being freed: its bytes are still on the
// platter and may show up again at the end of another file. It takes over the
// caller's reference.
func (p *pool) bury(pg *page) {
	if pg == nil || pg == p.zero {
		p.put(pg)
		return
	}
	if len(p.grave) < gravePages {
		p.grave = append(p.grave, pg)
		return
	}
	p.put(p.grave[p.next])
	p.grave[p.next] = pg
	p.next = (p.next + 1) % gravePages
}

// share adds a reference. Nil is allowed.
func share(pg *page) *page {
	if pg != nil {
		pg.refs++
	}
	return pg
}

// copyOf returns an unshared page with the bytes of pg, zeros if it is nil.
func (p *pool) copyOf(pg *page) *page {
	c := p.get()
	if pg == nil {
		clear(c.data[:])
	} else {
		copy(c.data[:], pg.data[:]) // an assignment would be several times slower
	}
	return c
}

// sectorMask returns the sectors that n bytes from position at of a page touch.
func sectorMask(at, n int) uint8 {
	first, last := at/SectorSize, (at+n-1)/SectorSize
	return uint8((1<<(last+1) - 1) &^ (1<<first - 1))
}
