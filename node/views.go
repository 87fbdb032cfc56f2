package node

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/api"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/controller"
	"github.com/klammlog/klamm/node/coordinator"
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
)

// ID returns the node's number.
func (n *Node) ID() kafka.NodeID { return n.id }

// Address returns where clients can dial the first listener.
func (n *Node) Address() string { return n.server.Address() }

// Scrubs returns how often this node has read all its logs again, to find rot.
func (n *Node) Scrubs() uint64 {
	if n.broker == nil {
		return 0
	}
	return n.broker.ScrubRuns()
}

// IsBroker reports whether the node is a broker.
func (n *Node) IsBroker() bool { return config.IsBroker(n.settings) }

// IsController reports whether the node is a controller.
func (n *Node) IsController() bool { return config.IsController(n.settings) }

// Active reports whether the node is the active controller, as far as it knows.
func (n *Node) Active() bool { return n.controller != nil && n.controller.Active() }

// Quorum returns what observers see of the node as a controller; false if it is
// none.
func (n *Node) Quorum() (quorum.View, bool) {
	if n.quorum == nil {
		return quorum.View{}, false
	}
	return n.quorum.View(), true
}

// Partitions returns what observers see of this node's partitions, in the order
// of their names.
func (n *Node) Partitions() []broker.View {
	if n.broker == nil {
		return nil
	}
	return n.broker.Views()
}

// Closeup returns what observers see of one replica besides; false if the node has
// none.
func (n *Node) Closeup(topic kafka.TopicID, partition int32) (broker.Closeup, bool) {
	if n.broker == nil {
		return broker.Closeup{}, false
	}
	return n.broker.Closeup(topic, partition)
}

// Partition returns what observers see of one partition; false if this node has none
// of it.
func (n *Node) Partition(tp kafka.TopicPartition) (broker.View, bool) {
	if n.broker == nil {
		return broker.View{}, false
	}
	return n.broker.View(tp)
}

// MaxOfOneHost returns max.connections.per.ip as it is in force now.
func (n *Node) MaxOfOneHost() int64 { return n.server.MaxOfOneHost() }

// Changes counts changes of what Partitions returns, but for the ends of logs, and of
// what a controller has decided.
func (n *Node) Changes() uint64 {
	changes := uint64(0)
	if n.broker != nil {
		changes += n.broker.Changes()
	}
	if n.quorum != nil {
		changes += n.quorum.Changes()
	}
	return changes
}

// Applied returns how far this node has followed the metadata.
func (n *Node) Applied() kafka.Offset { return n.metadata.Applied() }

// Image returns the metadata as this node has it. Callers look only.
func (n *Node) Image() *meta.Image { return n.metadata.Image() }

// Metadata returns how far this node has followed the metadata, and a digest of
// what it made of it: nodes that are equally far have equal digests.
func (n *Node) Metadata() (applied kafka.Offset, digest uint64) {
	return n.metadata.Applied(), n.metadata.Image().Digest()
}

// Decide has the metadata say what decide returns, which the requests that this version
// serves may have no words for: a later version's may. It fails where this node is not the
// active controller. Blocks.
func (n *Node) Decide(decide quorum.Decision) error {
	if n.quorum == nil {
		return fmt.Errorf("node %d is no controller: %w", n.id, kafka.ErrNotController)
	}
	return n.quorum.Change(decide)
}

// Check returns the first broken invariant of the node.
func (n *Node) Check() error {
	errs := []error{n.server.Check(), n.peers.Check(), n.Image().Check()}
	if n.quorum != nil {
		errs = append(errs, n.quorum.Check(), n.quorum.Log().Check())
	}
	if n.broker != nil {
		errs = append(errs, n.broker.Check())
	}
	if n.groups != nil {
		errs = append(errs, n.groups.Check())
	}
	return errors.Join(errs...)
}

// Groups shows every machine of groups that runs here and has been loaded. look must
// neither block nor change anything.
func (n *Node) Groups(look func(p kafka.TopicPartition, epoch kafka.LeaderEpoch, m *group.Shard)) {
	if n.groups != nil {
		n.groups.Visit(look)
	}
}

// GroupChanges counts what may have changed in what Groups shows.
func (n *Node) GroupChanges() uint64 {
	if n.groups == nil {
		return 0
	}
	return n.groups.Changes()
}

// Stats are counts since the start and what is in use now, as plain numbers.
type Stats struct {
	Broker     broker.Stats
	Controller controller.Stats
	API        api.Stats
	Groups     coordinator.Stats
}

// Stats returns the counts.
func (n *Node) Stats() Stats {
	s := Stats{API: n.server.Stats()}
	if n.broker != nil {
		s.Broker = n.broker.Stats()
	}
	if n.controller != nil {
		s.Controller = n.controller.Stats()
	}
	if n.groups != nil {
		s.Groups = n.groups.Stats()
	}
	return s
}
