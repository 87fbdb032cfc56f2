// Package controller waits for decisions: it has package meta decide, and the
// quorum make what was decided durable.
//
// Every controller has one; only that of the active controller decides, the
// others answer NOT_CONTROLLER. A decision is made on everything that was decided
// before it, and when a method returns nil, what it decided is applied here and
// survives the loss of any minority of the controllers.
//
// The sessions of brokers are the one thing that it knows by itself. They live in
// memory: a controller that becomes active gives each broker a full one.
package controller

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
)

// A Quorum agrees on what was decided.
type Quorum interface {
	Image() *meta.Image
	Applied() kafka.Offset
	OnApply(f func([]meta.Record))
	Active() bool
	Leader() (kafka.NodeID, kafka.LeaderEpoch)

	// Change has decide look at the image of everything decided before, and
	// returns when what it returned is applied. An error of decide, or that it
	// changes nothing, is reported once it is certain that nobody else has
	// decided meanwhile. decide must not block. Blocks.
	Change(decide quorum.Decision) error
}

// Options says what a controller is made of.
type Options struct {
	Config *config.View // the node's own configuration
	Quorum Quorum
}

// A Controller decides while it is the active one.
type Controller struct {
	w          *env.World
	id         kafka.NodeID
	quorum     Quorum
	configured *config.View
	config     *config.View // with what is set while the nodes run
	sessions   sessions
	due        bool // leaderless partitions may have become electable
	wake       env.Cond
	tasks      *env.Group
	stats      Stats
}

// Stats are counts since the start.
type Stats struct {
	Registrations, Heartbeats uint64
	Fenced                    uint64 // brokers whose session ended
	Altered                   uint64 // wishes of leaders
	Terms                     uint64 // in which it was active
	Rebalances                uint64 // in which preferred leaders came back
	Searches                  uint64 // for leaders where there were none
}

// Open returns the controller of a member of the quorum.
func Open(w *env.World, o Options) *Controller {
	c := &Controller{
		w: w, id: kafka.NodeID(config.NodeID.In(o.Config)), quorum: o.Quorum,
		configured: o.Config, config: o.Config,
		wake: w.NewCond("controller/wake"), tasks: env.NewGroup(w, "controller/tasks"),
	}
	c.sessions.of = map[kafka.NodeID]*session{}
	c.configure()
	o.Quorum.OnApply(c.follow)
	c.tasks.Go("controller/sessions", c.watch)
	c.tasks.Go("controller/rebalance", c.rebalanceLoop)
	return c
}

// Active reports whether this is the active controller, as far as it knows.
func (c *Controller) Active() bool { return c.quorum.Active() }

// Stats returns the counts.
func (c *Controller) Stats() Stats { return c.stats }

// Close ends the controller's tasks. The quorum stays the caller's. Blocks.
func (c *Controller) Close(deadline kafka.Instant) error {
	c.tasks.Cancel()
	return c.tasks.Wait(deadline)
}

// follow takes note of what was decided, here or elsewhere.
func (c *Controller) follow(records []meta.Record) {
	for _, r := range records {
		switch r.(type) {
		case meta.BrokerConfig:
			c.configure()
			c.due = true
		case meta.ConfigRecord:
			c.due = true
		}
	}
	c.wake.Broadcast()
}

// configure puts what is set for this node over its own configuration.
func (c *Controller) configure() {
	c.config = c.configured.InForce(c.quorum.Image().Overlay(c.id))
}

// check has a decision made that is not carried out: it tells what would come of
// it. Blocks.
func (c *Controller) check(decide quorum.Decision) error {
	return c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) {
		_, err := decide(m)
		return nil, err
	})
}

// errNotActive is the answer of a controller that is not the active one.
func (c *Controller) errNotActive() error {
	return fmt.Errorf("controller %d is not the active one: %w", c.id, kafka.ErrNotController)
}

// passes reports whether an error of a periodic decision passes by itself: another
// controller is active now, or the node is stopping.
func passes(err error) bool {
	return errors.Is(err, env.ErrCanceled) || kafka.ErrorOf(err) == kafka.ErrNotController
}
