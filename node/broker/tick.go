package broker

import (
	"math"
	"time"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/record"
)

// checkpointInterval is how often a log that has moved writes down how far it is
// durable, which bounds what a recovery reads.
const checkpointInterval = time.Minute

// tickLoop looks after all logs: often after those that have moved, and at the
// pace of log.retention.check.interval.ms after those that only get older.
func (b *Broker) tickLoop() {
	next := b.w.Now()
	for {
		retention := config.RetentionCheckInterval.Duration(b.config)
		if b.w.Sleep(min(checkpointInterval, retention)) != nil {
			return
		}
		everyone := b.w.Now() >= next
		if everyone {
			next = b.w.Now().Add(retention)
			b.stats.RetainRuns++
		}
		for _, p := range b.all() {
			if b.closing {
				return
			}
			if everyone || p.moved {
				b.tick(p)
			}
		}
	}
}

// tick looks after one log. Blocks.
func (b *Broker) tick(p *Partition) {
	// Second look: partitions before this one were looked after meanwhile.
	l := p.log
	if l == nil || l.End() == 0 && !p.moved {
		return
	}
	p.moved = false
	if err := l.RetainBelow(b.w.Wall(), p.high); err != nil {
		b.w.Log.Warn("retention failed", "partition", p.name.String(), "err", err)
	}
}

// logConfig says what a topic's settings mean to its logs.
func (b *Broker) logConfig(v *config.View) commitlog.Config {
	c := commitlog.Config{
		Flush:             commitlog.FlushAck,
		FlushMessages:     orNever(config.FlushMessages.In(v)),
		FlushTime:         time.Duration(orNever(int64(config.FlushTime.Duration(v)))),
		SegmentBytes:      config.SegmentLimit(v),
		SegmentTime:       config.SegmentTime.Duration(v),
		SegmentJitter:     config.SegmentJitter.Duration(v),
		IndexInterval:     config.IndexInterval.In(v),
		IndexBytes:        config.SegmentIndexBytes.In(v),
		RetentionBytes:    config.RetentionBytes.In(v),
		RetentionTime:     config.RetentionTime.Duration(v),
		FileDeleteDelay:   config.FileDeleteDelay.Duration(v),
		MinCleanableRatio: float64(config.MinCleanableRatio.Millionths(v)) / 1e6,
		MinCompactionLag:  config.MinCompactionLag.Duration(v),
		MaxCompactionLag:  time.Duration(orNever(int64(config.MaxCompactionLag.Duration(v)))),
		DeleteRetention:   config.DeleteRetention.Duration(v),
		ProducerExpiry:    config.ProducerIDExpiration.Duration(b.config),
	}
	if config.LogFlush.In(b.config) == "os" {
		c.Flush = commitlog.FlushOS
	}
	if config.MessageTimestampType.In(v) == "LogAppendTime" {
		c.Timestamps = record.LogAppendTime
	}
	if config.CleanupPolicy.Has(v, "delete") {
		c.Cleanup |= commitlog.CleanupDelete
	}
	if config.CleanupPolicy.Has(v, "compact") {
		c.Cleanup |= commitlog.CleanupCompact
	}
	return c
}

// orNever turns Kafka's "never", the largest number there is, into 0.
func orNever(n int64) int64 {
	if n == math.MaxInt64 {
		return 0
	}
	return n
}
