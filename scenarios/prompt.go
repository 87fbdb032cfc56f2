package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// promptBound is how long a partition may be without a leader though it could have
// one, after the last has died that was to lead it: until a session ends, and a second
// more; if the controller has died too, two elections more.
func (r *run) promptBound() time.Duration {
	return r.options.Session + time.Second + 2*r.options.Election
}

// promptFamilies are faults after which leadership moves in time: those of processes
// that are gone or well. What is slow, cut off or held promises nothing.
var promptFamilies = []Family{Family(sim.FaultCrash), Family(sim.FaultPowerLoss), Family(sim.FaultStop), clientCrash, replicaMoves, nearestReads}

// promisesPrompt reports whether leadership has to move in time in this run.
func (r *run) promisesPrompt() bool {
	o := r.drawn
	held := o.HoldOneIn > 0 && o.HoldMax > 10*time.Millisecond
	return o.clustered() && !o.Unclean && !held && o.Operators.Operators == 0 && !slices.ContainsFunc(o.Families, func(f Family) bool {
		return !slices.Contains(promptFamilies, f)
	})
}

// judgePrompt complains of a partition that had no leader for too long.
func (w *leaderWatch) judgePrompt(tp kafka.TopicPartition, a absence) {
	now := w.r.k.Now()
	if took := now.Sub(a.promised()); w.r.promisesPrompt() && took > w.r.promptBound() {
		w.r.observer.complain(leaderMoves, fmt.Sprintf("%s had no leader for %s until %s, though it could have had one, and nobody who was to lead it had died for %s",
			tp, now.Sub(a.since), now, took))
	}
}

// noteAck notes that something was acknowledged.
func (r *run) noteAck() { r.lastAck = r.k.Now() }

// sending reports whether some producer waits for an acknowledgement.
func (r *run) sending() bool {
	return slices.ContainsFunc(r.producers, func(p *producerClient) bool { return len(p.open) > 0 })
}
