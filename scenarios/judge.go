package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// demands says what the run was promised: by its scenario and its seed, whatever
// was set by hand.
func (r *run) demands() checker.Demands {
	o := r.drawn
	d := checker.Demands{
		Flush: checker.Flush(o.Flush), Unrestricted: o.Unrestricted && (!o.clustered() || r.hurtAt > 0),
		Retention: o.RetentionBytes > 0 || o.RetentionTime > 0, Compaction: o.compacts(),
	}
	if o.compacts() && !slices.ContainsFunc(o.Families, func(f Family) bool { return slices.Contains(clockFamilies, f) }) {
		ahead := r.wallTime() - wallAt(0) - kafka.Timestamp(time.Duration(r.k.Now()).Milliseconds())
		d.WallZero = history.Timestamp(wallAt(0) + ahead + 1)
		d.DeleteRetention = max(0, o.DeleteRetention-time.Duration(ahead+1)*time.Millisecond)
		d.MinCompactionLag = o.MinLag
	}
	if slices.ContainsFunc(o.Families, losesPageCache) {
		d.PowerLoss = checker.AnyPowerLoss
		if o.Loser != "" {
			d.PowerLoss = checker.SurvivablePowerLoss
		}
	}
	// Who moves replicas gives a partition of one a second one, and that the lead.
	d.Leaders = o.Replicas > 1 || slices.Contains(o.Families, replicaMoves)
	d.Unclean, d.Marked = o.Unclean, o.clustered()
	d.Followers = r.options.Near > 0 // no promise: it says who was asked
	return d
}

// wallTime returns the latest time that a broker's clock shows.
func (r *run) wallTime() kafka.Timestamp {
	latest := r.brokers[0].node.WallTime()
	for _, b := range r.brokers[1:] {
		latest = max(latest, b.node.WallTime())
	}
	return latest
}

// wallAt returns what a clock that is right shows at an instant.
func wallAt(t kafka.Instant) kafka.Timestamp {
	return sim.WallStart + kafka.Timestamp(time.Duration(t).Milliseconds())
}

// losesPageCache reports whether a family takes away what was written and not
// synced: all that log.flush=os has of a record that it acknowledged. Losing
// power does, and so does a file system whose cache, after a sync that failed,
// shows the pages as they were before.
func losesPageCache(f Family) bool {
	return f == Family(sim.FaultPowerLoss) || f == Family(disksim.FaultSyncRevert)
}

// pageCacheLost reports whether that has happened.
func (r *run) pageCacheLost() bool {
	return slices.ContainsFunc(r.nodes, (*brokerHost).lostPageCache)
}

// unjudged gathers what is known of a run without a verdict.
func (r *run) unjudged() Result {
	counts := checker.CountOf(r.history.History())
	res := Result{
		Scenario: r.spec.Scenario, Seed: r.spec.Seed, Set: r.spec.Set,
		Chain: r.k.Chain(), VirtualNanos: int64(r.k.Now()),
		Operations: Operations{
			Total: r.history.History().Operations(), Acked: counts.Acked, Failed: counts.Failed, Unknown: counts.Unknown,
			Polls: counts.Polls, Records: counts.Records,
		},
		Options: r.options.lines(), Families: r.families(), Faults: r.faultsEffective(),
		Sizes: r.options.sizes(), Switches: r.options.switches(), SafetyNanos: int64(r.options.Safety),
		Probes: r.k.Probes(), Buggify: r.k.Buggified(), Movements: r.movements(),
	}
	if of := r.scenario.Case; of != nil {
		res.Case = of(&r.drawn, r.schedule)
	}
	for _, f := range r.schedule {
		res.Drawn = append(res.Drawn, f.String())
	}
	return res
}

// judge draws the conclusion. A broken promise outranks everything; then comes
// what never finished; and a run that tested nothing has held nothing.
func (r *run) judge(ending sim.Ending) *Outcome {
	o := &Outcome{Result: r.unjudged(), State: r.state(), Moments: r.k.Moments(), history: r.history.History(), demands: r.demands(), shown: map[string]history.OpID{}}
	res := &o.Result
	report := checker.Judge(r.history.History(), r.demands())
	for _, v := range report.Verdicts {
		if v.Status != checker.NotApplicable {
			res.Judged = append(res.Judged, string(v.Guarantee))
		}
	}
	res.Judged = append(res.Judged, r.observed()...)
	r.judgeDelivery(res)
	r.judgeOperators(o)
	r.judgeRot(res)
	r.judgeUnhurt(res)
	for _, v := range report.Violations() {
		var events []string
		for _, e := range v.Events {
			events, o.shown[e.Text] = append(events, e.Text), e.Op
		}
		res.Violations = append(res.Violations, Violation{string(v.Guarantee), v.Sentence, events})
	}
	if r.promisedDelivery() {
		res.Violations = append(res.Violations, r.undelivered...)
	}
	res.Violations = append(res.Violations, r.observer.violations...)
	// What was lost is what people ask about first.
	slices.SortStableFunc(res.Violations, func(a, b Violation) int { return rank(a) - rank(b) })
	switch {
	case len(res.Violations) > 0:
		res.Verdict, res.Reason = Violated, res.Violations[0].Sentence
	case ending == sim.Panicked:
		p := r.k.Panics()[0]
		res.Verdict, res.Reason = Crashed, p.String()
		res.Violations = []Violation{{Guarantee: "no-panic", Sentence: p.String(), Events: []string{p.Stack}}}
	case r.circles():
		res.Verdict, res.Pending = Stuck, r.pending()
		res.Reason = fmt.Sprintf("after %d steps, at %s: %s", r.observer.steps, r.k.Now(), first(res.Pending))
	case ending != sim.Finished:
		res.Verdict, res.Pending = Stuck, r.pending()
		res.Reason = fmt.Sprintf("after %s without faults: %s", r.k.Now().Sub(r.healedAt), first(res.Pending))
	default:
		res.Verdict, res.Reason = r.tested(report)
	}
	return o
}

// observed lists the guarantees that are judged of this run, besides those of the history.
func (r *run) observed() []string {
	out := []string{offsetsDense, recoversAcked, stateChecks, bounded, servesSound}
	if r.promisesPrompt() {
		out = append(out, leaderMoves)
	}
	if r.survivor != nil {
		out = append(out, survivorServes)
	}
	if r.options.clustered() {
		for _, g := range clusterGuarantees {
			out = append(out, g.Name)
		}
	} else {
		out = append(out, returnsToRest)
	}
	if r.drawn.RetentionBytes > 0 || r.drawn.RetentionTime > 0 {
		out = append(out, retentionKeeps)
	}
	if r.drawn.Near > 0 {
		out = append(out, followersWait)
	}
	if r.drawn.Hostiles > 0 {
		out = append(out, badInputRefused)
	}
	if len(r.raws) > 0 {
		out = append(out, answersInOrder)
	}
	if r.promisedDelivery() {
		out = append(out, delivers)
	}
	return out
}

func rank(v Violation) int {
	if v.Guarantee == string(checker.NoLostAck) {
		return 0
	}
	return 1
}

func first(lines []string) string {
	if len(lines) == 0 {
		return "nothing is pending, and the run did not end"
	}
	return lines[0]
}

// tested says whether a run without violations shows anything.
func (r *run) tested(report checker.Report) (Verdict, string) {
	switch {
	case report.Counts.Acked == 0:
		return Inconclusive, "nothing was acknowledged"
	case r.unfallen() != "":
		return Inconclusive, r.unfallen()
	case r.scenario.faulty() && len(r.faultsEffective()) == 0 && !r.lonely() && !r.leavesOut(r.options.Families):
		return Inconclusive, "no fault took effect"
	case len(r.scenario.Must) > 0 && !r.tookEffect(r.scenario.Must) && !r.lonely() && !r.leavesOut(r.scenario.Must):
		return Inconclusive, fmt.Sprintf("none of %v took effect", r.scenario.Must)
	case r.observer.looks == 0:
		return Inconclusive, "the broker was never looked at"
	}
	if needs := r.scenario.Needs; len(needs) > 0 && !r.recordsDeleted() && !slices.ContainsFunc(r.k.Probes(), func(c sim.Count) bool {
		return c.Times > 0 && slices.Contains(needs, c.Name)
	}) {
		return Inconclusive, fmt.Sprintf("never reached: %s", strings.Join(needs, ", "))
	}
	if open := r.ministry.open; len(open) > 0 {
		return Inconclusive, fmt.Sprintf("%s: %s", metadataLinearizable, open[0])
	}
	for _, v := range report.Verdicts {
		if v.Status == checker.Inconclusive {
			return Inconclusive, fmt.Sprintf("%s: %s", v.Guarantee, v.Reason)
		}
	}
	return Held, ""
}

// leavesOut reports whether somebody has written a schedule without faults of some
// families: then none of them is missing. A case that was shrunk may need none of those
// that its scenario is about.
func (r *run) leavesOut(families []Family) bool {
	return r.spec.Script != nil && !slices.ContainsFunc(r.schedule, func(f Fault) bool { return slices.Contains(families, f.Family) })
}

// tookEffect reports whether a fault of one of the families did.
func (r *run) tookEffect(families []Family) bool {
	return slices.ContainsFunc(r.faultsEffective(), func(c sim.Count) bool {
		return c.Times > 0 && slices.Contains(families, Family(c.Name))
	})
}

// faultsEffective counts, by family, the faults that took effect.
func (r *run) faultsEffective() []sim.Count {
	var out []sim.Count
	for family, n := range r.effects { //klamm:unordered sorted below
		out = append(out, sim.Count{Name: string(family), Times: n})
	}
	struck := map[disksim.FaultKind]uint64{}
	for _, b := range r.nodes {
		for _, c := range b.disk.Struck() {
			struck[c.Kind] += uint64(c.N)
		}
	}
	for kind, n := range struck { //klamm:unordered sorted below
		out = append(out, sim.Count{Name: string(kind), Times: n})
	}
	for _, e := range r.network.Effects() {
		if e.Effective > 0 {
			out = append(out, sim.Count{Name: e.Family.String(), Times: uint64(e.Effective)})
		}
	}
	slices.SortFunc(out, func(a, b sim.Count) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// state prints nodes and partitions as they are.
func (r *run) state() []string {
	out := []string{fmt.Sprintf("%s phase %s", r.k.Now(), r.phase)}
	for _, b := range r.nodes {
		out = append(out, b.state()...)
	}
	out = append(out, r.abandoned()...)
	if w := r.observer.cluster; w != nil && len(w.forgiven) > 0 {
		out = append(out, fmt.Sprintf("forgiven, for a voter's disk was hurt: %s", strings.Join(w.forgiven, ", ")))
	}
	return append(out, r.pending()...)
}

// promisedDelivery reports whether some producer was promised that each of its
// records is acknowledged in the end: it is idempotent, its time is longer than
// that of all faults, and brokers do not lose what they know of it.
func (r *run) promisedDelivery() bool {
	if r.drawn.Unrestricted || r.drawn.Unclean || r.drawn.Flush == "os" && r.pageCacheLost() || r.clocksApart() {
		return false
	}
	return slices.ContainsFunc(r.producers, (*producerClient).patient)
}

// clocksApart reports whether clocks may be so far apart that a broker refuses
// the timestamps of a producer.
func (r *run) clocksApart() bool {
	return r.drawn.AfterMax > 0 && r.clocksDiffer() > r.drawn.AfterMax/2
}

// clocksDiffer returns by how much the clocks of a run can differ at most.
func (r *run) clocksDiffer() (apart time.Duration) {
	for _, f := range r.schedule {
		switch {
		case f.Process == nil:
		case f.Family == Family(sim.FaultSkew), f.Family == Family(sim.FaultJump):
			apart += (time.Duration(f.Process.N) * time.Millisecond).Abs()
		case f.Family == Family(sim.FaultFreeze):
			apart += f.Process.For
		}
	}
	return apart
}

// letClocksDiffer has brokers accept any timestamp where clocks may differ by so much that
// they would refuse all of them: nothing would be acknowledged, and nothing judged. What
// brokers refuse is the scenario clock's.
func (r *run) letClocksDiffer() {
	if r.scenario != wrongClock && r.clocksDiffer() > r.drawn.AfterMax {
		r.drawn.AfterMax, r.options.AfterMax = 0, 0
	}
}
