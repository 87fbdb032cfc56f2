package scenarios

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A disk that says that it holds what it does not is survived where nobody relies on
// it: with log.flush=os a broker that ended uncleanly has given up its seat in the
// in-sync set (KIP-966), whatever it finds on its disk, and gets from the others what it
// lacks. With log.flush=ack it keeps its seat for what it synced, and a voter of the
// controllers' quorum its vote: what their disks forget is in no budget (docs/FAULTS.md).

// forgetful are the families of a disk that does not have what it said it has.
var forgetful = []Family{Family(disksim.FaultSyncLate), Family(disksim.FaultSyncLies), Family(disksim.FaultMisdirect),
	Family(disksim.FaultLostWrite), Family(disksim.FaultOld)}

var lyingDisk = &Scenario{
	Name:  "lying-disk",
	About: "a broker's disk says of syncs and writes that they are done, puts them elsewhere, or is what it was before; nobody relied on it",
	Cluster: func(c *Cluster, _ *rand.Rand) {
		c.Brokers, c.Replicas, c.MinISR = 3, 3, 2 // the one has a replica of everything
		c.Controllers, c.Voters = 3, 3
	},
	Shape: func(o *Options, _ *rand.Rand) {
		o.Flush = "os"
		o.SegmentBytes = max(o.SegmentBytes, 16<<10) // a write is misdirected to another page of its file
	},
	Always:    []Family{"power-loss"},
	Sometimes: append([]Family{"crash", "pause", "task-stall", "slow-node", "disk-slow", "latency"}, forgetful...),
	// A write that is misdirected needs a file of several pages: by itself it may miss.
	OneOf:   []Family{"disk-sync-late", "disk-sync-lies", "disk-lost-write", "disk-old"},
	AtLeast: 2,
	AtMost:  5,
	Must:    forgetful,
	Tune: func(f *disksim.Fault, r *rand.Rand) {
		switch f.Kind {
		case disksim.FaultOld: // it shows at the next crash, whenever that is
			f.At, f.For, f.Times = kafka.Instant(warmUp)+(f.At-kafka.Instant(warmUp))/4, 0, 1
		case disksim.FaultMisdirect:
			f.For, f.Times = 0, 1+r.Int64N(10)
			f.Path = pick(r, "*", topicName+"-*", topicName+"-*.log")
		case disksim.FaultSyncLate, disksim.FaultSyncLies, disksim.FaultLostWrite:
			f.Path = pick(r, "*", topicName+"-*", topicName+"-*.log")
			f.Times = pick[int64](r, f.Times, f.Times, 1+r.Int64N(20), 0)
		}
	},
	// Away for about as long as sessions last: it comes back as who it was, or as one
	// that was fenced. What the disk forgot shows when it loses power, so that comes late.
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		longAway(f, r)
		if f.Kind == sim.FaultPowerLoss {
			f.At = f.At/2 + kafka.Instant(2*time.Second)
		}
	},
	FlushDrawn: true,
	Reaches: []string{"a replica that was not whole is fetched anew", "a follower truncated to a diverging epoch",
		"recovery cut a torn tail"},
}

// An operator gives the machine of whoever does not start an empty disk, once the faults
// are over: what is not whole of a node's own files, its name among them, nobody mends.

// replacedAfter is how often in a row a node must have refused to start.
const replacedAfter = 3

// refuses notes that the node did not start, and has its disk replaced if that is
// because its disk forgot.
func (b *brokerHost) refuses() {
	b.refusals++
	if b.refusals < replacedAfter || !b.r.healed || b.seat.name != b.r.options.Loser || !b.struck(isForgetful) {
		return
	}
	b.refusals = 0
	b.r.k.After(0, func() {
		if !b.node.Alive() {
			b.r.mark(history.Restart, b.node.Name(), "with an empty disk")
			b.disk.Empty()
			b.r.observer.cluster.replaced(kafka.NodeID(b.seat.id))
		}
	})
}

func isForgetful(k disksim.FaultKind) bool { return slices.Contains(forgetful, Family(k)) }
