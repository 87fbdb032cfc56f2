package broker

import (
	"errors"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/replica"
)

// alterAtOnce bounds how many partitions one request to the controller is about.
const alterAtOnce = 5000

// alterTimeout is how long the controller has to answer. Afterwards nobody knows
// what became of the request, and it is sent again.
const alterTimeout = 5 * time.Second

// wishDelay is how long a request may be on its way at worst, where that is tried
// out: a broker can die, come back and be alive again meanwhile.
const wishDelay = 700 * time.Millisecond

// The pause after a request that failed doubles from the first to the last.
const (
	firstAlterPause = 50 * time.Millisecond
	lastAlterPause  = time.Second
)

// limits returns when a follower is no longer in sync.
func (b *Broker) limits() replica.Limits {
	return replica.Limits{
		Time:     config.ReplicaLagTimeMax.Duration(b.config),
		Messages: config.ReplicaLagMaxMessages.In(b.config),
		Session:  config.BrokerSessionTimeout.Duration(b.config),
	}
}

// alterIfWanted has the controller asked for another in-sync set, if it is not as it
// should be.
func (p *Partition) alterIfWanted(now kafka.Instant) {
	if p.alters || p.leader == nil || !p.leader.Wants(p.b.limits(), now, p.eligible) {
		return
	}
	p.alters = true
	p.b.altering = append(p.b.altering, p)
	p.b.alter.Broadcast()
}

// insyncLoop asks the controller for in-sync sets: for those of which somebody
// found that they should be otherwise, and now and then it looks at all, for who
// falls behind does not say so.
func (b *Broker) insyncLoop() {
	pause := time.Duration(0)
	next := b.w.Now()
	for {
		lag := config.ReplicaLagTimeMax.Duration(b.config)
		if now := b.w.Now(); now >= next || b.recheck {
			next, b.recheck = now.Add(max(lag/2, time.Millisecond)), false
			for _, p := range b.all() {
				p.alterIfWanted(now)
			}
		}
		if len(b.altering) == 0 {
			if err := b.alter.Wait(next); err != nil && !errors.Is(err, env.ErrDeadline) {
				return
			}
			continue
		}
		n := min(len(b.altering), alterAtOnce)
		some := slices.Clone(b.altering[:n])
		b.altering = slices.Delete(b.altering, 0, n)
		if b.alterSome(some) {
			pause = 0
			continue
		}
		pause = min(max(2*pause, firstAlterPause), lastAlterPause)
		if b.w.Sleep(pause) != nil {
			return
		}
	}
}

// A wish is what one leader asks for.
type wish struct {
	p        *Partition
	leader   *replica.Leader
	proposal replica.Proposal
}

// alterSome asks for the in-sync sets of some partitions at once. It reports false
// if something is to be asked for again. Blocks.
func (b *Broker) alterSome(some []*Partition) bool {
	now := b.w.Now()
	var wishes []wish
	var items []meta.Alter
	for _, p := range some {
		p.alters = false
		if p.leader == nil {
			continue
		}
		proposal, ok := p.leader.Propose(b.limits(), now, p.eligible)
		if !ok {
			continue
		}
		wishes = append(wishes, wish{p, p.leader, proposal})
		items = append(items, alterItem(p, proposal))
	}
	if len(wishes) == 0 {
		return true
	}
	b.changes++
	if b.w.Buggify("a leader's wish for an in-sync set is long on its way") {
		if b.w.Sleep(time.Duration(b.w.Rand("broker/wish").Int64N(int64(wishDelay)))) != nil {
			return false
		}
		now = b.w.Now()
	}
	self := meta.Member{ID: b.id, Epoch: b.epoch}
	answers, err := b.controllers.AlterPartitions(self, items, now.Add(alterTimeout))
	if err != nil || len(answers) != len(wishes) {
		b.w.Probe("nobody told what became of an in-sync set")
		b.w.Log.Warn("controller did not answer about in-sync sets", "partitions", len(wishes), "err", err)
		answers = nil
	}
	ok := true
	for i, w := range wishes {
		var a *meta.Altered
		if answers != nil {
			a = &answers[i]
		}
		w.answered(a)
		w.p.alterIfWanted(b.w.Now())
		ok = ok && !w.p.alters
	}
	return ok
}

func alterItem(p *Partition, proposal replica.Proposal) meta.Alter {
	a := meta.Alter{Replica: p.id, LeaderEpoch: proposal.LeaderEpoch, Epoch: proposal.PartitionEpoch}
	for _, m := range proposal.ISR {
		a.ISR = append(a.ISR, meta.Member{ID: m.ID, Epoch: m.Epoch})
	}
	return a
}

// answered tells a leader what became of its wish; a is nil if nobody knows. The
// leader may long be another.
func (w wish) answered(a *meta.Altered) {
	p, b := w.p, w.p.b
	b.changes++
	now := b.w.Now()
	before := len(w.leader.State().ISR)
	switch {
	case a == nil || a.Err != nil && kafka.ErrorOf(a.Err).Outcome() == kafka.Unknown:
		w.leader.Unanswered(w.proposal, now)
	case a.Err != nil:
		b.w.Probe("the controller refused an in-sync set")
		w.leader.Refused(w.proposal, kafka.ErrorOf(a.Err), config.ReplicaLagTimeMax.Duration(b.config), now)
	default:
		s := a.State
		w.leader.Answered(w.proposal, s.LeaderEpoch, replica.State{Replicas: s.Replicas, ISR: s.ISR, Epoch: s.Epoch}, now)
	}
	if !p.leads(w.leader) {
		return
	}
	switch after := len(w.leader.State().ISR); {
	case after < before:
		b.w.Probe("a leader shrank its in-sync set")
		b.stats.Shrinks++
	case after > before:
		b.w.Probe("a leader expanded its in-sync set")
		b.stats.Expands++
	}
	p.raise(w.leader.HighWatermark())
}

// recheckInSync has all in-sync sets looked at: a broker that was not eligible may
// be now.
func (b *Broker) recheckInSync() {
	b.recheck = true
	b.alter.Broadcast()
}
