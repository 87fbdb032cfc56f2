package scenarios

import (
	"math/rand/v2"
	"time"
)

// The scenarios about what a topic keeps.

var retention = &Scenario{
	Name:       "retention",
	About:      "old records are deleted by age, by size and by the operator, whether anybody has read them or not",
	Sometimes:  []Family{"crash", "power-loss", "graceful-stop", "pause", "slow-node", "task-stall", "client-crash", "reset", "latency", "disk-full", "disk-slow"},
	OneOf:      []Family{"crash", "power-loss", "client-crash", "pause"},
	AtLeast:    1,
	AtMost:     5,
	FlushDrawn: true,
	Shape:      (*Options).drawRetention,
	Needs:      []string{"retention deleted a segment"},
	Reaches:    []string{"retention deleted a segment", "a consumer's position was reset"},
}

var compaction = &Scenario{
	Name:  "compaction",
	About: "records with few keys are compacted while they are written and read, and while the broker dies",
	Sometimes: []Family{"crash", "power-loss", "graceful-stop", "pause", "slow-node", "task-stall", "client-crash", "reset", "disk-full", "disk-slow",
		"disk-short-write", "disk-write-error", "disk-sync-keep", "disk-meta-error"},
	OneOf:      []Family{"crash", "power-loss", "client-crash", "pause"},
	AtLeast:    1,
	AtMost:     5,
	FlushDrawn: true,
	Shape:      (*Options).drawCompaction,
	Needs:      []string{"compaction swapped segments"},
	Reaches:    []string{"compaction swapped segments"},
}

// drawRetention has old records deleted, in one way or several.
func (o *Options) drawRetention(r *rand.Rand) {
	o.RetentionBytes = 0
	o.DeleteRecords = r.IntN(3) == 0
	switch r.IntN(5) {
	case 4:
		o.DeleteRecords = true
	case 0:
		o.RetentionTime = pick(r, 100*time.Millisecond, 500*time.Millisecond, 2*time.Second)
	case 1:
		o.RetentionTime = pick(r, 500*time.Millisecond, 2*time.Second)
		o.RetentionBytes = 1<<10 + r.Int64N(15<<10)
	default:
		o.RetentionBytes = 1<<10 + r.Int64N(15<<10)
	}
	o.SegmentBytes = int64(1<<10) << r.IntN(3)
	o.SegmentTime = pick(r, 0, 0, 200*time.Millisecond, time.Second)
	o.Timestamps = pick(r, "CreateTime", "CreateTime", "LogAppendTime")
	o.CheckInterval = pick(r, 100*time.Millisecond, 300*time.Millisecond, 700*time.Millisecond)
	o.Dawdle = pick(r, 0, 300*time.Millisecond, 1500*time.Millisecond)
	o.AnyReset = r.IntN(2) == 0
	o.LookupPause = 100 * time.Millisecond
}

// drawCompaction has the topic compacted, and perhaps cut too.
func (o *Options) drawCompaction(r *rand.Rand) {
	o.Cleanup = pick(r, "compact", "compact", "compact", "compact,delete")
	o.RetentionBytes = 0
	if o.Cleanup == "compact,delete" {
		o.RetentionBytes = 4<<10 + r.Int64N(15<<10)
	}
	o.SegmentBytes = int64(1<<9) << r.IntN(4)
	o.SegmentTime = pick(r, 0, 0, 200*time.Millisecond, time.Second)
	o.DeleteRetention = pick(r, 0, 50*time.Millisecond, 500*time.Millisecond, 2*time.Second, time.Minute)
	o.MinLag = pick(r, 0, 0, 0, 300*time.Millisecond, 2*time.Second)
	o.MaxLag = pick(r, 0, 0, o.MinLag+time.Second)
	o.DirtyRatio = pick(r, "0.0", "0.01", "0.3", "0.5")
	o.Timestamps = pick(r, "CreateTime", "CreateTime", "LogAppendTime")
	o.Backdated = pick(r, 0, 0, time.Second, 48*time.Hour)
	o.CheckInterval = pick(r, 50*time.Millisecond, 100*time.Millisecond, 300*time.Millisecond, 700*time.Millisecond)
	o.Keys = pick(r, 1+r.IntN(60), 100+r.IntN(300))
	o.Tombstones = pick(r, 0, 2, 5, 20)
	o.Dawdle = pick(r, 0, 0, 300*time.Millisecond)
	o.AnyReset = r.IntN(3) == 0
}
