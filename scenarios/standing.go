package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// lastReplicaStanding is the scenario of one replica that is left. Its runs are told
// apart by how many there were, and in which order the others died.
var lastReplicaStanding = &Scenario{
	Name:  "last-replica-standing",
	About: "of one to five replicas all but one die, at once or one by one, from a full in-sync set; the survivor has everything and serves",
	Cluster: func(c *Cluster, r *rand.Rand) {
		c.Brokers = 1 + r.IntN(5)
		c.Controllers, c.Voters = 3, 3
		c.Replicas, c.MinISR = c.Brokers, 1
		c.Session = pick(r, 600*time.Millisecond, time.Second)
		c.Beat = c.Session / 5
	},
	Always: []Family{"crash"},
	Must:   []Family{"crash"},
	Once:   true,
	Aims:   map[Family][]target{"crash": {allButOne, allButOneInTurn}},
	// They die early and are away until the heal: the survivor has time to serve.
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		f.At = kafka.Instant(warmUp) + kafka.Instant(r.Int64N(int64(2*time.Second)))
		f.For = time.Hour
	},
	Shape: func(o *Options, r *rand.Rand) {
		o.Strict, o.Sends, o.Least = 1, 700+r.IntN(400), minSends
		o.Safety = 14 * time.Second
	},
	Case: func(o *Options, schedule []Fault) string {
		order := "at once"
		if schedule[0].Process.Node == allButOneInTurn {
			order = "one by one"
		}
		if o.Replicas < 3 {
			return fmt.Sprintf("replicas %d", o.Replicas)
		}
		return fmt.Sprintf("replicas %d, %s", o.Replicas, order)
	},
	Reaches: []string{"a broker was fenced, for its session ended"},
}

// standPause is how soon it is looked again whether everything is in sync.
const standPause = 20 * time.Millisecond

// strikeAllButOne draws a broker that survives and strikes the others, as soon as
// every replica is in sync and something was acknowledged.
func (r *run) strikeAllButOne(f Fault) {
	switch {
	case r.healed:
		return
	case r.lastAck == 0 || !r.inSync():
		r.k.After(standPause, func() { r.strikeAllButOne(f) })
		return
	}
	r.survivor = pick(r.k.Rand("faults/survivor"), r.brokers...)
	others := slices.DeleteFunc(slices.Clone(r.brokers), func(b *brokerHost) bool { return b == r.survivor })
	at := time.Duration(0)
	for _, b := range others {
		r.k.After(at, func() {
			if !r.healed {
				r.strikeNode(f, b)
			}
		})
		if f.Process.Node == allButOneInTurn {
			at += time.Duration(r.k.Rand("faults/gap").Int64N(int64(r.options.Safety) / 4 / int64(len(others))))
		}
	}
}

// inSync reports whether every broker is well and every replica of the workload's
// topic in sync.
func (r *run) inSync() bool {
	for i := range r.options.Partitions {
		s, ok := r.newestState(r.partition(int64(i)))
		if !ok || len(s.ISR) < len(s.Replicas) {
			return false
		}
	}
	return !slices.ContainsFunc(r.brokers, func(b *brokerHost) bool { return !b.well() })
}

// checkSurvivor complains, when the faults end, if the only broker that was left has
// not acknowledged anything for long.
func (r *run) checkSurvivor() {
	if r.survivor == nil {
		return
	}
	for _, b := range r.brokers {
		if b != r.survivor && b.running == nil {
			r.fallen++
		}
	}
	if !r.promisesPrompt() || !r.sending() {
		return
	}
	if quiet := r.k.Now().Sub(max(r.lastAck, r.killedAt)); quiet > r.promptBound()+3*time.Second {
		r.observer.complain(survivorServes, fmt.Sprintf("nothing was acknowledged for %s until %s, though %s was there",
			quiet, r.k.Now(), r.survivor.seat.name))
	}
}

// unfallen says why a run that is about a survivor does not show one, or "".
func (r *run) unfallen() string {
	switch {
	case !slices.Contains(r.scenario.Aims["crash"], allButOne):
	case r.survivor == nil:
		return "the replicas were never all in sync before the faults ended"
	case r.fallen < len(r.brokers)-1:
		return fmt.Sprintf("%d of %d brokers were down when the faults ended", r.fallen, len(r.brokers))
	}
	return ""
}

// lonely reports whether the survivor of faults was alone from the start: then no
// fault has taken effect, and none was to.
func (r *run) lonely() bool { return r.survivor != nil && len(r.brokers) == 1 }
