package scenarios

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// What destroys acknowledged data is budgeted over the replicas (ADR 3): one node of a
// run, its loser, may lose what it acknowledged. Where every acknowledgement says that
// two replicas hold the record, everything is demanded all the same.
//
// Of the faults that destroy, only those are in the budget that whoever suffers them
// notices: a disk that is empty, a sector that cannot be read, rot of a log, a page
// cache that a machine says it relies on. A disk that lies has a node confirm what it
// does not have, and be elected for it. What rots of a node's own files, its name and
// its votes, is a disk that somebody has to replace: that is disk-empty.

// noticeable are the families of a loser's disk.
var noticeable = []Family{Family(disksim.FaultEmpty), Family(disksim.FaultEmpty), Family(disksim.FaultBadSector), Family(disksim.FaultRot)}

// confine has what destroys strike where that is budgeted: rot in the logs of the
// workload's topic, reads that are wrong there, too, and of the metadata, of which the
// controllers have all.
func (o *Options) confine(f *disksim.Fault, r *rand.Rand) {
	if o.Loser == "" {
		return
	}
	switch f.Kind {
	case disksim.FaultRot:
		f.Path = pick(r, topicName+"-*.log", topicName+"-*.log", topicName+"-*")
		if f.Path == topicName+"-*" && r.IntN(2) == 0 {
			f.Path = topicName + "-*/partition" // small, and one in a log
		}
	case disksim.FaultMisread:
		f.Path = pick(r, topicName+"-*.log", topicName+"-*.snapshot", "metadata/*")
	}
}

// drawLoser draws who may lose something, and what, where the cluster can take it.
func (o *Options) drawLoser(s *Scenario, r *rand.Rand) {
	if !o.clustered() || o.Replicas < 3 || o.MinISR < 2 || o.Unclean || o.Unrestricted {
		return
	}
	loser, what := pick(r, o.seats()[:o.Brokers]...).name, pick(r, noticeable...)
	if s.FlushDrawn && o.Flush == "os" {
		o.Loser = loser
	}
	if s.LoserOneIn == 0 || r.IntN(s.LoserOneIn) != 0 {
		return
	}
	o.Loser = loser
	if !slices.ContainsFunc(o.Families, func(f Family) bool { return slices.Contains(noticeable, f) }) {
		o.Families = append(o.Families, what)
		slices.Sort(o.Families)
	}
}

// loses reports whether only the loser may meet a family, if there is one. With
// log.flush=os whoever ends uncleanly has given up its seat in the in-sync set, whether
// its page cache is there or not: if all did, they would wait for an operator for ever.
func (o *Options) loses(f Family) bool {
	return o.Loser != "" && (disksim.FaultKind(f).Destroys() || o.Flush == "os" && (losesPageCache(f) || f == Family(sim.FaultCrash) || f == Family(sim.FaultStorm) || isDisk(f)))
}

func isDisk(f Family) bool { return slices.Contains(diskFamilies(), f) }

// spared returns the node that must not die, or "": something of its disk is lost, and
// in the end of a log that was not closed, what is torn and what is lost look the same.
func (o *Options) spared() string {
	if o.Loser != "" && slices.ContainsFunc(o.Families, rots) {
		return o.Loser
	}
	return ""
}

// rots reports whether a family takes something of what lies on a disk.
func rots(f Family) bool {
	return f == Family(disksim.FaultBadSector) || f == Family(disksim.FaultRot)
}

// endsProcess reports whether a family of disks takes a log directory out of service:
// a node that has no other ends.
func endsProcess(f Family) bool {
	switch disksim.FaultKind(f) {
	case disksim.FaultWriteError, disksim.FaultMetaError, disksim.FaultSyncDirError, disksim.FaultSyncError, disksim.FaultSyncKeep,
		disksim.FaultSyncRevert, disksim.FaultSyncOthers, disksim.FaultShutdown, disksim.FaultReadOnly:
		return true
	}
	return false
}

// deadly reports whether a family ends a process.
func deadly(f Family) bool {
	return f == Family(sim.FaultCrash) || f == Family(sim.FaultPowerLoss) || f == Family(sim.FaultStop) || f == Family(sim.FaultStorm)
}

// ruinsNothing reports whether a fault would destroy the only copy before there is any:
// a broker that can never serve shows nothing of what becomes of what it acknowledged.
func (r *run) ruinsNothing(f disksim.Fault) bool {
	return r.drawn.Unrestricted && f.Kind.Destroys() && r.lastAck == 0
}

// knownPause is how long a disk that is to be lost, or to lose something, waits until who
// has it is known, and there is something to lose.
const knownPause = 100 * time.Millisecond

// isKnown reports whether all other voters of the controllers' quorum have durably
// heard by which directory they know a voter. Who has not takes one that lost its
// disk for one that is new, and forgets with it what it had acknowledged (docs/bugs/0068.md).
func (r *run) isKnown(voter *brokerHost) bool {
	if !r.options.clustered() || !voter.seat.isVoter() {
		return true
	}
	for _, b := range r.nodes {
		if b == voter || !b.seat.isVoter() || b.absent {
			continue
		}
		if b.running == nil {
			return false
		}
		if v, ok := b.running.Quorum(); !ok || !v.Knows(kafka.NodeID(voter.seat.id)) {
			return false
		}
	}
	return true
}
