package controller

import (
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

const (
	// retryPause is how long a periodic decision rests that failed.
	retryPause = 100 * time.Millisecond

	// rebalanceAtOnce is how many partitions get their preferred leader back in one
	// decision, so that clients do not all look for new leaders at once.
	rebalanceAtOnce = 1000
)

// ElectLeaders holds the elections that somebody asks for, and returns what became
// of each: of those wanted, in their order, or if want is nil of all that are
// needed. Blocks.
func (c *Controller) ElectLeaders(kind meta.ElectionKind, want []meta.Replica) (elected []meta.Elected, err error) {
	err = c.quorum.Change(func(m *meta.Image) (records []meta.Record, err error) {
		records, elected, err = m.ElectLeaders(kind, want, c.config)
		return records, err
	})
	if err != nil {
		return nil, err
	}
	return elected, nil
}

// electWaiting gives a leader to partitions that wait for one, when that may have
// become possible: a topic allows unclean elections now, or another controller was
// active before. Blocks.
func (c *Controller) electWaiting() error {
	if !c.due {
		return nil
	}
	c.due = false
	if !c.leaderless() {
		return nil
	}
	c.stats.Searches++
	err := c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) { return m.ElectWaiting(c.config), nil })
	if err != nil {
		c.due = true
	}
	return err
}

// leaderless reports whether some partition has no leader.
func (c *Controller) leaderless() bool {
	for _, t := range c.quorum.Image().Topics() {
		for i := range t.Partitions {
			if t.Partitions[i].Leader == meta.NoLeader {
				return true
			}
		}
	}
	return false
}

// rebalanceLoop gives preferred replicas their leadership back now and then.
func (c *Controller) rebalanceLoop() {
	for {
		interval := time.Duration(config.LeaderImbalanceCheckInterval.In(c.config)) * time.Second
		if c.w.Sleep(interval) != nil {
			return
		}
		if !c.quorum.Active() || !config.AutoLeaderRebalance.In(c.config) {
			continue
		}
		if err := c.rebalance(); err != nil && !passes(err) {
			c.w.Log.Warn("leaders were not rebalanced", "err", err)
		}
	}
}

// rebalance gives preferred replicas their leadership back, of brokers that have
// too little of it. Blocks.
func (c *Controller) rebalance() error {
	allowed := meta.Rebalancing{Percent: int(config.LeaderImbalancePercentage.In(c.config)), Limit: rebalanceAtOnce}
	moved := false
	err := c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) {
		records := m.Rebalance(allowed, c.config)
		moved = len(records) > 0
		return records, nil
	})
	if err == nil && moved {
		c.w.Probe("preferred leaders were restored")
		c.stats.Rebalances++
	}
	return err
}

// Reassign begins, changes or cancels reassignments of replicas, and returns for
// each nil or why not, in their order. Blocks.
func (c *Controller) Reassign(want []meta.Reassignment) (results []error, err error) {
	err = c.quorum.Change(func(m *meta.Image) (records []meta.Record, err error) {
		records, results = m.Reassign(want, c.config)
		return records, nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// Reassignments returns the reassignments under way, of the partitions wanted, or
// if want is nil of all. Blocks.
func (c *Controller) Reassignments(want []meta.Replica) (under []meta.Reassigning, err error) {
	err = c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) {
		under = m.Reassignments(want)
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return under, nil
}

// UpdateFeatures changes the levels of features, all or none. Blocks.
func (c *Controller) UpdateFeatures(updates []meta.FeatureUpdate, _ kafka.Instant) error {
	return c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) { return m.UpdateFeatures(updates, c.config) })
}
