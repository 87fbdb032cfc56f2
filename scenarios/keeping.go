package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/config"
)

// A Keeping says what the topic keeps and for how long, besides by size.
type Keeping struct {
	Cleanup         string        // cleanup.policy
	RetentionTime   time.Duration // 0: however old
	SegmentTime     time.Duration // 0: segments are rolled by size only
	DeleteRetention time.Duration // of tombstones
	MinLag, MaxLag  time.Duration // of compaction; MaxLag 0: no limit
	DirtyRatio      string        // min.cleanable.dirty.ratio
	Timestamps      string        // message.timestamp.type
	AfterMax        time.Duration // message.timestamp.after.max.ms; 0: no limit
	CheckInterval   time.Duration // log.retention.check.interval.ms
}

// defaultAfterMax is Kafka's.
const defaultAfterMax = time.Hour

func defaultKeeping() Keeping {
	return Keeping{Cleanup: "delete", DirtyRatio: "0.5", Timestamps: "CreateTime",
		AfterMax: defaultAfterMax, CheckInterval: 700 * time.Millisecond}
}

func (k Keeping) String() string {
	return fmt.Sprintf("cleanup.policy=%s retention=%s segment.time=%s delete.retention=%s compaction.lag=%s..%s "+
		"dirty.ratio=%s timestamps=%s timestamp.after.max=%s check.interval=%s",
		k.Cleanup, k.RetentionTime, k.SegmentTime, k.DeleteRetention, k.MinLag, k.MaxLag,
		k.DirtyRatio, k.Timestamps, k.AfterMax, k.CheckInterval)
}

// compacts reports whether the topic is compacted.
func (k Keeping) compacts() bool { return strings.Contains(k.Cleanup, "compact") }

// deletes reports whether the oldest records of the topic go, by themselves or by an
// operator's hand.
func (o *Options) deletes() bool {
	return o.RetentionBytes > 0 || o.RetentionTime > 0 || o.DeleteRecords
}

// keepsKeys reports whether every replica of a compacted topic has the last record of
// each key when the run ends: no tombstone goes so soon, nor are there clocks that say
// otherwise.
func (o *Options) keepsKeys() bool {
	if !o.compacts() || o.Unclean || o.Unrestricted {
		return false
	}
	clocks := slices.ContainsFunc(o.Families, func(f Family) bool { return slices.Contains(clockFamilies, f) })
	return o.Tombstones == 0 || o.DeleteRetention >= time.Hour && !clocks
}

// pairs returns the topic's settings that say so.
func (k Keeping) pairs() []config.Pair {
	var out []config.Pair
	add := func(name, value string) { out = append(out, config.Pair{Name: name, Value: value}) }
	millis := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	if k.RetentionTime > 0 {
		add("retention.ms", millis(k.RetentionTime))
	}
	if k.SegmentTime > 0 {
		add("segment.ms", millis(k.SegmentTime))
	}
	if k.Timestamps != "CreateTime" {
		add("message.timestamp.type", k.Timestamps)
	}
	switch k.AfterMax {
	case defaultAfterMax:
	case 0:
		add("message.timestamp.after.max.ms", strconv.FormatInt(1<<63-1, 10))
	default:
		add("message.timestamp.after.max.ms", millis(k.AfterMax))
	}
	if !k.compacts() {
		return out
	}
	add("cleanup.policy", k.Cleanup)
	add("delete.retention.ms", millis(k.DeleteRetention))
	add("min.compaction.lag.ms", millis(k.MinLag))
	add("min.cleanable.dirty.ratio", k.DirtyRatio)
	if k.MaxLag > 0 {
		add("max.compaction.lag.ms", millis(k.MaxLag))
	}
	return out
}

// Habits say what clients do besides sending and reading.
type Habits struct {
	Keys          int           // that all producers share; 0: each has fifty of its own
	Tombstones    int           // one send in so many has no value; 0: none
	Oversized     int           // one send in so many is larger than the topic takes; 0: none
	Backdated     time.Duration // timestamps lie up to so much in the past
	Dawdle        time.Duration // consumers rest up to so long before a poll, while there are faults
	AnyReset      bool          // consumers draw auto.offset.reset
	DeleteRecords bool          // the operator deletes records
	Recreate      bool          // somebody deletes a topic and creates it again, over and over
	LookupPause   time.Duration // at most, between two lookups of offsets
	ClientClocks  bool          // clocks of clients go wrong too
	ClientIdle    time.Duration // connections.max.idle.ms of clients; 0: as nobody sets it
}

func defaultHabits() Habits { return Habits{LookupPause: 300 * time.Millisecond} }

func (h Habits) String() string {
	out := fmt.Sprintf("keys=%d tombstone.one.in=%d oversized.one.in=%d backdated=%s dawdle=%s any.reset=%t delete.records=%t recreate=%t lookup.pause=%s client.clocks=%t",
		h.Keys, h.Tombstones, h.Oversized, h.Backdated, h.Dawdle, h.AnyReset, h.DeleteRecords, h.Recreate, h.LookupPause, h.ClientClocks)
	if h.ClientIdle > 0 {
		out += fmt.Sprintf(" client.idle=%s", h.ClientIdle)
	}
	return out
}
