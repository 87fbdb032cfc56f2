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

// losing are the points of Buggify that keep or lose what controllers tell each other.
// Without a fault one may resign then, or not be elected at once; with each controller the
// sessions of brokers begin anew; and a snapshot that is lost is sent again when it is
// overdue.
var losing = []string{"the queue of messages to a controller is full", "the inbox of a controller is full", "a client gives up a healthy connection",
	"the queue of requests to a broker is full", "a snapshot is durable long before it replaces the log"}

// lossTakes is how many times as long leadership may take to move where such a point fired.
const lossTakes = 4

// loses reports whether controllers were kept from hearing of each other.
func (r *run) loses() bool {
	return slices.ContainsFunc(r.k.Buggified(), func(c sim.Count) bool { return slices.Contains(losing, c.Name) })
}

// judgePrompt complains of a partition that had no leader for too long.
func (w *leaderWatch) judgePrompt(tp kafka.TopicPartition, a absence) {
	now, bound := w.r.k.Now(), w.r.promptBound()
	if w.r.loses() {
		bound *= lossTakes
	}
	if took := now.Sub(a.promised()); w.r.promisesPrompt() && took > bound {
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
