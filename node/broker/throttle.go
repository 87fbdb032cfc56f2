package broker

import (
	"slices"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/replica"
)

// A throttle bounds how fast replicas are copied that topics name and that are not in
// sync (KIP-73): on one side what this node sends as a leader, on the other what it
// fetches as a follower.
type throttle struct {
	quota replica.Quota
	stats ThrottleStats
}

// ThrottleStats are one side's counts since the start, and its rate now.
type ThrottleStats struct {
	Rate     int64  // bytes a second; config's largest number is no limit
	Bytes    uint64 // of the replicas that topics name
	HeldBack uint64 // times that a replica got nothing because the quota was used up
}

// throttled is what a topic's settings say about this node's replicas.
type throttled struct{ leading, following config.PartitionSet }

func (b *Broker) throttledIn(v *config.View) throttled {
	return throttled{
		leading:   config.LeaderThrottledReplicas.On(v, b.id),
		following: config.FollowerThrottledReplicas.On(v, b.id),
	}
}

// setRates brings the quotas under the settings in force.
func (b *Broker) setRates() {
	now := b.w.Now()
	for _, t := range []struct {
		*throttle
		rate int64
	}{
		{&b.sending, config.LeaderThrottledRate.In(b.config)}, {&b.copying, config.FollowerThrottledRate.In(b.config)},
	} {
		t.quota.SetRate(t.rate, now)
		t.stats.Rate = t.rate
	}
}

// A dose is what of a fetch counts against a quota.
type dose struct {
	of    [bounded + 1]int64 // bytes, by their weight
	until kafka.Instant      // something was held back, which may go then
}

// count has what was copied count against the quota.
func (t *throttle) count(d *dose, now kafka.Instant) {
	if n := d.of[free]; n > 0 {
		t.quota.Spend(n, now)
	}
	if n := d.of[bounded]; n > 0 {
		t.quota.Charge(n, now)
	}
	t.stats.Bytes += uint64(d.of[free] + d.of[bounded])
}

// A weight says how what is copied of a replica counts against a quota.
type weight uint8

const (
	weightless weight = iota
	free              // it counts, and is not bounded
	bounded
)

// weightFor returns how what a follower is sent counts. Replicas that the high
// watermark waits for are not bounded.
func (p *Partition) weightFor(f *Fetch) weight {
	switch {
	case f.Follower == nil || p.leader == nil || !p.topic.leading.Has(p.id.Partition):
		return weightless
	case p.leader.AwaitedFrom(f.Follower.ID):
		return free
	}
	return bounded
}

// portion returns how much of a partition a follower may be sent. There is room for
// the first batch of the first such partition, however large, whenever there is any.
func (b *Broker) portion(f *Fetch, it *FetchItem, size int, first commitlog.Oversize) (int, commitlog.Oversize, bool) {
	if it.weight = it.p.weightFor(f); it.weight != bounded {
		return size, first, true
	}
	now, taken := b.w.Now(), f.dose.of[bounded]
	room := b.sending.quota.Room(now)
	switch {
	case room == 0, taken >= room:
		b.w.Probe("a leader held back what a throttled follower asked for")
		b.sending.stats.HeldBack++
		it.heldBack = true
		f.dose.until = b.sending.quota.Until(now)
		return 0, first, false
	case taken == 0:
		first = commitlog.TakeOversize
	}
	return int(min(int64(size), room-taken)), first, true
}

// throttled reports whether the topic names this node's replica as a follower.
func (fo *following) throttled() bool { return fo.p.topic.following.Has(fo.p.id.Partition) }

// bounded reports whether the follower's quota bounds what is fetched: as far as the
// leader has told, something is missing that is committed.
func (fo *following) bounded() bool {
	return fo.throttled() && (fo.leaders == kafka.NoOffset || fo.leaders > fo.p.log.End())
}

// heldBack reports whether the partition is not asked for before there is room.
func (fo *following) heldBack(room int64) bool {
	if room > 0 || !fo.bounded() {
		return false
	}
	fo.p.b.w.Probe("a throttled follower did not ask for a partition")
	fo.p.b.copying.stats.HeldBack++
	return true
}

// most returns how much of the partition is asked for at once.
func (fo *following) most(v *config.View) int32 {
	most := config.ReplicaFetchMaxBytes.In(v)
	if fo.bounded() {
		most = min(most, fo.p.b.copying.quota.Room(fo.p.b.w.Now()))
	}
	return int32(most)
}

// count has what the leader sent count against the follower's quota. Who got
// something is behind the others the next time.
func (fo *following) count(records []byte) {
	if len(records) == 0 || !fo.throttled() {
		return
	}
	d, w := dose{}, free
	if fo.bounded() {
		w = bounded
		i := slices.Index(fo.f.members, fo)
		fo.f.members = append(slices.Delete(fo.f.members, i, i+1), fo)
	}
	d.of[w] = int64(len(records))
	fo.p.b.copying.count(&d, fo.p.b.w.Now())
}

// hasten has the fetchers of partitions look again whether there is room.
func (b *Broker) hasten(some []*Partition) {
	for _, p := range some {
		if p != nil && p.follows != nil {
			p.follows.f.changed.Broadcast()
		}
	}
}
