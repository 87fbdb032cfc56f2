package media

import (
	"maps"
	"math/rand/v2"

	"github.com/klammlog/klamm/internal/assert"
)

// PowerLoss ends in an outcome that Draw or Crashes gave for this moment: the
// durable image takes what is kept, and the cache starts again from it. Handles
// of before are void.
func (v *Volume) PowerLoss(c Crash) {
	effects := v.Effects()
	assert.That(len(effects) == len(c.Kept), "crash keeps of %d effects, there are %d", len(c.Kept), len(effects))
	h := harm{v: v, c: c, rand: rand.New(rand.NewPCG(c.Salt, 1))}
	for k := range effects {
		h.land(&effects[k], c.Kept[k])
	}
	for k := range effects {
		h.spoil(&effects[k], c.Kept[k])
	}
	for _, i := range v.inodes {
		v.dropPending(i)
	}
	clear(v.entries)
	v.entries, v.pending = v.entries[:0], 0
	v.remount()
}

// harm is one power loss on its way through the effects.
type harm struct {
	v    *Volume
	c    Crash
	rand *rand.Rand
}

// land puts what is kept of an effect on the durable image.
func (h *harm) land(e *Effect, kept uint8) {
	if e.isEntry() {
		h.v.applyEntry(e, kept)
		return
	}
	if !e.ino.freed && (e.ino.allocated || e.Kind == Alloc) {
		// Not in the prefix any more: page versions hold sectors that are lost.
		e.ino.diverged = true
		h.v.apply(e, kept)
	}
}

// spoil does what the modifiers add to an effect that was in flight.
func (h *harm) spoil(e *Effect, kept uint8) {
	if e.Kind != Page || e.at*PageSize >= e.ino.durable.size {
		return
	}
	if h.c.Modifiers&HardCrash != 0 && kept != e.Mask && h.rand.IntN(4) == 0 {
		h.garble(e.ino, e.at, e.Mask)
	}
	if h.c.Modifiers&StaleTail != 0 && kept == lost && e.ino.durable.page(e.at) == nil {
		h.resurrect(e.ino, e.at)
	}
}

// garble makes one of the sectors unreadable, or fills it with noise.
func (h *harm) garble(i *Inode, index int64, sectors uint8) {
	s := h.rand.IntN(sectorsPerPage)
	for sectors&(1<<s) == 0 {
		s = (s + 1) % sectorsPerPage
	}
	if h.rand.IntN(2) == 0 {
		i.spoil(index, 1<<s)
		return
	}
	pg := h.v.pool.copyOf(i.durable.page(index))
	for k := s * SectorSize; k < (s+1)*SectorSize; k++ {
		pg.data[k] = byte(h.rand.UintN(256))
	}
	h.v.pool.put(i.durable.set(index, pg))
}

// resurrect shows the bytes of a page that was freed earlier.
func (h *harm) resurrect(i *Inode, index int64) {
	if grave := h.v.pool.grave; len(grave) > 0 {
		h.v.pool.put(i.durable.set(index, share(grave[h.rand.IntN(len(grave))])))
	}
}

// remount forgets the cache and reads the durable image, of which only what can
// be reached from the root is left.
func (v *Volume) remount() {
	for _, i := range v.inodes {
		i.links, i.durableLinks, i.pendingLinks, i.opens = 0, 0, 0, 0
	}
	v.used = 0
	v.root.links, v.root.durableLinks = 1, 1
	v.reload(v.root)
	for _, i := range v.inodes {
		if i.links == 0 && !i.freed {
			i.blocks = 0
			v.free(i)
		}
	}
	v.compact()
}

// reload makes the cache of an inode and of all below it what is durable.
func (v *Volume) reload(i *Inode) {
	i.suspect, i.diverged, i.poison = nil, false, 0
	if i.IsDir() {
		i.entries = maps.Clone(i.durableEntries)
		for _, name := range sortedNames(i.entries) {
			child := i.entries[name]
			child.links++
			child.durableLinks++
			if child.links == 1 {
				v.reload(child)
			}
		}
		return
	}
	i.durable.cut(i.durable.size, &v.pool, v.pool.put)
	i.allocated = true
	i.cache.become(&i.durable, &v.pool)
	i.blocks = i.cache.count()
	v.used += i.blocks
}
