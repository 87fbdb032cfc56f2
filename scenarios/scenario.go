// Package scenarios says who calls, what breaks, and what must hold: it runs a
// whole cluster with its clients in the simulator, throws a fault schedule drawn
// from the seed at it, and hands what clients saw to the judges.
//
// A run has three phases. Safety: anything may fail. Heal: every fault ends for
// good. Liveness: every operation must finish within a bound of virtual time, and
// what was written is read back. What is demanded is fixed by the scenario and
// the options drawn from the seed; settings given by hand change the system, never
// the demands.
//
// A run is a function of (scenario, seed, settings, code).
package scenarios

import (
	"math/rand/v2"
	"slices"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/sim"
)

// A Scenario is a workload with the fault families it may meet.
type Scenario struct {
	Name  string
	About string

	// Always are the families every seed has; of Sometimes each seed has some.
	// Every seed has one of OneOf at least: families that hardly ever miss.
	// AtLeast and AtMost bound how many families a seed has in all: with too
	// many at once nothing works, and nothing is tested.
	Always    []Family
	Sometimes []Family
	OneOf     []Family
	AtLeast   int
	AtMost    int

	// Guests are families of guests that a seed may have on top, drawn apart from
	// the others so that they leave them as they are.
	Guests []Family

	// Extras are more families of faults, of which a seed has each one time in four, drawn
	// apart from the others too. One that destroys is only where something may be lost.
	Extras []Family

	// FlushDrawn lets the seed draw log.flush=os, which lowers what is demanded
	// of power loss. Without it log.flush is ack.
	FlushDrawn bool

	// Shape draws what the scenario is about, over the options that every
	// scenario draws.
	Shape func(*Options, *rand.Rand)

	// Cluster draws what its cluster is about, over what every cluster draws;
	// without it there is one broker on its own.
	Cluster func(*Cluster, *rand.Rand)

	// Grouping draws what its groups are about, over what all groups draw; without
	// it there are none.
	Grouping func(*Grouping, *rand.Rand)

	// Aims are whom faults of processes strike, by family, where that is not any
	// node.
	Aims map[Family][]target

	// Tune changes faults of the disk after they are drawn; the others do so with
	// those of processes and of the network.
	Tune        func(*disksim.Fault, *rand.Rand)
	TuneProcess func(*sim.Fault, *rand.Rand)
	TuneNet     func(*netsim.Fault, cast, netsim.Window, *rand.Rand)

	// Destroying are families that can take what was acknowledged. Only a seed
	// whose mode is unrestricted has some.
	Destroying []Family

	// Must are families of which one has to take effect, or a run has tested
	// nothing.
	Must []Family

	// Once has each family strike once.
	Once bool

	// Case names which of its cases a seed is, where a campaign must have some of
	// each.
	Case func(*Options, []Fault) string

	// LoserOneIn: one seed in so many of a cluster that can take it has a node whose
	// disk destroys what it acknowledged; 0: none has.
	LoserOneIn int

	// Needs are probes of which a run must reach one, or it has tested nothing.
	Needs []string

	// Reaches are probes that the scenario's seeds must reach between them.
	Reaches []string
}

// All returns every scenario, in the order in which they run.
func All() []*Scenario { return registry }

// registry lists the scenarios from the gentle to the harsh.
var registry = []*Scenario{
	{
		Name:  "quiet",
		About: "no faults: what breaks here breaks everywhere",
	},
	{
		Name:       "crash",
		About:      "the broker's process dies, hangs, is slow and is restarted; the page cache survives",
		Always:     []Family{"crash"},
		Sometimes:  []Family{"graceful-stop", "pause", "task-stall", "slow-node", "client-crash"},
		Guests:     []Family{operatorActs},
		FlushDrawn: true,
	},
	{
		Name:      "power-loss",
		About:     "the broker's machine loses power; of what was not synced a legal subset survives",
		Always:    []Family{"power-loss"},
		Sometimes: []Family{"crash", "task-stall", "slow-node"},
		Guests:    []Family{operatorActs},
	},
	{
		Name:      "flaky-network",
		About:     "connections are slow, cut, reset, half-open, refused; the machines are well",
		Always:    []Family{"latency"},
		Sometimes: networkFamilies(),
		AtLeast:   4,
		AtMost:    9,
	},
	fullDisk,
	badDisk,
	slowDisk,
	wrongClock,
	retention,
	compaction,
	hostileClient,
	manyConnections,
	operating,
	{
		Name:       "one-broker",
		About:      "one broker, and all fault families, some of them in each seed",
		Sometimes:  slices.Concat(swarmed(), networkFamilies(), diskFamilies()),
		OneOf:      []Family{"crash", "power-loss", "graceful-stop", "pause", "task-stall", "slow-node"},
		AtLeast:    3,
		AtMost:     10,
		Guests:     []Family{malformedRequest, connectionStorm, operatorActs},
		FlushDrawn: true,
	},
	calmCluster,
	leaderCrash,
	rollingRestart,
	minorityPartition,
	bridgePartition,
	oneWayPartition,
	planePartition,
	controllerFailover,
	isrFlap,
	lagMaxMessages,
	rackPowerLoss,
	wholeClusterPowerLoss,
	restartStorm,
	lostDisk,
	lyingDisk,
	beyondBudget,
	lastReplicaStanding,
	allReplicasDown,
	uncleanElection,
	zombieLeaders,
	nearestReplica,
	recreateTopic,
	clusterRetention,
	clusterCompaction,
	hostileCluster,
	reassignUnderFire,
	growAndShrink,
	mistakes,
	anyCluster,
	everyCluster,
	rebalanceStorm,
	zombieMember,
	coordinatorFailover,
	staticBounce,
	lagPastRetention,
	commitRace,
	topicGrows,
	mixedProtocols,
	protocolMigration,
	poisonRecord,
}

// Names returns the names of all scenarios.
func Names() []string {
	var names []string
	for _, s := range registry {
		names = append(names, s.Name)
	}
	return names
}

// Find returns the scenario of that name, or nil.
func Find(name string) *Scenario {
	for _, s := range registry {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// faulty reports whether the scenario is about faults at all.
func (s *Scenario) faulty() bool { return len(s.Always)+len(s.Sometimes) > 0 }

// drawFamilies draws which families a seed has. A fault that is always present
// hides the bugs that need a quiet system.
func (s *Scenario) drawFamilies(r *rand.Rand) []Family {
	in := slices.Clone(s.Always)
	if len(s.OneOf) > 0 {
		in = append(in, s.OneOf[r.IntN(len(s.OneOf))])
	}
	rest := slices.Clone(s.Sometimes)
	r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	most := len(in) + len(rest)
	if s.AtMost > 0 {
		most = s.AtLeast + r.IntN(s.AtMost-s.AtLeast+1)
	}
	for _, f := range rest {
		if slices.Contains(in, f) || len(in) >= most {
			continue
		}
		if len(in) < s.AtLeast || r.IntN(2) == 0 {
			in = append(in, f)
		}
	}
	slices.Sort(in)
	return in
}
