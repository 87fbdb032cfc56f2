package broker

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// minCleanerRest is how long compaction rests at least, so that a round costs
// next to nothing however short log.cleaner.backoff.ms is.
const minCleanerRest = time.Millisecond

// cleanLoop compacts the logs of this node that need it, one at a time, and rests
// for log.cleaner.backoff.ms.
func (b *Broker) cleanLoop() {
	for b.w.Sleep(max(minCleanerRest, config.LogCleanerBackoff.Duration(b.config))) == nil {
		if config.LogCleanerEnable.In(b.config) {
			b.cleanRound()
		}
	}
}

// cleanRound compacts what is due, the log of which most is dirty first. Blocks.
func (b *Broker) cleanRound() {
	type due struct {
		p    *Partition
		dirt commitlog.Dirt
	}
	var all []due
	for _, p := range b.all() {
		if dirt := b.dirtOf(p); dirt.Due {
			all = append(all, due{p, dirt})
		}
	}
	slices.SortStableFunc(all, func(x, y due) int {
		switch {
		case x.dirt.More(y.dirt):
			return -1
		case y.dirt.More(x.dirt):
			return 1
		}
		return 0
	})
	for _, d := range all {
		if b.closing {
			return
		}
		b.clean(d.p)
	}
}

// dirtOf tells how much a partition's log needs compaction. Blocks.
func (b *Broker) dirtOf(p *Partition) commitlog.Dirt {
	l, upTo := p.cleanable()
	if l == nil || b.closing {
		return commitlog.Dirt{}
	}
	dirt, err := l.Dirt(b.w.Wall(), upTo)
	if err != nil {
		b.w.Log.Warn("compaction cannot tell what is due", "partition", p.name.String(), "err", err)
		return commitlog.Dirt{}
	}
	return dirt
}

// clean compacts one log. Blocks.
func (b *Broker) clean(p *Partition) {
	l, upTo := p.cleanable() // second look: others were compacted meanwhile
	if l == nil {
		return
	}
	b.stats.CompactRuns++
	if err := l.CompactBelow(b.w.Wall(), upTo); err != nil {
		b.w.Log.Warn("compaction failed", "partition", p.name.String(), "err", err)
	}
}

// cleanable returns the partition's log, if it is one that is compacted, and what
// of it is decided.
func (p *Partition) cleanable() (*commitlog.Log, kafka.Offset) {
	if p.log == nil || p.topic.log.Cleanup&commitlog.CleanupCompact == 0 || p.log.End() == 0 {
		return nil, 0
	}
	return p.log, p.high
}
