package scenarios

import (
	"math/rand/v2"
	"slices"
	"time"
)

// The scenarios about what a replicated topic keeps: each replica deletes and compacts
// by itself, and whoever leads shows what it has.

var clusterRetention = &Scenario{
	Name:        "cluster-retention",
	About:       "old records of a replicated topic are deleted by age, by size and by the operator, while its brokers die and others lead",
	Cluster:     safeCluster,
	Sometimes:   []Family{"crash", "power-loss", "graceful-stop", "pause", "isolate", "slow-node", "task-stall", "client-crash", "latency", "disk-full", "disk-slow"},
	OneOf:       []Family{"crash", "power-loss", "pause", "isolate"},
	AtLeast:     1,
	AtMost:      5,
	Aims:        map[Family][]target{"crash": {theLeader, aFollower}, "power-loss": {theLeader}, "pause": {aFollower, theLeader}},
	TuneProcess: longAway,
	FlushDrawn:  true,
	Shape:       (*Options).drawRetention,
	Needs:       []string{"retention deleted a segment"},
	Reaches:     []string{"retention deleted a segment", "a consumer's position was reset"},
}

var clusterCompaction = &Scenario{
	Name:        "cluster-compaction",
	About:       "each replica compacts the topic by itself, while it is written, read and led by others",
	Cluster:     safeCluster,
	Always:      []Family{topicCompaction},
	Sometimes:   []Family{"crash", "power-loss", "graceful-stop", "pause", "isolate", "slow-node", "task-stall", "client-crash", "latency", "disk-full", "disk-slow", "disk-short-write"},
	OneOf:       []Family{"crash", "power-loss", "pause", "isolate"},
	AtLeast:     2,
	AtMost:      6,
	Aims:        map[Family][]target{"crash": {theLeader, aFollower}, "power-loss": {theLeader}, "pause": {aFollower, theLeader}},
	TuneProcess: longAway,
	FlushDrawn:  true,
	Needs:       []string{"compaction swapped segments"},
	Reaches:     []string{"compaction swapped segments"},
}

// topicCompaction is the family of replicated topics that are compacted.
const topicCompaction Family = "topic-compaction"

// inviteCompaction has the topic compacted, unless groups read it: they are held to
// having got every record. In half of the seeds tombstones stay, so that every replica
// has the last record of each key in the end, however long it was away.
func (o *Options) inviteCompaction(r *rand.Rand) {
	if o.grouped() {
		o.Families = slices.DeleteFunc(o.Families, func(f Family) bool { return f == topicCompaction })
		return
	}
	o.drawCompaction(r)
	if r.IntN(2) == 0 {
		o.DeleteRetention = time.Hour
	}
}
