// Package world puts a simulated machine together: a node of the kernel, its place
// on the network, and its disks, as the World that node code is handed.
package world

import (
	"fmt"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/sim"
)

// New returns the World of a node. Call it once per node: what it returns goes on
// after the node's restarts, for network and disks outlive their processes.
func New(network *netsim.Network, node *sim.Node, disks ...*disksim.Disk) *env.World {
	w := &env.World{
		Clock:  node.Clock(),
		Tasks:  node.Tasks(),
		Net:    network.Host(node, node.Name()),
		Random: node.Random(),
		Secret: node.Secret(),
		Log:    node.Log(),
		Sight:  node.Sight(),
	}
	for i, d := range disks {
		w.LogDirs = append(w.LogDirs, env.LogDir{Name: fmt.Sprintf("%s/disk%d", node.Name(), i), FS: d.FS(node)})
	}
	return w
}
