package commitlog

import (
	"time"

	"github.com/klammlog/klamm/node/record"
)

// A Config is the settings of one log, named after Kafka's topic settings.
type Config struct {
	Flush         FlushMode     // log.flush
	FlushMessages int64         // flush.messages, acts with FlushOS; 0: never
	FlushTime     time.Duration // flush.ms, acts with FlushOS; 0: never

	SegmentBytes  int64         // segment.bytes
	SegmentTime   time.Duration // segment.ms; 0: never
	SegmentJitter time.Duration // segment.jitter.ms
	IndexInterval int64         // index.interval.bytes

	// IndexBytes is segment.index.bytes. It is counted as Kafka counts it, 8
	// bytes for each entry, so that segments roll where they would there.
	IndexBytes int64

	Cleanup         Cleanup       // cleanup.policy
	RetentionBytes  int64         // retention.bytes; negative: no limit
	RetentionTime   time.Duration // retention.ms; negative: no limit
	FileDeleteDelay time.Duration // file.delete.delay.ms

	Timestamps record.TimestampType // message.timestamp.type

	MinCleanableRatio float64       // min.cleanable.dirty.ratio
	MinCompactionLag  time.Duration // min.compaction.lag.ms
	MaxCompactionLag  time.Duration // max.compaction.lag.ms; 0: no limit
	DeleteRetention   time.Duration // delete.retention.ms
	ProducerExpiry    time.Duration // producer.id.expiration.ms; 0: never
}

// compactionLag returns max.compaction.lag.ms for a log that is compacted, and 0
// for others.
func (c *Config) compactionLag() time.Duration {
	if c.Cleanup&CleanupCompact == 0 {
		return 0
	}
	return c.MaxCompactionLag
}

// Defaults returns Kafka's defaults, and log.flush=ack.
func Defaults() Config {
	return Config{
		Flush:             FlushAck,
		SegmentBytes:      1 << 30,
		SegmentTime:       7 * 24 * time.Hour,
		IndexInterval:     4096,
		IndexBytes:        10 << 20,
		Cleanup:           CleanupDelete,
		RetentionBytes:    -1,
		RetentionTime:     7 * 24 * time.Hour,
		FileDeleteDelay:   time.Minute,
		MinCleanableRatio: 0.5,
		DeleteRetention:   24 * time.Hour,
		ProducerExpiry:    24 * time.Hour,
	}
}

// A FlushMode is what holding a record means.
type FlushMode uint8

const (
	// FlushAck: a record is held when it is synced.
	FlushAck FlushMode = iota

	// FlushOS: a record is held when the operating system has it. It survives
	// the process, not a power loss.
	FlushOS
)

// A Cleanup is the set of ways to get rid of old records.
type Cleanup uint8

// The ways; 0 keeps everything.
const (
	CleanupDelete Cleanup = 1 << iota
	CleanupCompact
)
