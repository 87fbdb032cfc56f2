package scenarios

import (
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/sim"
)

// restartStorm is the scenario of processes that do not get to serve: an orchestrator that
// has no patience, a machine that is out of memory as soon as the logs are read.
var restartStorm = &Scenario{
	Name:  "restart-storm",
	About: "nodes die again and again while they start, after crashes and after power losses, some of them alone, before they serve",
	Cluster: func(c *Cluster, r *rand.Rand) {
		if r.IntN(4) == 0 {
			*c = alone()
			return
		}
		safeCluster(c, r)
	},
	Always:    []Family{"restart-storm"},
	Must:      []Family{"restart-storm"},
	Sometimes: []Family{"power-loss", "crash", "graceful-stop", "slow-node", "disk-slow", "task-stall"},
	AtLeast:   1,
	AtMost:    4,
	Aims: map[Family][]target{
		"restart-storm": {aNode, aNode, theLeader, theController, theBrokers, everyNode},
		"power-loss":    {aNode, theLeader, everyNode},
	},
	Reaches: []string{"a log was opened after an unclean end"},
}

// rackPowerLoss is the scenario of machines that have a fuse in common.
var rackPowerLoss = &Scenario{
	Name:      "rack-power-loss",
	About:     "all brokers of a rack lose power at once, and come back in any order",
	Cluster:   func(c *Cluster, r *rand.Rand) { safeCluster(c, r); c.Racks = pick(r, 2, 2, 3) },
	Always:    []Family{"power-loss"},
	Must:      []Family{"power-loss"},
	Sometimes: []Family{"crash", "pause", "latency", "slow-node", "disk-slow", "client-crash"},
	AtLeast:   1,
	AtMost:    4,
	Aims:      map[Family][]target{"power-loss": {aRack}},
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		if f.Kind == sim.FaultPowerLoss {
			longAway(f, r)
		}
	},
	Reaches: []string{"a broker was fenced, for its session ended"},
}

// A stormy node dies whenever it starts, a few times more.
type stormy struct {
	fault Fault
	left  int64
}

// storm has a node die now, and again whenever it starts.
func (r *run) storm(f Fault, b *brokerHost) {
	if b.absent {
		return
	}
	b.stormy = &stormy{fault: f, left: f.Process.N}
	if b.node.Alive() {
		b.stormy.strike(b)
	}
}

// longestStart is how long a node is let start at most before it dies. Most die much
// sooner: a broker on its own, with few logs, has started within a millisecond.
const longestStart = 512 * time.Millisecond

// started has a node that has just been started die before long, unless it is quicker.
func (s *stormy) started(b *brokerHost) {
	if s == nil || s.left <= 0 || b.r.healed {
		return
	}
	draws, incarnation := b.r.k.Rand("faults/storm"), b.node.Incarnation()
	most := longestStart >> draws.IntN(16)
	b.r.k.After(time.Duration(draws.Int64N(int64(most))), func() {
		if !b.r.healed && b.node.Alive() && b.node.Incarnation() == incarnation {
			s.strike(b)
		}
	})
}

// strike kills a node that runs. It is what the storm is about if it does not serve yet.
func (s *stormy) strike(b *brokerHost) {
	s.left--
	b.r.took(s.fault.Family, b.running == nil && !b.stopping)
	b.r.mark(history.Fault, b.node.Name(), "dies in a restart storm")
	b.crash()
	b.r.k.After(s.fault.Process.For, b.bringUp)
}
