package broker

import (
	"errors"
	"time"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
)

// scrubPoll is how often the node looks at least whether a scrub is due: its
// interval may have been changed meanwhile.
const scrubPoll = time.Minute

// scrubLoop has all logs of this node read again, one after the other, each
// log.scrub.interval.ms: what rots on a disk is found while others still have it.
func (b *Broker) scrubLoop() {
	ended := b.w.Now()
	for {
		interval := config.LogScrubInterval.Duration(b.config)
		if b.w.Sleep(min(interval, scrubPoll)) != nil {
			return
		}
		if b.w.Now().Sub(ended) >= interval {
			b.scrubRound()
			ended = b.w.Now()
		}
	}
}

// scrubRound reads the logs of this node again, those that are known to be damaged
// left out. Blocks.
func (b *Broker) scrubRound() {
	for _, p := range b.all() {
		l := p.log // second look: others were scrubbed meanwhile
		if b.closing || l == nil || p.rotten != nil {
			continue
		}
		err := l.Scrub(&b.scrubs)
		if err != nil && !errors.Is(err, commitlog.ErrClosed) && !errors.Is(err, env.ErrCanceled) {
			b.w.Log.Warn("scrub of a log was not finished", "partition", p.name.String(), "err", err)
		}
	}
	b.stats.ScrubRuns++
}

// ScrubRuns returns how many rounds through all logs have ended.
func (b *Broker) ScrubRuns() uint64 { return b.stats.ScrubRuns }
