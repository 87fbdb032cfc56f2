// Package node wires the rooms below it into a node that serves Kafka's
// protocol, in any world.
//
// Start brings a node up to where it serves every partition it can; Stop ends it
// cleanly, so that the next start need not look at what the disks hold. What a
// node is told is in Config, what observers may see in the methods that return
// plain values.
package node

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/klammlog/klamm/node/api"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A Config is what a node is told. The log directories are the world's.
type Config struct {
	Settings *config.View // of the broker's scope
}

// A Node is one running node.
type Node struct {
	w        *env.World
	settings *config.View
	id       kafka.NodeID
	dirs     []broker.LogDir
	missing  error // a log directory that was there before and is not now
	lost     []broker.LostDir
	metadata *broker.Local
	server   *api.Server
	broker   *broker.Broker
}

// Start starts a node on its log directories and listeners. When it returns the
// node serves; partitions that it cannot serve are logged and answer with an
// error. It fails if the first log directory, which holds the metadata, cannot be
// used, or a listener cannot be opened. Blocks.
func Start(w *env.World, c Config) (*Node, error) {
	n := &Node{w: w, settings: c.Settings, id: kafka.NodeID(config.NodeID.In(c.Settings))}
	if err := n.start(); err != nil {
		return nil, fmt.Errorf("node %d: %w", n.id, errors.Join(err, n.release(kafka.Never)))
	}
	w.Log.Info("node is serving", "node", int(n.id), "cluster", n.metadata.Image().ClusterID(), "address", n.Address())
	return n, nil
}

// start does first what changes nothing on the disks.
func (n *Node) start() error {
	err := n.checkDirs()
	if err != nil {
		return err
	}
	if n.server, err = api.Listen(n.w, n.settings); err != nil {
		return err
	}
	if err := n.openDirs(); err != nil {
		return err
	}
	if n.metadata, err = broker.OpenLocal(n.w, n.dirs[0].Dir); err != nil {
		return err
	}
	if err := n.checkOwner(); err != nil {
		return err
	}
	if err := n.register(); err != nil {
		return err
	}
	n.broker, err = broker.Open(n.w, broker.Options{
		Config: n.settings, Dirs: n.dirs, Source: n.metadata, Missing: n.missing, Lost: n.lost,
	})
	if err != nil {
		return err
	}
	n.server.SetController(api.Lone{Broker: n.broker})
	n.server.SetBroker(n.broker)
	return nil
}

// openDirs takes the log directories into use. Without the first there is no
// node; what lies in another that cannot be used is out of service. Blocks.
func (n *Node) openDirs() error {
	if len(n.w.LogDirs) == 0 {
		return errors.New("no log directory")
	}
	for i, at := range n.w.LogDirs {
		d, err := commitlog.OpenDir(n.w, at, commitlog.DirOptions{})
		if err != nil && i == 0 {
			return err
		}
		if err != nil {
			n.w.Probe("a log directory could not be used")
			n.w.Log.Error("log directory is out of service", "dir", at.Name, "err", err)
			n.missing = errors.Join(n.missing, err)
			n.lost = append(n.lost, broker.LostDir{Name: at.Name, Err: err})
			continue
		}
		n.dirs = append(n.dirs, broker.LogDir{Dir: d, FS: at.FS})
	}
	return nil
}

// register names the cluster if this is its beginning, and tells it where this
// node is. Blocks.
func (n *Node) register() error {
	err := n.metadata.Change(func(image *meta.Image) ([]meta.Record, error) {
		if image.Level() > 0 {
			return nil, nil
		}
		id, err := n.newClusterID()
		return meta.Format(id), err
	})
	if err != nil {
		return err
	}
	var epoch int64
	err = n.metadata.Change(func(image *meta.Image) (records []meta.Record, err error) {
		old, _ := image.Broker(n.id)
		for _, id := range old.Directories {
			if !n.has(id) {
				n.w.Probe("a log directory of an earlier start is missing")
				n.missing = errors.Join(n.missing, fmt.Errorf("log directory %x is missing", id))
			}
		}
		records, epoch, err = image.Register(meta.Registration{
			ID: n.id, ClusterID: image.ClusterID(), Endpoints: n.server.Endpoints(), Directories: n.directories(),
			MinLevel: 1, MaxLevel: meta.Level, CleanAfter: old.Epoch,
		}, func(kafka.NodeID) bool { return false }, nil)
		return records, err
	})
	if err != nil {
		return err
	}
	return n.metadata.Change(func(image *meta.Image) ([]meta.Record, error) {
		records, _, err := image.Heartbeat(meta.Beat{ID: n.id, Epoch: epoch}, 0, nil)
		return records, err
	})
}

// newClusterID draws an id as Kafka writes them: 16 bytes in base64.
func (n *Node) newClusterID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(n.w.Secret, b[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

func (n *Node) directories() []meta.DirectoryID {
	var ids []meta.DirectoryID
	for _, d := range n.dirs {
		ids = append(ids, meta.DirectoryID(d.Dir.ID()))
	}
	return ids
}

func (n *Node) has(id meta.DirectoryID) bool {
	for _, other := range n.directories() {
		if other == id {
			return true
		}
	}
	return false
}

// Stop ends the node: it takes no further requests, answers those it has, closes
// the logs cleanly and lets go of the directories. What is not done by the
// deadline is left, and the next start has to look at the disks. Blocks.
func (n *Node) Stop(deadline kafka.Instant) error {
	err := n.release(deadline)
	n.w.Log.Info("node has stopped", "node", int(n.id), slog.Any("err", err))
	return err
}

func (n *Node) release(deadline kafka.Instant) error {
	var errs []error
	if n.server != nil {
		errs = append(errs, n.server.Stop(n.halfWay(deadline)))
	}
	if n.broker != nil {
		errs = append(errs, n.broker.Close(deadline))
	}
	if n.metadata != nil {
		errs = append(errs, n.metadata.Close(deadline))
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

// ID returns the node's number.
func (n *Node) ID() kafka.NodeID { return n.id }

// Address returns where clients can dial the first listener.
func (n *Node) Address() string { return n.server.Address() }

// Partitions returns what observers see of this node's partitions, in the order
// of their names.
func (n *Node) Partitions() []broker.View { return n.broker.Views() }

// Image returns the metadata as this node has it. Callers look only.
func (n *Node) Image() *meta.Image { return n.metadata.Image() }

// Check returns the first broken invariant of the node.
func (n *Node) Check() error {
	return errors.Join(n.metadata.Log().Check(), n.broker.Check(), n.server.Check())
}

// Stats are counts since the start and what is in use now, as plain numbers.
type Stats struct {
	Broker broker.Stats
	API    api.Stats
}

// Stats returns the counts.
func (n *Node) Stats() Stats { return Stats{Broker: n.broker.Stats(), API: n.server.Stats()} }
