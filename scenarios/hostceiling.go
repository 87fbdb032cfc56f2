package scenarios

import "github.com/klammlog/klamm/node"

// A hostCeiling is the most connections of one host that a node may have at a look.
// max.connections.per.ip is a limit on accepting: what a host had when an operator
// lowered it may stay, but must not grow.
type hostCeiling struct {
	node  *node.Node
	limit int64 // in force when it was last followed
	most  int64 // the highest limit since the last look, or what one host had then
}

// follow notes the limit that a node has now.
func (c *hostCeiling) follow(n *node.Node, limit int64) {
	if n != c.node {
		*c = hostCeiling{node: n} // its connections begin anew
	}
	c.limit, c.most = limit, max(c.most, limit)
}

// looked notes what one host had at a look.
func (c *hostCeiling) looked(used int64) { c.most = max(c.limit, used) }

// turnsHostLimit reports whether operators change a limit on hosts that anybody
// reaches.
func (r *run) turnsHostLimit() bool {
	return r.options.Operators.Operators > 0 && r.options.MaxPerHost > 0
}

// followHostLimits notes the limits of all nodes.
func (o *observer) followHostLimits() {
	for _, b := range o.r.nodes {
		if b.running != nil {
			b.ofOneHost.follow(b.running, b.running.MaxOfOneHost())
		}
	}
}
