package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/controller"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/peer"
	"github.com/klammlog/klamm/node/quorum"
)

// openDirs takes the log directories into use. Without the first there is no
// node; what lies in another that cannot be used is out of service. Blocks.
func (n *Node) openDirs() error {
	if len(n.w.LogDirs) == 0 {
		return errors.New("no log directory")
	}
	for i, at := range n.w.LogDirs {
		d, err := commitlog.OpenDir(n.w, at, commitlog.DirOptions{OpenFiles: n.openFiles})
		if err != nil && i == 0 {
			return err
		}
		if err != nil {
			n.lose(at.Name, err)
			continue
		}
		n.dirs = append(n.dirs, broker.LogDir{Dir: d, FS: at.FS})
	}
	return nil
}

// lose goes on without a log directory.
func (n *Node) lose(name string, err error) {
	n.w.Probe("a log directory could not be used")
	n.w.Log.Error("log directory is out of service", "dir", name, "err", err)
	n.missing = errors.Join(n.missing, err)
	n.lost = append(n.lost, broker.LostDir{Name: name, Err: err})
}

// startMetadata has the node take part in the quorum, or follow it. A controller
// is there for the others from here on. Blocks.
func (n *Node) startMetadata(cluster string) error {
	if config.IsController(n.settings) {
		if err := n.startQuorum(cluster); err != nil {
			return err
		}
	} else if err := n.startObserver(); err != nil {
		return err
	}
	n.server.SetSource(n.metadata)
	n.server.SetForwarder(n.peers)
	if n.quorum != nil {
		n.server.SetController(n.controller)
		n.server.SetQuorum(n.quorum)
		n.maybeJoin()
	}
	return nil
}

// startObserver has a broker follow the quorum. Blocks.
func (n *Node) startObserver() error {
	o, err := quorum.Observe(n.w, quorum.ObserverOptions{
		Dir: n.dirs[0].Dir, FS: n.dirs[0].FS, Remote: n.peers, SnapshotEvery: config.MetadataSnapshotBytes.In(n.settings),
	})
	if err != nil {
		return err
	}
	n.observer, n.metadata = o, o
	return nil
}

// startQuorum opens this node's member of the quorum. Blocks.
func (n *Node) startQuorum(cluster string) error {
	o := quorum.Options{
		ID: n.id, Dir: n.dirs[0].Dir, FS: n.dirs[0].FS, ClusterID: cluster,
		ElectionTimeout: config.QuorumElectionTimeout.Duration(n.settings),
		SnapshotEvery:   config.MetadataSnapshotBytes.In(n.settings),
	}
	for _, v := range config.VotersIn(n.settings) {
		o.Voters = append(o.Voters, quorum.Voter{ID: v.ID, Address: v.Address})
	}
	if len(o.Voters) == 0 {
		o.Voters = []quorum.Voter{{ID: n.id}}
	} else {
		o.Transport = n.peers
	}
	q, err := quorum.Open(n.w, o)
	if err != nil {
		return err
	}
	n.quorum, n.metadata = q, q
	n.controller = controller.Open(n.w, controller.Options{Config: n.settings, Quorum: q})
	n.peers.SetLocal(n.controller)
	return nil
}

// peerOptions tells who the other nodes are. What is asked later may not be there
// yet.
func (n *Node) peerOptions() peer.Options {
	return peer.Options{
		ID: n.id, Config: n.settings, Directory: meta.DirectoryID(n.dirs[0].Dir.ID()),
		Image: func() *meta.Image {
			if n.metadata == nil {
				return meta.NewImage()
			}
			return n.metadata.Image()
		},
		Leader: func() kafka.NodeID {
			if n.metadata == nil {
				return meta.NoLeader
			}
			leader, _ := n.metadata.Leader()
			return leader
		},
		Voters: n.voters,
		Where:  n.where,
	}
}

// voters returns the controllers as this node knows them, by id: those that the
// quorum has agreed on, else those of the configuration.
func (n *Node) voters() []config.Voter {
	var known []quorum.Voter
	switch {
	case n.quorum != nil:
		known = n.quorum.Voters()
	case n.observer != nil:
		known = n.observer.Voters()
	}
	var out []config.Voter
	for _, v := range known {
		out = append(out, config.Voter{ID: v.ID, Address: v.Address})
	}
	if len(out) == 0 {
		return config.VotersIn(n.settings)
	}
	return out
}

// where returns the address of a controller, "" if this node does not know it.
func (n *Node) where(id kafka.NodeID) string {
	if n.quorum != nil {
		if at := n.quorum.Member(id).Address; at != "" {
			return at
		}
	}
	for _, v := range append(n.voters(), config.VotersIn(n.settings)...) {
		if v.ID == id && v.Address != "" {
			return v.Address
		}
	}
	return ""
}

// awaitCluster waits until this node knows the cluster. Blocks.
func (n *Node) awaitCluster() error {
	const look = time.Second
	for n.Image().ClusterID() == "" {
		err := n.metadata.WaitApplied(n.metadata.Applied()+1, n.w.Now().Add(look))
		if errors.Is(err, env.ErrDeadline) {
			err = n.Failed() // what it waits for would not come then
		}
		if err != nil {
			return fmt.Errorf("waiting for the cluster: %w", err)
		}
	}
	return nil
}
