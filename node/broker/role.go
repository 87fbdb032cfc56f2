package broker

import (
	"log/slog"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/replica"
)

// A Role is what a node does for a partition.
type Role uint8

const (
	Offline   Role = iota // nobody leads, or the log cannot be used, or not yet
	Leading               // it takes appends
	Following             // it fetches from the leader
)

func (r Role) String() string {
	switch r {
	case Leading:
		return "leader"
	case Following:
		return "follower"
	}
	return "offline"
}

// Role returns what this node does for the partition.
func (p *Partition) Role() Role {
	switch {
	case p.leader != nil:
		return Leading
	case p.follows != nil:
		return Following
	}
	return Offline
}

// become takes over what the metadata says about the partition. It does not block:
// leadership moves the moment that the metadata is known.
func (p *Partition) become(state meta.PartitionState) {
	p.state = state
	p.takeRole()
}

// takeRole has the partition led, followed or neither, as the metadata and the log
// allow.
func (p *Partition) takeRole() {
	p.b.changes++
	switch {
	case p.log == nil || !p.b.registered() || p.cutting > 0:
		p.unfollow()
		p.resign()
	case p.state.Leader == p.b.id:
		p.unfollow()
		p.lead()
	default:
		p.resign()
		p.follow()
	}
	p.touch()
	if p.b.w.Sight.Tracing() {
		p.b.w.Sight.Trace("role", slog.String("partition", p.name.String()), slog.String("is", p.Role().String()),
			slog.Int("leader", int(p.state.Leader)), slog.Int("epoch", int(p.state.LeaderEpoch)), slog.Any("in-sync", p.state.ISR))
	}
}

// lead makes this node the leader, or tells the leader what has changed.
func (p *Partition) lead() {
	now := p.b.w.Now()
	state := replica.State{
		Replicas: p.state.Replicas, ISR: p.state.ISR, Epoch: p.state.Epoch, Adding: p.state.Awaited(), Removing: p.state.Removing,
	}
	if p.leader != nil && p.leader.Epoch() == p.state.LeaderEpoch {
		if !slices.Equal(p.leader.State().Replicas, state.Replicas) {
			p.stirAll() // of who has come the leader knows nothing
		}
		p.leader.Update(state, now)
		p.raise(p.leader.HighWatermark())
		p.alterIfWanted(now) // somebody is to be removed
		p.announceStart()    // whose log start counts may have changed
		return
	}
	p.resign()
	p.leader = replica.Lead(replica.Beginning{
		Self: p.b.id, Epoch: p.state.LeaderEpoch, HighWatermark: p.high, Own: p.position(), State: state, Least: p.topic.leastInSync,
	}, now)
	p.b.stats.Elections++
	p.raise(p.leader.HighWatermark())
	p.b.announceLead(p.name, p.state.LeaderEpoch)
}

// resign ends a leadership. Whoever waits for it is woken: what was appended may be
// found with the next leader, or not.
func (p *Partition) resign() {
	if p.leader == nil {
		return
	}
	p.b.w.Probe("a leader resigned")
	p.leader = nil
	p.b.stats.Resignations++
	p.sizes = nil
	p.held.lose(p.unwritten)
	p.committed.lose(p.unwritten)
	p.tails.drop()
	p.pulls.drop()
	p.stirAll()
	p.announceStart()
	p.b.announceLead(p.name, kafka.NoLeaderEpoch)
}

// cut has the log cut by f, which blocks, and sees to it that the partition does not
// lead meanwhile: what a leader shows must not be taken back. Afterwards
// everything may have changed. Blocks.
func (p *Partition) cut(f func() error) error {
	p.cutting++
	err := f()
	p.cutting--
	p.takeRole()
	p.replaceIfPossible()
	return err
}

// announceStart wakes deletions that wait for followers.
func (p *Partition) announceStart() {
	if p.started != nil {
		p.started.Broadcast()
	}
}

// registered reports whether the metadata knows this life of the node, and no later
// one: what it says about leaders is about others otherwise.
func (b *Broker) registered() bool {
	self, ok := b.image.Broker(b.id)
	return ok && self.Epoch == b.epoch
}

// eligible reports whether a controller would let a replica into the in-sync set, as
// far as this node knows (KIP-841, KIP-903).
func (p *Partition) eligible(m replica.Member) bool {
	other, ok := p.b.image.Broker(m.ID)
	return ok && other.Epoch == m.Epoch && other.MayLead(p.id)
}

// leads reports whether the partition is still led in the leadership that l was.
func (p *Partition) leads(l *replica.Leader) bool { return l != nil && p.leader == l }

// CurrentLeader returns who leads and in which epoch, as far as this node knows.
func (p *Partition) CurrentLeader() (kafka.NodeID, kafka.LeaderEpoch) {
	return p.state.Leader, p.state.LeaderEpoch
}
