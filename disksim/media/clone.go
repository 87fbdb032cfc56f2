package media

// Clone returns an independent copy that shares pages until they are written.
// What is open in the original is not in the copy.
func (v *Volume) Clone() *Volume {
	c := &Volume{nextID: v.nextID, seq: v.seq, journal: v.journal, pending: v.pending,
		used: v.used, capacity: v.capacity}
	c.pool.zero = share(v.pool.zero)
	for _, pg := range v.pool.grave {
		c.pool.grave = append(c.pool.grave, share(pg))
	}
	c.pool.next = v.pool.next
	twin := map[*Inode]*Inode{}
	for _, i := range v.inodes {
		twin[i] = i.shallow(&c.pool)
		c.inodes = append(c.inodes, twin[i])
	}
	for k, i := range v.inodes {
		c.inodes[k].adopt(i, twin)
	}
	c.root = twin[v.root]
	for _, e := range v.entries {
		c.entries = append(c.entries, e.mapped(twin))
	}
	c.freed = v.freed
	for _, i := range c.inodes {
		c.maybeFree(i)
	}
	return c
}

// shallow copies all but what points to other inodes.
func (i *Inode) shallow(p *pool) *Inode {
	c := &Inode{id: i.id, typ: i.typ, freed: i.freed, allocated: i.allocated, blocks: i.blocks,
		diverged: i.diverged, poison: i.poison,
		links: i.links, durableLinks: i.durableLinks, pendingLinks: i.pendingLinks}
	c.cache.become(&i.cache, p)
	c.durable.become(&i.durable, p)
	c.bad, c.suspect = cloneMasks(i.bad), cloneMasks(i.suspect)
	return c
}

// adopt copies what points to other inodes, pointing to their twins.
func (c *Inode) adopt(i *Inode, twin map[*Inode]*Inode) {
	c.entries, c.durableEntries = twins(i.entries, twin), twins(i.durableEntries, twin)
	for _, e := range i.pending {
		c.pending = append(c.pending, e.mapped(twin))
	}
}

func (e Effect) mapped(twin map[*Inode]*Inode) Effect {
	e.ino = twin[e.ino]
	share(e.page)
	if e.move != nil {
		m := *e.move
		m.from, m.to = twin[m.from], twin[m.to]
		e.move = &m
	}
	return e
}

func twins(entries map[string]*Inode, twin map[*Inode]*Inode) map[string]*Inode {
	if entries == nil {
		return nil
	}
	c := make(map[string]*Inode, len(entries))
	for name, i := range entries { //klamm:unordered into a map
		c[name] = twin[i]
	}
	return c
}

func cloneMasks(m map[int64]uint8) map[int64]uint8 {
	if len(m) == 0 {
		return nil
	}
	c := make(map[int64]uint8, len(m))
	for index, mask := range m { //klamm:unordered into a map
		c[index] = mask
	}
	return c
}
