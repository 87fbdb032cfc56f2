package scenarios

import (
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/sim"
)

// The scenarios about groups.

// What groups may do that process first, and that commit first: it must be seen
// somewhere, or their promises were not tried.
const (
	repeatedProbe = "a group processed a record again"
	missedProbe   = "a group missed a record"
)

var rebalanceStorm = &Scenario{
	Name:      "rebalance-storm",
	About:     "members of groups join, leave, crash and pause all the time",
	Cluster:   safeCluster,
	Grouping:  func(g *Grouping, r *rand.Rand) { g.Workers, g.Bounces = 2+r.IntN(3), pick(r, 10, 30, 100) },
	Sometimes: []Family{"client-crash", "pause", "crash", "latency", "reset", "slow-node", "task-stall"},
	OneOf:     []Family{"client-crash"},
	AtLeast:   1,
	AtMost:    4,
	Reaches:   []string{"a member of a classic group assigned partitions"},
}

var zombieMember = &Scenario{
	Name:    "zombie-member",
	About:   "members hang for longer than their session, others take over, and they go on as if nothing had been",
	Cluster: safeCluster,
	Grouping: func(g *Grouping, r *rand.Rand) {
		g.Workers, g.MemberSession, g.Static = 2+r.IntN(3), 600*time.Millisecond, r.IntN(3) == 0
		g.MemberBeat = g.MemberSession / 5
	},
	Always:    []Family{"pause"},
	Sometimes: []Family{"client-crash", "crash", "latency", "isolate", "split"},
	Aims:      map[Family][]target{"pause": {aWorker}},
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		f.For = 500*time.Millisecond + time.Duration(r.Int64N(int64(3*time.Second)))
	},
	Must:    []Family{"pause"},
	Reaches: []string{"a member was fenced by its group", repeatedProbe},
}

var coordinatorFailover = &Scenario{
	Name:        "coordinator-failover",
	About:       "brokers die that coordinate groups, and others load what they knew",
	Cluster:     safeCluster,
	Grouping:    func(g *Grouping, r *rand.Rand) { g.Workers = 1 + r.IntN(3) },
	Sometimes:   []Family{"crash", "power-loss", "graceful-stop", "client-crash", "isolate", "task-stall", "slow-node"},
	OneOf:       []Family{"crash", "power-loss"},
	Must:        []Family{"crash", "power-loss"},
	Aims:        map[Family][]target{"crash": {theLeader}, "power-loss": {theLeader}},
	TuneProcess: longAway,
	Reaches:     []string{"a broker was fenced, for its session ended", "a coordinator read a log with a gap"},
}

var staticBounce = &Scenario{
	Name:    "static-bounce",
	About:   "static members die and come back, and leave for a while, under the same instance id",
	Cluster: safeCluster,
	Grouping: func(g *Grouping, r *rand.Rand) {
		g.Static, g.Workers, g.Bounces = true, 2+r.IntN(3), pick(r, 10, 30, 100)
		g.MemberSession = pick(r, time.Second, 3*time.Second)
		g.MemberBeat = g.MemberSession / 5
	},
	Always:    []Family{"client-crash"},
	Sometimes: []Family{"pause", "crash", "latency", "isolate", "slow-node", "task-stall"},
	AtLeast:   1,
	AtMost:    4,
	Aims:      map[Family][]target{"pause": {aWorker}},
	Reaches:   []string{"a coordinator read a log with a gap"},
}

var lagPastRetention = &Scenario{
	Name:    "lag-past-retention",
	About:   "groups fall behind, and what they had not read is deleted: they go on with what is left",
	Cluster: safeCluster,
	Grouping: func(g *Grouping, r *rand.Rand) {
		g.Workers, g.MemberSession = 1+r.IntN(2), time.Second
		g.MemberBeat = g.MemberSession / 5
	},
	Shape: func(o *Options, r *rand.Rand) {
		o.RetentionBytes = 1<<10 + r.Int64N(7<<10)
		o.SegmentBytes, o.CheckInterval = int64(1<<9)<<r.IntN(3), pick(r, 100*time.Millisecond, 300*time.Millisecond)
	},
	Always:    []Family{"pause"},
	Sometimes: []Family{"client-crash", "crash", "latency", "bandwidth", "slow-node"},
	AtLeast:   2,
	AtMost:    4,
	Aims:      map[Family][]target{"pause": {aWorker}},
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		f.For = time.Second + time.Duration(r.Int64N(int64(4*time.Second)))
	},
	Reaches: []string{"a consumer's position was reset"},
}

var commitRace = &Scenario{
	Name:    "commit-race",
	About:   "members commit while the group changes its members, and coordinators take their time to write both down",
	Cluster: safeCluster,
	Grouping: func(g *Grouping, r *rand.Rand) {
		g.Workers, g.Bounces, g.InitialDelay, g.Coordinators = 2+r.IntN(3), pick(r, 5, 10, 20), 0, 1
		g.MemberSession = 600 * time.Millisecond
		g.MemberBeat = g.MemberSession / 5
	},
	Sometimes: []Family{"disk-slow", "disk-stall", "slow-node", "latency", "pause", "clog", "crash", "client-crash"},
	OneOf:     []Family{"disk-slow", "disk-stall", "slow-node"},
	AtLeast:   1,
	AtMost:    4,
	Aims:      map[Family][]target{"pause": {aWorker}},
	Reaches:   []string{"a commit of a member that the group has gone on without was refused"},
}

var topicGrows = &Scenario{
	Name:    "topic-grows",
	About:   "topics get partitions, and topics come that a pattern matches: groups read them from the start",
	Cluster: safeCluster,
	Grouping: func(g *Grouping, r *rand.Rand) {
		g.Workers, g.Grows, g.Pattern = 1+r.IntN(4), true, r.IntN(2) == 0
	},
	Sometimes: []Family{"client-crash", "crash", "pause", "latency", "isolate", "graceful-stop", "slow-node"},
	OneOf:     []Family{"client-crash", "crash", "pause", "graceful-stop", "slow-node"},
	AtLeast:   1,
	AtMost:    4,
	Reaches:   []string{"a coordinator read a log with a gap"},
}

var mixedProtocols = &Scenario{
	Name:      "mixed-protocols",
	About:     "groups of both protocols side by side, with the same coordinators",
	Cluster:   safeCluster,
	Grouping:  func(g *Grouping, r *rand.Rand) { g.Workers, g.Mixed, g.Coordinators = 1+r.IntN(3), true, 1+r.IntN(2) },
	Sometimes: []Family{"client-crash", "pause", "crash", "power-loss", "latency", "isolate", "task-stall"},
	OneOf:     []Family{"crash", "client-crash", "pause"},
	AtLeast:   1,
	AtMost:    4,
	Reaches:   []string{"a member of a classic group assigned partitions", "a coordinator read a log with a gap"},
}

var protocolMigration = &Scenario{
	Name:    "protocol-migration",
	About:   "members of one group come back under the other protocol, and the group changes its own with members in it, both ways",
	Cluster: safeCluster,
	Grouping: func(g *Grouping, r *rand.Rand) {
		g.Workers, g.Migrates, g.Bounces = 2+r.IntN(3), true, pick(r, 3, 5, 10)
		g.Groups = g.Groups[:1+r.IntN(2)]
	},
	Sometimes: []Family{"client-crash", "pause", "crash", "power-loss", "latency", "isolate", "task-stall", "slow-node"},
	OneOf:     []Family{"crash", "power-loss"},
	AtLeast:   1,
	AtMost:    4,
	Reaches:   []string{"a classic group became one of the consumer protocol", "a group of the consumer protocol became a classic one"},
}

var poisonRecord = &Scenario{
	Name:    "poison-record",
	About:   "records kill who processes them, or cannot be processed, until somebody has seen to it",
	Cluster: safeCluster,
	Grouping: func(g *Grouping, r *rand.Rand) {
		g.Workers, g.Poison = 1+r.IntN(3), pick(r, 50, 150, 300)
		g.MemberSession = pick(r, 600*time.Millisecond, time.Second)
		g.MemberBeat = g.MemberSession / 5
	},
	Sometimes: []Family{"client-crash", "crash", "pause", "latency", "slow-node"},
	OneOf:     []Family{"client-crash", "crash", "pause", "slow-node"},
	AtLeast:   1,
	AtMost:    3,
	Reaches:   []string{"a member was fenced by its group", repeatedProbe, missedProbe},
}

// judgeDelivery has the groups judged by what their output holds in the end.
func (r *run) judgeDelivery(res *Result) {
	if len(r.groups) == 0 {
		return
	}
	for _, g := range groupGuarantees {
		res.Judged = append(res.Judged, g.Name)
	}
	h := &delivery.History{Records: r.remaining, Deletes: r.drawn.RetentionBytes > 0}
	for _, g := range r.groups {
		g.history.Outputs = r.sink.stored[g.name]
		h.Groups = append(h.Groups, g.history)
	}
	report := delivery.Judge(h)
	for _, g := range report.Judged {
		res.Judged = append(res.Judged, string(g))
	}
	if !r.admin.done {
		r.judgeProgress(res)
		return // who has not finished has not processed everything
	}
	res.Deliveries = r.deliveries(report.Counts)
	for _, v := range report.Violations {
		res.Violations = append(res.Violations, Violation{string(v.Guarantee), v.Sentence, v.Events})
	}
	if report.Repeated > 0 {
		r.admin.world.Probe(repeatedProbe)
	}
	if report.Missed > 0 {
		r.admin.world.Probe(missedProbe)
	}
	res.Probes = r.k.Probes()
}

// judgeProgress complains of groups that had their time after the heal, and have not
// become stable or not read to the end.
func (r *run) judgeProgress(res *Result) {
	if r.k.Now().Sub(r.healedAt) < livenessBound {
		return // somebody else ended the run
	}
	for _, w := range r.workers {
		if why := w.pending(); why != "" {
			res.Violations = append(res.Violations, Violation{Guarantee: groupProgress, Sentence: why})
			return
		}
	}
}
