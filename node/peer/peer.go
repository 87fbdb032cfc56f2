// Package peer carries what nodes say to nodes.
//
// It speaks Kafka's messages where Kafka has them and three private ones where it
// has not: raft's messages between controllers, committed metadata for brokers,
// and clients' requests that a broker passes on to the active controller. It
// decides nothing: what is said comes from the broker, the quorum and the
// controller, and an error says whether something may have happened.
package peer

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// Options says who a node's peers are. The functions are asked at each use.
type Options struct {
	ID        kafka.NodeID
	Config    *config.View // of the broker's scope
	Directory meta.DirectoryID

	// Image is the metadata as this node has it: where brokers are.
	Image func() *meta.Image

	// Voters are the controllers, by id.
	Voters func() []config.Voter

	// Where is where a controller is, one that only learns too; "" if nobody knows.
	Where func(id kafka.NodeID) (address string)

	// Leader is the active controller as far as this node knows, or
	// meta.NoLeader.
	Leader func() kafka.NodeID
}

// A Local is what a node asks of its own controller instead of sending itself
// messages. It answers NOT_CONTROLLER while it is not the active one. Blocks.
type Local interface {
	Register(r meta.Registration, deadline kafka.Instant) (epoch int64, err error)
	Heartbeat(b meta.Beat, deadline kafka.Instant) (meta.BeatAnswer, error)
	AlterPartitions(self meta.Member, items []meta.Alter, deadline kafka.Instant) ([]meta.Altered, error)
	AllocateProducerIDs(self meta.Member, deadline kafka.Instant) (meta.Block, error)
	CreateTopic(n meta.NewTopic, deadline kafka.Instant) (kafka.TopicID, error)
}

// A lane is a connection of its own to a node, so that what takes long does not
// hold up what is urgent: answers of one connection come in order.
type lane uint8

const (
	raftLane     lane = iota // raft's messages
	beatLane                 // heartbeats
	controlLane              // a broker's other wishes
	metadataLane             // long polls for metadata
	forwardLane              // clients' wishes
	fetchLane                // records
	lanes
)

// A Peers is the way to all other nodes.
type Peers struct {
	w       *env.World
	o       Options
	links   map[kafka.NodeID]*[lanes]*link.Link
	order   []*link.Link // in the order they were made
	senders map[kafka.NodeID]*sender
	sending []*sender // in the order they were made
	tasks   *env.Group
	next    int          // the voter to be asked when nobody knows the active controller
	shy     kafka.NodeID // the controller that did not answer about metadata, or meta.NoLeader
	local   Local        // nil on a node that is no controller
	closed  bool
}

// New returns a Peers. It connects when there is something to say.
func New(w *env.World, o Options) *Peers {
	return &Peers{
		w: w, o: o,
		links:   map[kafka.NodeID]*[lanes]*link.Link{},
		senders: map[kafka.NodeID]*sender{},
		tasks:   env.NewGroup(w, "peer/tasks"),
		shy:     meta.NoLeader,
	}
}

// SetLocal says that this node has a controller of its own.
func (p *Peers) SetLocal(c Local) { p.local = c }

// link returns the connection to a node at an address. One to another address,
// where the node was before, is closed.
func (p *Peers) link(id kafka.NodeID, address string, on lane) *link.Link {
	row := p.links[id]
	if row == nil {
		row = &[lanes]*link.Link{}
		p.links[id] = row
	}
	l := row[on]
	if l != nil && l.Address() == address {
		return l
	}
	if l != nil {
		p.w.Probe("a node has moved")
		p.drop(l)
	}
	l = link.New(p.w, p.linkConfig(address, on))
	row[on] = l
	p.order = append(p.order, l)
	return l
}

// drop closes a connection that nobody needs any more.
func (p *Peers) drop(old *link.Link) {
	for i, l := range p.order {
		if l == old {
			p.order = append(p.order[:i], p.order[i+1:]...)
			break
		}
	}
	p.tasks.Go("peer/drop "+old.Address(), func() { _ = old.Close(p.w.Now().Add(time.Second)) })
}

// Times of a connection between nodes that no setting names.
const (
	leastReconnect = 20 * time.Millisecond
	mostReconnect  = 500 * time.Millisecond
	fetchTimeout   = 10 * time.Second // beyond what the leader may wait
)

func (p *Peers) linkConfig(address string, on lane) link.Config {
	c := link.DefaultConfig(address)
	c.ClientID = fmt.Sprintf("node-%d", p.o.ID)
	c.BackoffMin, c.BackoffMax = leastReconnect, mostReconnect
	c.RequestTimeout = p.patience(on)
	c.DialTimeout = max(c.RequestTimeout, time.Second)
	return c
}

// patience returns how long a node may take to answer, beyond what it was asked
// to wait, until its connection counts as lost: not longer than it takes to notice
// that another controller leads.
func (p *Peers) patience(on lane) time.Duration {
	election := config.QuorumElectionTimeout.Duration(p.o.Config)
	switch on {
	case beatLane:
		return min(config.BrokerSessionTimeout.Duration(p.o.Config)/3, 2*election)
	case fetchLane:
		return fetchTimeout
	}
	return 2 * election
}

// Close ends all connections. Blocks.
func (p *Peers) Close(deadline kafka.Instant) error {
	p.closed = true
	for _, s := range p.sending {
		s.changed.Broadcast()
	}
	p.tasks.Cancel()
	var first error
	for _, l := range p.order {
		if err := l.Close(deadline); err != nil && first == nil {
			first = err
		}
	}
	if err := p.tasks.Wait(deadline); err != nil && first == nil {
		first = err
	}
	return first
}

// Check returns the first broken invariant.
func (p *Peers) Check() error {
	for _, l := range p.order {
		if err := l.Check(); err != nil {
			return err
		}
	}
	for _, s := range p.sending {
		if err := s.check(); err != nil {
			return err
		}
	}
	return nil
}
