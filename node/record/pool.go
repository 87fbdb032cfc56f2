package record

// A Pool keeps Codecs that nobody uses, for tasks that offload compression: each
// takes one, and gives it back after its Offload has returned. It belongs to one
// node, whose tasks run one at a time. The zero value is ready.
type Pool struct{ free []*Codecs }

// keepFree is how many idle Codecs a Pool keeps: one for each core that could
// compress at once on the machines a node is made for.
const keepFree = 8

// Take returns Codecs that are the caller's until Give.
func (p *Pool) Take() *Codecs {
	n := len(p.free)
	if n == 0 {
		return new(Codecs)
	}
	c := p.free[n-1]
	p.free[n-1] = nil
	p.free = p.free[:n-1]
	return c
}

// Give returns Codecs to the pool. What Unpack and Records returned from them
// may no longer be used.
func (p *Pool) Give(c *Codecs) {
	if len(p.free) < keepFree {
		p.free = append(p.free, c)
	}
}
