package broker

import "math"

// A Watcher is told when there may be more to tell a follower of a partition than
// what it was told: how many bytes came, or with 0 that something else has changed,
// which can wait until the follower asks again. It must not block, nor watch.
type Watcher = interface{ Stir(bytes int64) }

// A Rest is the partitions of a follower's session that are not among the items of
// its fetch, for there was nothing new to tell of them.
type Rest interface {
	// More returns those that were stirred by now: they become items.
	More() []FetchItem

	// Park has stir called when one of them is stirred with bytes, until Leave. It
	// reports false if More would return some.
	Park(stir func(bytes int64)) bool
	Leave()
}

// Settled reports whether a follower that is told what is in the item holds all
// records of the partition, and knows all that there is to know of it by now, as does the
// leader of the follower: one whose fetch came before the leader led would be silent for ever.
func (it *FetchItem) Settled() bool {
	p := it.p
	return it.counted && p != nil && p.leader != nil && p.log != nil && it.Err == nil && it.Diverging == nil && !it.heldBack &&
		it.Chunk.Len() == 0 && it.LeaderEpoch == p.leader.Epoch() && min(it.Offset, it.Held) >= p.log.Written() &&
		it.HighWatermark == p.high && it.LogStart == p.log.LogStart()
}

// Watch has w told of changes to the partition of an item that is Settled: until it
// was once told of bytes, or Unwatch. It returns the partition.
func (it *FetchItem) Watch(w Watcher) *Partition {
	it.p.watchers = append(it.p.watchers, w)
	return it.p
}

// Unwatch ends Watch.
func (p *Partition) Unwatch(w Watcher) {
	for i, other := range p.watchers {
		if other == w {
			last := len(p.watchers) - 1
			p.watchers[i], p.watchers[last] = p.watchers[last], nil
			p.watchers = p.watchers[:last]
			return
		}
	}
}

// stirAll has followers be told at once that something has changed: records have
// come, or the partition is led no longer.
func (p *Partition) stirAll() {
	all := p.watchers
	p.watchers = all[:0]
	for i, w := range all {
		all[i] = nil
		w.Stir(math.MaxInt32)
	}
}

// touch has followers be told of a change when they ask again.
func (p *Partition) touch() {
	for _, w := range p.watchers {
		w.Stir(0)
	}
}

// takeMore makes what was stirred items of the fetch. What a follower said of it
// before counts still.
func (b *Broker) takeMore(f *Fetch) {
	if f.Rest == nil {
		return
	}
	f.Items = append(f.Items, f.Rest.More()...)
}
