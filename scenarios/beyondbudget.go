package scenarios

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

// beyondBudget is the scenario without a budget: what destroys strikes whom it likes.
var beyondBudget = &Scenario{
	Name:  "beyond-budget",
	About: "disks of any nodes of a cluster lose, garble and forget what they had, lie and are old ones, controllers' too; what is there in the end is right",
	Cluster: func(c *Cluster, r *rand.Rand) {
		c.Brokers, c.Replicas, c.MinISR = 3, 3, 2
		c.Voters = 3
	},
	Shape:      func(o *Options, _ *rand.Rand) { o.Unrestricted = true },
	Always:     []Family{"crash"},
	Sometimes:  []Family{"power-loss", "graceful-stop", "pause", "task-stall", "disk-slow", "isolate", "client-crash"},
	OneOf:      []Family{"disk-empty", "disk-old", "disk-sync-lies", "disk-lost-write", "disk-rot"}, // these hardly miss
	AtLeast:    2,
	AtMost:     6,
	Destroying: destroyingFamilies(),
	Must:       destroyingFamilies(),
	// Whoever never acknowledged anything has nothing to lose.
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		longAway(f, r)
		f.At = f.At/2 + kafka.Instant(1500*time.Millisecond)
	},
	Tune: func(f *disksim.Fault, r *rand.Rand) {
		switch f.Kind {
		case disksim.FaultOld, disksim.FaultEmpty: // they show at the next crash, whenever that is
			f.At, f.For, f.Times = kafka.Instant(warmUp)+(f.At-kafka.Instant(warmUp))/3, 0, 1
		default:
			f.Path = pick(r, "*", "*", topicName+"-*", topicName+"-*", "*.log", "*metadata*")
			f.Times = pick[int64](r, f.Times, f.Times, 1+r.Int64N(20), 0)
		}
	},
}

// What is demanded of such a run (docs/GUARANTEES.md): always what no loss excuses; and
// everything until the first disk was hurt, and of what controllers decide until a
// voter's was.

// noteHurt notes what a destroying fault has done to a node of an unrestricted run.
func (w *clusterWatch) noteHurt(h *watchedHost) {
	if !w.r.drawn.Unrestricted || !h.struck(disksim.FaultKind.Destroys) {
		return
	}
	if w.r.hurtAt == 0 {
		w.r.hurtAt = w.r.k.Now()
	}
	if h.hurtVotes() {
		w.lawless = true
	}
}

// hurtVotes reports whether the node is a voter, and its disk was hurt in anything but
// the logs of the workload's topic.
func (b *brokerHost) hurtVotes() bool {
	if !b.seat.isVoter() {
		return false
	}
	if b.struck(func(k disksim.FaultKind) bool { return k == disksim.FaultEmpty || k == disksim.FaultOld }) {
		return true
	}
	hurts := b.disk.Damages()
	for ; b.hurtsSeen < len(hurts) && !b.votesHurt; b.hurtsSeen++ {
		b.votesHurt = !strings.HasPrefix(hurts[b.hurtsSeen].Path, topicName+"-")
	}
	return b.votesHurt
}

// ofOneNode are the guarantees about a cluster that hold of each node by itself, whatever
// its controllers have forgotten.
var ofOneNode = []string{offsetsDense, throttleHolds}

// judgeUnhurt holds an unrestricted cluster to everything until the first of its disks was hurt.
func (r *run) judgeUnhurt(res *Result) {
	if !r.drawn.Unrestricted || r.hurtAt == 0 {
		return
	}
	d := r.demands()
	d.Unrestricted = false
	report := checker.Judge(r.history.History().Until(history.Instant(r.hurtAt)), d)
	for _, v := range report.Violations() {
		res.Violations = append(res.Violations, Violation{string(v.Guarantee), "before any disk was hurt: " + v.Sentence, nil})
	}
}

// openlyUnconverged says what is neither as it should be nor openly lost in an unrestricted
// run, or "". Whose disk was hurt may refuse to start, and to serve a replica, if it says
// why; with most of the voters hurt there may be no controller. All else has to be as ever.
func (r *run) openlyUnconverged() string {
	var at *brokerHost
	hurt, voters := 0, 0
	for _, b := range r.nodes {
		if b.seat.isVoter() {
			voters++
		}
		if b.hurtVotes() {
			hurt++
		}
	}
	if 2*hurt >= voters {
		return ""
	}
	for _, b := range r.nodes {
		switch {
		case b.running == nil && !b.absent && (b.lastExit == nil || !b.diskDestroyed()):
			return b.pending()
		case b.running != nil && b.seat.isBroker() && at == nil:
			at = b
		}
	}
	if at == nil {
		return ""
	}
	for _, t := range at.running.Image().Topics() {
		for i := range t.Partitions {
			if r.isOpenlyLost(t, int32(i)) {
				continue
			}
			if why := r.apart(t, int32(i)); why != "" {
				return why
			}
		}
	}
	return r.unscrubbed()
}

// isOpenlyLost reports whether clients or operators are told of a partition that some of
// it is not there: it is given up, or a node with a replica does not start, or says that
// its replica is out of service.
func (r *run) isOpenlyLost(t *meta.Topic, partition int32) bool {
	if t.Name == topicName && r.givenUp(partition) {
		return true
	}
	tp := kafka.TopicPartition{Topic: t.Name, Partition: partition}
	return slices.ContainsFunc(t.Partitions[partition].Replicas, func(id kafka.NodeID) bool {
		b := r.brokerWith(id)
		if b == nil || b.running == nil {
			return true
		}
		v, ok := b.running.Partition(tp)
		return ok && v.Broken != nil
	})
}
