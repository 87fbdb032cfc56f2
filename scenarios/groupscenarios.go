package scenarios

import (
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/sim"
)

// The scenarios about groups.

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
	Reaches: []string{"a member was fenced by its group"},
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

// judgeDelivery has the groups judged by what their output holds in the end.
func (r *run) judgeDelivery(res *Result) {
	if len(r.groups) == 0 {
		return
	}
	for _, g := range groupGuarantees {
		res.Judged = append(res.Judged, g.Name)
	}
	h := &delivery.History{Records: r.remaining}
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
	for _, v := range report.Violations {
		res.Violations = append(res.Violations, Violation{string(v.Guarantee), v.Sentence, v.Events})
	}
	if report.Repeated > 0 {
		r.admin.world.Probe("a group processed a record again")
	}
	if report.Missed > 0 {
		r.admin.world.Probe("a group missed a record")
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
