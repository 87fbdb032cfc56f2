// Package node wires the rooms below it into a node that serves Kafka's
// protocol, in any world.
//
// A node is a controller, a broker, or both. Start brings it up to where it does
// all that it can; Stop ends it cleanly, so that others take over what it had, and
// the next start need not look at what the disks hold. What a node is told is in
// Config, what observers may see in the methods that return plain values.
package node

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/klammlog/klamm/node/api"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/controller"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/peer"
	"github.com/klammlog/klamm/node/quorum"
)

// A Config is what a node is told. The log directories are the world's.
type Config struct {
	Settings *config.View // of the broker's scope

	// OpenFiles is how many files the logs of a directory keep open, if they can do
	// with so few; 0 leaves it to them.
	OpenFiles int
}

// A Node is one running node.
type Node struct {
	w          *env.World
	settings   *config.View
	openFiles  int
	id         kafka.NodeID
	dirs       []broker.LogDir
	missing    error // a log directory that was there before and is not now
	lost       []broker.LostDir
	server     *api.Server
	peers      *peer.Peers
	quorum     *quorum.Quorum         // nil on a broker that is no controller
	controller *controller.Controller // nil there, too
	observer   *quorum.Observer       // of the quorum; nil on a controller
	joining    *env.Group             // the task that asks for a vote; nil if none does
	metadata   source                 // the quorum, or the observer
	broker     *broker.Broker         // nil on a controller that is no broker
	groups     *api.Groups            // nil there, too
}

// A source is the metadata as this node has it.
type source interface {
	Image() *meta.Image
	OnApply(f func([]meta.Record))
	Applied() kafka.Offset
	WaitApplied(at kafka.Offset, deadline kafka.Instant) error
	Leader() (kafka.NodeID, kafka.LeaderEpoch)
}

// Start starts a node on its log directories and listeners. When it returns the
// node does what its roles are: a controller takes part in the quorum, a broker is
// registered and serves; partitions that it cannot serve are logged and answer
// with an error. In a cluster that may take until others are there. It fails if
// the first log directory cannot be used, if a listener cannot be opened, or if
// the directories are those of another node or cluster. Blocks.
func Start(w *env.World, c Config) (*Node, error) {
	n := &Node{w: w, settings: c.Settings, openFiles: c.OpenFiles, id: kafka.NodeID(config.NodeID.In(c.Settings))}
	if err := n.start(); err != nil {
		return nil, fmt.Errorf("node %d: %w", n.id, errors.Join(err, n.release(kafka.Never)))
	}
	w.Log.Info("node is serving", "node", int(n.id), "cluster", n.Image().ClusterID(), "address", n.Address())
	return n, nil
}

// start does first what changes nothing on the disks. A controller serves before
// the quorum has a leader, which it takes part in electing.
func (n *Node) start() error {
	err := n.checkDirs()
	if err != nil {
		return err
	}
	if err := n.adoptVoters(); err != nil {
		return err
	}
	if n.server, err = api.Listen(n.w, n.settings); err != nil {
		return err
	}
	if len(config.VotersIn(n.settings)) > 1 {
		n.server.TurnAway() // others may serve who comes; a client of a node alone waits
	}
	if err := n.openDirs(); err != nil {
		return err
	}
	cluster, err := n.identify()
	if err != nil {
		return err
	}
	n.peers = peer.New(n.w, n.peerOptions())
	if err := n.startMetadata(cluster); err != nil {
		return err
	}
	if err := n.awaitCluster(); err != nil {
		return err
	}
	if err := n.own(cluster); err != nil {
		return err
	}
	if !config.IsBroker(n.settings) {
		return nil
	}
	return n.startBroker()
}

// startBroker has the broker registered, its logs opened, and serve. Blocks.
func (n *Node) startBroker() (err error) {
	n.broker, err = broker.Open(n.w, broker.Options{
		Config: n.settings, Dirs: n.dirs, Source: n.metadata, Controllers: n.peers, Peers: n.peers,
		Endpoints: n.server.Endpoints(), Missing: n.missing, Lost: n.lost,
	})
	if err != nil {
		return err
	}
	if err := n.awaitServing(); err != nil {
		return err
	}
	n.startGroups()
	n.server.SetGroups(n.groups)
	n.server.SetBroker(n.broker)
	return nil
}

// awaitServing waits until the broker serves, or until the node cannot go on: what
// it would wait for then does not come. Blocks.
func (n *Node) awaitServing() error {
	const look = time.Second
	for {
		err := n.broker.AwaitServing(n.w.Now().Add(look))
		if err == nil || !errors.Is(err, env.ErrDeadline) {
			return err
		}
		if err := n.Failed(); err != nil {
			return err
		}
	}
}

// Stop ends the node: it hands over what it leads, takes no further requests,
// answers those it has, closes the logs cleanly and lets go of the directories.
// What is not done by the deadline is left, and the next start has to look at the
// disks. Blocks.
func (n *Node) Stop(deadline kafka.Instant) error {
	err := n.release(deadline)
	n.w.Log.Info("node has stopped", "node", int(n.id), slog.Any("err", err))
	return err
}

// release ends what was begun, in the reverse order. A controller answers the
// others until it has handed over the quorum, and a broker the followers until it
// leads nothing any more.
func (n *Node) release(deadline kafka.Instant) error {
	var errs []error
	if n.broker != nil {
		errs = append(errs, n.broker.HandOver(n.halfWay(deadline)))
	}
	if n.server != nil {
		errs = append(errs, n.server.StopBrokers(n.halfWay(deadline)))
	}
	if n.groups != nil {
		errs = append(errs, n.groups.Close(deadline))
	}
	if n.broker != nil {
		errs = append(errs, n.broker.Close(deadline))
	}
	if n.observer != nil {
		errs = append(errs, n.observer.Close(deadline))
	}
	errs = append(errs, n.stopJoining(deadline))
	if n.controller != nil {
		errs = append(errs, n.controller.Close(deadline))
	}
	if n.quorum != nil {
		errs = append(errs, n.quorum.Close(deadline))
	}
	if n.server != nil {
		errs = append(errs, n.server.Stop(deadline))
	}
	if n.peers != nil {
		errs = append(errs, n.peers.Close(deadline))
	}
	for _, d := range n.dirs {
		errs = append(errs, d.Dir.Close())
	}
	return errors.Join(errs...)
}

// halfWay leaves the logs half of the time: a client that does not read its answers
// must not make the stop an unclean one.
func (n *Node) halfWay(deadline kafka.Instant) kafka.Instant {
	if deadline == kafka.Never {
		return deadline
	}
	now := n.w.Now()
	return now.Add(deadline.Sub(now) / 2)
}
