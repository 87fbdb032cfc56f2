package node

import (
	"github.com/klammlog/klamm/node/api"
	"github.com/klammlog/klamm/node/broker"
)

// A Snapshot is the node's metrics as plain numbers, for those who show them.
type Snapshot struct {
	API    api.Metrics
	Broker broker.Metrics
}

// Snapshot gathers the metrics. Blocks.
func (n *Node) Snapshot() Snapshot {
	s := Snapshot{API: n.server.Metrics()}
	if n.broker != nil {
		s.Broker = n.broker.Metrics()
	}
	return s
}
