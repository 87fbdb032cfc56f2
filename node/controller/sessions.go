package controller

import (
	"errors"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// sessions are the brokers that were heard of in this term.
type sessions struct {
	term kafka.LeaderEpoch // in which they were begun
	of   map[kafka.NodeID]*session
	ids  []kafka.NodeID // sorted

	prepared bool // what the configuration says for all brokers is in the metadata

	looked kafka.Instant // when this controller last saw to them
}

// A session is what the active controller knows of a broker's life.
type session struct {
	epoch  int64         // of its registration
	ends   kafka.Instant // if it is not heard of again
	needed kafka.Offset  // end of the metadata log when it had registered
	over   bool          // that it ended was decided upon
}

// refresh begins new sessions when this controller has become active: all brokers
// that are registered get a full one. It reports whether the controller is active.
func (c *Controller) refresh() bool {
	if !c.quorum.Active() {
		return false
	}
	_, term := c.quorum.Leader()
	if term == c.sessions.term {
		c.excuse()
		return true
	}
	c.w.Probe("a controller became active")
	c.stats.Terms++
	c.sessions = sessions{term: term, of: map[kafka.NodeID]*session{}, looked: c.w.Now()}
	for _, b := range c.quorum.Image().Brokers() {
		c.heard(b.ID, b.Epoch, c.quorum.Applied())
	}
	c.due = true
	c.wake.Broadcast()
	return true
}

// looksInASession is how often the controller looks after sessions, at least, while
// one of them lasts.
const looksInASession = 10

func (c *Controller) pace() time.Duration {
	return config.BrokerSessionTimeout.Duration(c.config) / looksInASession
}

// excuse lets sessions last longer if this process was stopped: whatever the
// brokers said meanwhile nobody heard. The time in which it was not there does not
// count, so that a broker that was silent before is silent still. What counts is
// that the controller has not looked for much longer than it would have waited.
func (c *Controller) excuse() {
	now, pace := c.w.Now(), c.pace()
	away := now.Sub(c.sessions.looked)
	c.sessions.looked = now
	if away <= 2*pace {
		return
	}
	for _, id := range c.sessions.ids {
		if s := c.sessions.of[id]; !s.over {
			c.w.Probe("a controller was not there for a while and let sessions last longer")
			s.ends = s.ends.Add(away - pace)
		}
	}
}

// heard notes that a broker lives. needed counts for a session that begins.
func (c *Controller) heard(id kafka.NodeID, epoch int64, needed kafka.Offset) *session {
	s := c.sessions.of[id]
	if s == nil {
		s = &session{epoch: meta.NoEpoch}
		c.sessions.of[id] = s
		at, _ := slices.BinarySearch(c.sessions.ids, id)
		c.sessions.ids = slices.Insert(c.sessions.ids, at, id)
	}
	if s.epoch != epoch {
		s.epoch, s.needed = epoch, needed
	}
	s.ends, s.over = c.w.Now().Add(config.BrokerSessionTimeout.Duration(c.config)), false
	c.wake.Broadcast()
	return s
}

// live reports whether a broker's session has not ended.
func (c *Controller) live(id kafka.NodeID) bool {
	s := c.sessions.of[id]
	return s != nil && c.w.Now() < s.ends
}

// overdue returns the brokers whose sessions have ended and of whom that was not
// decided yet, and when to look again. One that is fenced is among them: it
// registered anew, and may have kept its seats in in-sync sets until it serves.
func (c *Controller) overdue() (ids []kafka.NodeID, next kafka.Instant) {
	next = kafka.Never
	now := c.w.Now()
	for _, id := range c.sessions.ids {
		s := c.sessions.of[id]
		b, ok := c.quorum.Image().Broker(id)
		switch {
		case !ok || s.over || b.Epoch != s.epoch:
		case s.ends <= now:
			ids = append(ids, id)
		default:
			next = min(next, s.ends, now.Add(c.pace()))
		}
	}
	return ids, next
}

// watch fences brokers whose sessions have ended, and looks for leaders where
// none could be elected, while this controller is the active one.
func (c *Controller) watch() {
	for {
		var next kafka.Instant
		var err error
		if !c.refresh() {
			next = kafka.Never
		} else if err = c.lookAfter(); err == nil {
			_, next = c.overdue()
		}
		switch {
		case errors.Is(err, env.ErrCanceled):
			return
		case err != nil:
			next = c.w.Now().Add(retryPause)
			if !passes(err) {
				c.w.Log.Warn("sessions of brokers: a decision failed", "err", err)
			}
		case c.due && next > 0 && c.quorum.Active():
			continue
		}
		// A leader that has just been elected is told by its first record.
		err = c.wake.Wait(next)
		if err != nil && !errors.Is(err, env.ErrDeadline) {
			return
		}
	}
}

// lookAfter does what is due. Blocks.
func (c *Controller) lookAfter() error {
	for _, f := range []func() error{c.prepare, c.fence, c.electWaiting} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// prepare writes down, once in a term, what this node's configuration says for
// all brokers and nobody has set. Blocks.
func (c *Controller) prepare() error {
	if c.sessions.prepared {
		return nil
	}
	return c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) {
		if !c.refresh() || m.Level() == 0 {
			return nil, c.errNotActive()
		}
		records := m.Prepare(c.configured)
		c.sessions.prepared = len(records) == 0 // or it is looked at again
		return records, nil
	})
}

// fence fences the brokers whose sessions have ended. Blocks.
func (c *Controller) fence() error {
	if ids, _ := c.overdue(); len(ids) == 0 {
		return nil
	}
	var gone, serving []kafka.NodeID
	var ended []*session
	err := c.quorum.Change(func(m *meta.Image) ([]meta.Record, error) {
		if !c.refresh() {
			return nil, c.errNotActive()
		}
		gone, _ = c.overdue() // some may have been heard of meanwhile
		serving, ended = nil, nil
		for _, id := range gone {
			ended = append(ended, c.sessions.of[id])
			if m.Alive(id) {
				serving = append(serving, id)
			}
		}
		if len(gone) == 0 {
			return nil, nil
		}
		return m.Fence(gone, c.config), nil
	})
	if err != nil {
		return err
	}
	for _, s := range ended {
		s.over = s.ends <= c.w.Now() // it may have begun anew
	}
	if len(serving) > 0 {
		c.w.Probe("a broker was fenced, for its session ended")
		c.stats.Fenced += uint64(len(serving))
		c.w.Log.Info("brokers were not heard of and are fenced", "brokers", serving)
	}
	if len(serving) < len(gone) {
		c.w.Probe("a broker that registered was not heard of again")
	}
	return nil
}
