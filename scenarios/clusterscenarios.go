package scenarios

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// The scenarios about clusters that lose brokers and controllers.

// asDrawn takes what is drawn for every cluster.
func asDrawn(*Cluster, *rand.Rand) {}

// safeCluster is what most of these scenarios are about: three replicas, of which
// two acknowledge.
func safeCluster(c *Cluster, r *rand.Rand) {
	c.Replicas, c.MinISR = 3, 2
	if c.Brokers > 3 && r.IntN(2) == 0 {
		c.Replicas = c.Brokers
		c.MinISR = 2 + r.IntN(2)
	}
}

// longAway keeps what has died away for longer than its session, most of the time.
func longAway(f *sim.Fault, r *rand.Rand) {
	if r.IntN(4) != 0 {
		f.For += time.Second + time.Duration(r.Int64N(int64(2*time.Second)))
	}
}

var calmCluster = &Scenario{
	Name:    "cluster",
	About:   "several brokers and no faults",
	Cluster: asDrawn,
}

var leaderCrash = &Scenario{
	Name:        "leader-crash",
	About:       "brokers die that lead, and others take over",
	Cluster:     safeCluster,
	Sometimes:   []Family{"crash", "power-loss", "graceful-stop", "task-stall", "slow-node", "client-crash"},
	OneOf:       []Family{"crash", "power-loss"},
	Must:        []Family{"crash", "power-loss"},
	Aims:        map[Family][]target{"crash": {theLeader}, "power-loss": {theLeader}},
	TuneProcess: longAway,
	FlushDrawn:  true,
	Reaches:     []string{"a broker was fenced, for its session ended"},
}

var rollingRestart = &Scenario{
	Name:      "rolling-restart",
	About:     "every node is stopped and started again, one after the other; leadership is handed over",
	Cluster:   safeCluster,
	Always:    []Family{"graceful-stop"},
	Must:      []Family{"graceful-stop"},
	Sometimes: []Family{"task-stall", "slow-node", "latency", "crash"},
	Aims:      map[Family][]target{"graceful-stop": {inTurn}},
	AtMost:    2,
	AtLeast:   1,
	Reaches:   []string{"a controller handed leadership over"},
}

var minorityPartition = &Scenario{
	Name:      "minority-partition",
	About:     "less than half of the nodes, and some clients with them, are cut off from the others",
	Cluster:   safeCluster,
	Always:    []Family{"split"},
	Must:      []Family{"split"},
	Sometimes: []Family{"crash", "pause", "latency", "reset", "client-crash"},
	TuneNet:   cutMinority,
	Reaches:   []string{"a broker was fenced, for its session ended"},
}

// cutMinority puts the smaller part of the nodes on one side of a split, for about
// as long as sessions last or longer.
func cutMinority(f *netsim.Fault, c cast, in netsim.Window, r *rand.Rand) {
	if f.Family != netsim.Split {
		return
	}
	nodes := shuffled(r, c.nodes)
	small := 1 + r.IntN((len(nodes)-1)/2)
	f.A, f.B = nodes[:small:small], slices.Clone(nodes[small:])
	for _, name := range c.clients {
		if r.IntN(3) == 0 {
			f.A = append(f.A, name)
		} else {
			f.B = append(f.B, name)
		}
	}
	lastAWhile(f, in, r)
}

// lastAWhile has a fault of the network last longer than most sessions.
func lastAWhile(f *netsim.Fault, in netsim.Window, r *rand.Rand) {
	f.At = in.Start.Add(time.Duration(r.Int64N(int64(in.End.Sub(in.Start) / 2))))
	f.For = time.Second + time.Duration(r.Int64N(int64(4*time.Second)))
}

func shuffled(r *rand.Rand, names []string) []string {
	out := slices.Clone(names)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

var bridgePartition = &Scenario{
	Name:      "bridge-partition",
	About:     "two halves of the nodes do not reach each other, and both reach one node",
	Cluster:   safeCluster,
	Always:    []Family{"bridge"},
	Must:      []Family{"bridge"},
	Sometimes: []Family{"crash", "pause", "latency", "reset", "client-crash"},
	TuneNet: func(f *netsim.Fault, c cast, in netsim.Window, r *rand.Rand) {
		if f.Family != netsim.Bridge {
			return
		}
		nodes := shuffled(r, c.nodes)
		f.Via, nodes = nodes[0], nodes[1:]
		half := len(nodes) / 2
		f.A, f.B = nodes[:half:half], slices.Clone(nodes[half:])
		for _, name := range c.clients {
			switch r.IntN(3) { // some reach everybody
			case 0:
				f.A = append(f.A, name)
			case 1:
				f.B = append(f.B, name)
			}
		}
		lastAWhile(f, in, r)
	},
	Reaches: []string{"a broker was fenced, for its session ended"},
}

var oneWayPartition = &Scenario{
	Name:      "one-way-partition",
	About:     "some nodes hear others that do not hear them",
	Cluster:   safeCluster,
	Always:    []Family{"one-way"},
	Must:      []Family{"one-way"},
	Sometimes: []Family{"crash", "pause", "latency", "reset", "client-crash"},
	TuneNet: func(f *netsim.Fault, c cast, in netsim.Window, r *rand.Rand) {
		if f.Family != netsim.OneWay {
			return
		}
		nodes := shuffled(r, c.nodes)
		cut := 1 + r.IntN(len(nodes)-1)
		f.A, f.B = nodes[:cut:cut], nodes[cut:]
		lastAWhile(f, in, r)
	},
}

var controllerFailover = &Scenario{
	Name:        "controller-failover",
	About:       "the active controller dies, hangs or is cut off, and another takes over, while brokers die too",
	Cluster:     safeCluster,
	Sometimes:   []Family{"pause", "power-loss", "crash", "isolate", "task-stall", "slow-node", "graceful-stop"},
	OneOf:       []Family{"crash", "power-loss", "pause"},
	Must:        []Family{"crash", "power-loss", "pause"},
	AtLeast:     1,
	AtMost:      4,
	Aims:        map[Family][]target{"crash": {theController, theController, theLeader}, "power-loss": {theController}, "pause": {theController}, "graceful-stop": {theController}},
	TuneProcess: longAway,
	Guests:      []Family{operatorActs},
	Reaches:     []string{"the active controller was looked for again"},
}

var isrFlap = &Scenario{
	Name:  "isr-flap",
	About: "followers are slow, fall behind, leave the in-sync set and come back",
	Cluster: func(c *Cluster, r *rand.Rand) {
		safeCluster(c, r)
		c.LagMax = pick(r, 200*time.Millisecond, 500*time.Millisecond)
		c.Session = max(c.Session, 2*time.Second)
	},
	Sometimes: []Family{"slow-node", "disk-slow", "disk-stall", "latency", "bandwidth", "slow-receiver", "clog", "pause", "crash"},
	OneOf:     []Family{"slow-node", "disk-stall", "pause", "clog", "latency"},
	AtLeast:   2,
	AtMost:    5,
	Aims:      map[Family][]target{"slow-node": {aFollower}, "pause": {aFollower, aFollower, theLeader}, "crash": {theLeader, aFollower}},
	Reaches:   []string{"a leader shrank its in-sync set", "a leader expanded its in-sync set"},
}

// lagMaxMessages is the scenario of a setting that Kafka had until 0.9 (KIP-16).
var lagMaxMessages = &Scenario{
	Name:  "lag-max-messages",
	About: "replica.lag.max.messages is set, and nothing is broken: with each burst of records healthy followers leave the in-sync set, and come back",
	Cluster: func(c *Cluster, r *rand.Rand) {
		safeCluster(c, r)
		c.LagMax, c.LagMost = 3*time.Second, pick(r, 1, 2, 4)
	},
	Needs:   []string{"a leader shrank its in-sync set"},
	Reaches: []string{"a leader shrank its in-sync set", "a leader expanded its in-sync set"},
}

var wholeClusterPowerLoss = &Scenario{
	Name:      "whole-cluster-power-loss",
	About:     "every machine loses power at once, and comes back in any order",
	Cluster:   safeCluster,
	Always:    []Family{"power-loss"},
	Must:      []Family{"power-loss"},
	Sometimes: []Family{"crash", "slow-node", "task-stall", "disk-slow"},
	Aims:      map[Family][]target{"power-loss": {everyNode}},
	Reaches:   []string{"a leader expanded its in-sync set"},
}

var allReplicasDown = &Scenario{
	Name:  "all-replicas-down",
	About: "every broker dies; the topic waits for one that was in sync, or takes the first that comes back",
	Cluster: func(c *Cluster, r *rand.Rand) {
		safeCluster(c, r)
		c.Unclean = r.IntN(2) == 0
	},
	Sometimes: []Family{"crash", "power-loss", "task-stall", "slow-node", "isolate"},
	OneOf:     []Family{"crash", "power-loss"},
	Must:      []Family{"crash", "power-loss"},
	Aims:      map[Family][]target{"crash": {theBrokers, inTurn}, "power-loss": {theBrokers}},
	AtLeast:   1,
	AtMost:    3,
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		f.For += time.Duration(r.Int64N(int64(2 * time.Second)))
	},
	Reaches: []string{"a broker was fenced, for its session ended"},
}

var uncleanElection = &Scenario{
	Name:  "unclean-election",
	About: "a replica that was not in sync is elected, as the topic allows; what is lost is the end of the log",
	Cluster: func(c *Cluster, r *rand.Rand) {
		c.Replicas, c.MinISR, c.Unclean = 3, pick(r, 1, 1, 2), true
		c.LagMax = 300 * time.Millisecond
	},
	Sometimes:   []Family{"isolate", "split", "pause", "crash", "power-loss", "disk-stall", "clog"},
	OneOf:       []Family{"crash", "power-loss"},
	Aims:        map[Family][]target{"crash": {theLeader, theOthers}, "power-loss": {theLeader}, "pause": {aFollower}},
	AtLeast:     2,
	AtMost:      5,
	TuneProcess: longAway,
}

var zombieLeaders = &Scenario{
	Name:      "pause",
	About:     "leaders and controllers hang for longer than their sessions, and go on as if nothing had been",
	Cluster:   safeCluster,
	Always:    []Family{"pause"},
	Must:      []Family{"pause"},
	Sometimes: []Family{"crash", "task-stall", "slow-node", "latency", "client-crash"},
	Aims:      map[Family][]target{"pause": {theLeader, theLeader, theController}},
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		if f.Kind == sim.FaultPause {
			f.For = 500*time.Millisecond + time.Duration(r.Int64N(int64(4*time.Second)))
		}
	},
	Reaches: []string{"an append waited when leadership moved"},
}

var recreateTopic = &Scenario{
	Name:      "recreate-topic",
	About:     "a topic is deleted and created again over and over, while brokers die and come back with what they had of it",
	Cluster:   safeCluster,
	Sometimes: []Family{"crash", "power-loss", "pause", "isolate", "latency", "reset", "graceful-stop"},
	OneOf:     []Family{"crash", "power-loss", "pause"},
	AtLeast:   1,
	AtMost:    4,
	Shape:     func(o *Options, _ *rand.Rand) { o.Habits.Recreate = true },
	Reaches:   []string{"a partition of a deleted topic was removed"},
}

var lostDisk = &Scenario{
	Name:      "lost-disk",
	About:     "a node comes back with an empty disk under its old number, cannot read a sector, or finds rot, and gets everything from the others",
	Cluster:   func(c *Cluster, r *rand.Rand) { safeCluster(c, r); c.Controllers, c.Voters = 3, 3 },
	Always:    []Family{"crash"},
	Sometimes: []Family{"disk-empty", "disk-bad-sector", "disk-rot", "power-loss", "pause", "task-stall", "disk-slow"},
	OneOf:     []Family{"disk-empty", "disk-empty", "disk-bad-sector", "disk-rot"},
	AtLeast:   2,
	AtMost:    4,
	Aims:      map[Family][]target{"crash": {theLoser, theLoser, theLeader}},
	// An empty disk shows at the next crash, whenever that is.
	Tune: func(f *disksim.Fault, r *rand.Rand) {
		if f.Kind == disksim.FaultEmpty {
			f.At, f.For, f.Times = kafka.Instant(warmUp)+(f.At-kafka.Instant(warmUp))/3, 0, 1
		}
	},
	LoserOneIn: 1,
	Extras:     []Family{Family(disksim.FaultMisread)},
	Reaches:    []string{"a log directory of an earlier start is missing", "a scrub came upon damage", "a replica that was not whole is fetched anew"},
}

var reassignUnderFire = &Scenario{
	Name:  "reassign-under-fire",
	About: "replicas are moved between brokers, throttled in every other seed, and that is taken back, while brokers die",
	Cluster: func(c *Cluster, r *rand.Rand) {
		safeCluster(c, r)
		c.Brokers, c.Replicas, c.MinISR = 5, 3, 2
		c.Throttle = pick[int64](r, 0, 0, 4000, 16_000)
	},
	Always:    []Family{replicaMoves},
	Sometimes: []Family{"crash", "power-loss", "pause", "isolate", "graceful-stop", "latency", "slow-node", "disk-slow"},
	OneOf:     []Family{"crash", "power-loss", "pause", "isolate"},
	AtLeast:   2,
	AtMost:    5,
	Reaches:   []string{"a replica was removed by a reassignment"},
}

// clusterFamilies are all families that a cluster survives.
func clusterFamilies() []Family {
	return slices.Concat(swarmed(), networkFamilies(), diskFamilies())
}

var everyCluster = &Scenario{
	Name:  "everything",
	About: "three brokers, three replicas of which two acknowledge, and all fault families, some of them in each seed",
	Cluster: func(c *Cluster, r *rand.Rand) {
		c.Brokers, c.Voters, c.Replicas, c.MinISR = 3, 3, 3, 2
		c.Session = pick(r, 600*time.Millisecond, time.Second)
		c.Beat = c.Session / 5
	},
	// Of everything there is a little: many seeds show more than long ones. Without
	// acks=all somewhere there would be nothing to lose.
	Shape: func(o *Options, r *rand.Rand) {
		o.Strict, o.Sends, o.Least = 1, 700+r.IntN(400), minSends
		o.Safety = time.Duration(5+r.IntN(4)) * time.Second
	},
	Sometimes: slices.Concat(clusterFamilies(), slices.Repeat([]Family{"split", "split", "isolate", "crash"}, 4)), // these more often than others
	OneOf:     []Family{"crash", "power-loss", "pause", "isolate", "split", "split"},
	AtLeast:   3,
	AtMost:    10,
	Aims: map[Family][]target{
		"crash":      {aNode, theAhead, theAhead, theController, someNodes, everyNode},
		"power-loss": {aNode, theAhead, theAhead, theController, someNodes, everyNode},
		"pause":      {aNode, theAhead, theAhead, theController, someNodes},
	},
	TuneNet:    cutLeader,
	Guests:     []Family{operatorActs, replicaMoves, nearestReads, groupsRead, topicCompaction},
	LoserOneIn: 6,
	FlushDrawn: true,
	Reaches:    []string{truncationProbe},
}

// cutLeader has most cuts of the network part a leader from the other nodes, with
// records that they do not have, until another leads; some clients stay with it.
func cutLeader(f *netsim.Fault, c cast, in netsim.Window, r *rand.Rand) {
	if f.Family != netsim.Isolate && f.Family != netsim.Split || r.IntN(4) == 0 {
		return
	}
	f.A, f.B = []string{theAhead}, nil
	if f.Family == netsim.Split {
		f.B = []string{theOtherNodes}
		for _, name := range c.clients {
			switch r.IntN(3) { // some reach both
			case 0:
				f.A = append(f.A, name)
			case 1:
				f.B = append(f.B, name)
			}
		}
	}
	f.At = in.Start.Add(time.Duration(r.Int64N(int64(in.End.Sub(in.Start) * 3 / 4))))
	f.For = c.options.Session + time.Duration(r.Int64N(int64(1500*time.Millisecond)))
}

var anyCluster = &Scenario{
	Name:       "any-cluster",
	About:      "a cluster of any size, with any number of replicas, and all fault families, some of them in each seed",
	Cluster:    asDrawn,
	Sometimes:  clusterFamilies(),
	OneOf:      []Family{"crash", "power-loss", "graceful-stop", "pause", "isolate", "split"},
	AtLeast:    3,
	AtMost:     10,
	Guests:     []Family{operatorActs, replicaMoves, nearestReads},
	LoserOneIn: 6,
	FlushDrawn: true,
	Reaches:    []string{truncationProbe},
}
