package node

import (
	"github.com/klammlog/klamm/node/api"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/coordinator"
)

// Usage is what a node holds at this moment, room by room, and the limits it
// keeps itself to, as plain numbers.
type Usage struct {
	API    api.Usage
	Broker broker.Usage
	Groups coordinator.Usage
	Dirs   []commitlog.Usage
}

// Usage returns what is held now.
func (n *Node) Usage() Usage {
	u := Usage{API: n.server.Usage()}
	if n.broker != nil {
		u.Broker = n.broker.Usage()
	}
	if n.groups != nil {
		u.Groups = n.groups.Usage()
	}
	for _, d := range n.dirs {
		u.Dirs = append(u.Dirs, d.Dir.Usage())
	}
	return u
}
