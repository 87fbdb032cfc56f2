package scenarios

import (
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/kafka"
)

// The scenarios about the broker's disk.

var fullDisk = &Scenario{
	Name:       "full-disk",
	About:      "the broker's disk has no room, before a write or in the middle of its bytes; space returns sooner or later",
	Always:     []Family{"disk-full"},
	Must:       []Family{"disk-full"},
	Sometimes:  []Family{"disk-sync-nospace", "disk-short-write", "disk-too-many-files", "disk-slow", "crash", "power-loss", "client-crash"},
	FlushDrawn: true,
	Shape: func(o *Options, r *rand.Rand) {
		// Retention frees space, and needs some for that.
		if o.RetentionBytes == 0 && r.IntN(4) == 0 {
			o.RetentionBytes = 1<<10 + r.Int64N(15<<10)
		}
	},
	// Little fits, so that the workload feels it. Space returns after a while, or
	// only when everything is healed.
	Tune: func(f *disksim.Fault, r *rand.Rand) {
		if f.Kind != disksim.FaultFull {
			return
		}
		f.At = kafka.Instant(warmUp) + (f.At-kafka.Instant(warmUp))/2
		f.N = r.Int64N(1 << (6 + r.IntN(7)))
		f.For = max(f.For, 2*time.Second) // longer than a crashed broker is away
		if r.IntN(3) == 0 {
			f.For = 0
		}
	},
	Reaches: []string{"the disk was full and appends were refused", "a full disk cut an append off"},
}

var badDisk = &Scenario{
	Name:  "bad-disk",
	About: "the broker's disk fails reads, writes and syncs; if the seed says so it also loses, garbles and forgets what it had",
	Sometimes: []Family{"disk-short-read", "disk-short-write", "disk-read-error", "disk-write-error", "disk-meta-error", "disk-syncdir-error",
		"disk-read-only", "disk-slow", "crash", "power-loss", "graceful-stop"},
	OneOf: []Family{"disk-read-error", "disk-write-error", "disk-sync-error", "disk-sync-keep", "disk-sync-revert", "disk-sync-others",
		"disk-shutdown"},
	Destroying: destroyingFamilies(),
	Extras:     []Family{Family(disksim.FaultMisread)},
	AtLeast:    2,
	AtMost:     7,
	FlushDrawn: true,
	Shape: func(o *Options, r *rand.Rand) {
		o.Unrestricted = r.IntN(2) == 0
	},
	// What fails does so once or for good, for everything or for some files.
	Tune: func(f *disksim.Fault, r *rand.Rand) {
		f.Path = pick(r, "*", "*", "*", "*.log", "*.index", "*manifest*", "*.snapshot")
		if !f.Kind.Destroys() && r.IntN(4) == 0 {
			f.For, f.Times = 0, 0
		}
		if f.Kind == disksim.FaultMisread { // often enough that a recovery meets some of them
			f.Times, f.OneIn = 1+r.Int64N(30), 1+r.Int64N(8)
		}
	},
	Reaches: []string{"sync failed and took the directory out of service", "recovery cut a torn tail"},
}

// destroyingFamilies are the faults that can take the only copy of a record. What a disk
// reads wrong is an extra: one more here would change which of them all seeds have.
func destroyingFamilies() []Family {
	var out []Family
	for _, k := range disksim.FaultKinds() {
		if k.Destroys() && k != disksim.FaultMisread {
			out = append(out, Family(k))
		}
	}
	return out
}

var slowDisk = &Scenario{
	Name:       "slow-disk",
	About:      "the broker's disk is slow, stands still, and takes seconds for a sync",
	Always:     []Family{"disk-slow"},
	Must:       []Family{"disk-slow", "disk-stall"},
	Sometimes:  []Family{"disk-stall", "slow-node", "pause", "task-stall", "crash", "power-loss", "client-crash"},
	FlushDrawn: true,
	Tune: func(f *disksim.Fault, r *rand.Rand) {
		if f.Kind == disksim.FaultSlow {
			f.N = pick(r, f.N, 10*f.N, 50*f.N)
		}
	},
	Reaches: []string{"an append was not held in time", "append waited for the next segment"},
}

var wrongClock = &Scenario{
	Name:      "clock",
	About:     "wall clocks of the broker and its clients are off, drift, jump and stand still; offsets are looked up by time",
	Sometimes: []Family{"clock-skew", "clock-drift", "clock-freeze", "clock-jump", "crash", "power-loss", "client-crash", "pause"},
	OneOf:     []Family{"clock-skew", "clock-drift", "clock-freeze", "clock-jump"},
	AtLeast:   2,
	AtMost:    6,
	Shape: func(o *Options, r *rand.Rand) {
		o.ClientClocks = r.IntN(4) != 0
		o.LookupPause = 20 * time.Millisecond
		o.Timestamps = pick(r, "CreateTime", "CreateTime", "LogAppendTime")
		o.AfterMax = pick(r, 0, 0, defaultAfterMax)
		o.Backdated = pick(r, 0, 0, time.Second, 2*time.Hour)
		if r.IntN(3) == 0 {
			o.RetentionBytes, o.RetentionTime = 0, pick(r, 500*time.Millisecond, 3*time.Second, 20*time.Minute)
		}
		if r.IntN(3) == 0 {
			o.SegmentTime = pick(r, 300*time.Millisecond, 2*time.Second)
		}
	},
	Reaches: []string{"retention deleted a segment"},
}
