package broker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/replica"
)

// noteProgress records what a follower's fetch says of its partitions, before
// anything is read of them, and of those that it has not recorded yet before they are
// read again. What diverges from the leader's log, is out of its range, or is
// said in another leader epoch does not count. It does not block.
func (b *Broker) noteProgress(f *Fetch) {
	now := b.w.Now()
	for i := range f.Items {
		it := &f.Items[i]
		if it.counted {
			continue
		}
		it.Diverging = nil
		l, err := b.readable(f, it)
		if err != nil || it.Diverging != nil || it.Offset < l.LogStart() || it.Offset > l.Written() {
			continue
		}
		p := it.p
		counts, moved := p.leader.Fetched(replica.Fetch{
			ID: f.Follower.ID, BrokerEpoch: f.Follower.Epoch, LeaderEpoch: it.LeaderEpoch,
			Start: it.Start, Held: min(it.Held, it.Offset),
		}, now)
		if moved {
			p.raise(p.leader.HighWatermark())
		}
		if it.counted = counts; counts {
			p.announceStart()
			p.alterIfWanted(now)
		}
	}
}

// checkFollower refuses a broker that is no replica, or a life of it that is over
// (KIP-903).
func (b *Broker) checkFollower(p *Partition, m meta.Member) error {
	if !contains(p.state.Replicas, m.ID) {
		return fmt.Errorf("%s: broker %d is not among the replicas %v: %w", p.name, m.ID, p.state.Replicas, kafka.ErrUnknownTopicOrPartition)
	}
	if other, ok := b.image.Broker(m.ID); ok && m.Epoch < other.Epoch {
		b.w.Probe("a fetch of an earlier life of a broker was refused")
		return fmt.Errorf("%s: broker %d: epoch %d, now %d: %w", p.name, m.ID, m.Epoch, other.Epoch, kafka.ErrStaleBrokerEpoch)
	}
	return nil
}

// preferred returns the replica from which a consumer should read instead of from
// this leader: one in its rack that has what it asks for, the least behind first
// (KIP-392). replica.selector.class says whether there is such a choice.
func (b *Broker) preferred(f *Fetch, it *FetchItem) kafka.NodeID {
	p := it.p
	if !f.AnyReplica || f.Rack == "" || f.Follower != nil || p.leader == nil || len(p.state.Replicas) < 2 {
		return NoReplica
	}
	if config.ReplicaSelector.In(b.config) == "" || config.BrokerRack.In(b.config) == f.Rack {
		return NoReplica
	}
	best, most := NoReplica, kafka.NoOffset
	for _, other := range p.leader.Followers() {
		at, ok := b.image.Broker(other.ID)
		if !ok || at.Fenced || at.Rack != f.Rack || other.Start > it.Offset || other.Held < it.Offset || other.Held <= most {
			continue
		}
		best, most = other.ID, other.Held
	}
	if best != NoReplica {
		b.w.Probe("a consumer was sent to a replica near it")
	}
	return best
}

// unreadable notes that the log does not give what it was given. If others have
// the records this replica is to get them from there. Of a log directory that is out of
// service the page cache may show anything: what is on the disk the next start finds out.
func (p *Partition) unreadable(err error) {
	if p.rotten != nil || !errors.Is(err, commitlog.ErrCorrupt) || len(p.state.Replicas) < 2 {
		return
	}
	if p.stranded() {
		p.b.w.Probe("a replica in a failed directory was not taken for damaged")
		return
	}
	p.b.w.Probe("a replica is not whole any more")
	p.rotten = err
	p.b.tellOffline()
}

// damaged is told by a log, which may long be another's.
func (p *Partition) damaged(l *commitlog.Log, err error) {
	p.b.stats.Damages++
	if p.last == l {
		p.unreadable(err)
	}
}

// elsewhere reports whether another broker that may lead has all that was committed.
func (p *Partition) elsewhere() bool {
	s := &p.state
	has := func(id kafka.NodeID) bool { return id != p.b.id && p.b.image.Usable(id, p.id) }
	return slices.ContainsFunc(s.ISR, has) || slices.ContainsFunc(s.ELR, has)
}
