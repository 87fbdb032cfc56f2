package scenarios

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
)

// Movements is what changed in a cluster during a run. A campaign in which one of
// them is zero has not tested what it is about.
type Movements struct {
	Elections         int `json:"elections"`          // changes of the leader epochs of the workload's partitions
	ISRChanges        int `json:"isr_changes"`        // other changes of their states: in-sync sets, replicas
	Truncations       int `json:"truncations"`        // of followers, to a diverging epoch
	ControllerChanges int `json:"controller_changes"` // times that another node was the active controller

	// Times that a partition had no acting leader, though it could have had one:
	// most controllers and a replica of the in-sync set were well.
	LeaderlessNanos []int64 `json:"leaderless_ns"`
}

// movementPause is how often a run looks who leads, and so how precise times
// without a leader are.
const movementPause = 10 * time.Millisecond

// A watch over who leads.
type leaderWatch struct {
	r          *run
	controller string
	changes    int
	absences   []absence                     // by partition
	alive      map[*brokerHost]kafka.Instant // when it was last seen to be well
	gaps       []int64
}

// An absence is a time in which a partition has no leader though it could have one.
type absence struct {
	since kafka.Instant // negative: it has one, or could not have one

	// died is when somebody did last whom the controllers wanted to lead, then or
	// later: an election may choose who is dead already, and nobody can know before its
	// session ends.
	died kafka.Instant
}

// present is the absence of a leader that is not.
var present = absence{since: -1, died: -1}

func (r *run) newLeaderWatch() *leaderWatch {
	w := &leaderWatch{r: r, absences: make([]absence, r.options.Partitions), alive: map[*brokerHost]kafka.Instant{}}
	for i := range w.absences {
		w.absences[i] = present
	}
	return w
}

// start looks from now on until the run ends.
func (w *leaderWatch) start() {
	w.look()
	w.r.k.After(movementPause, w.start)
}

func (w *leaderWatch) look() {
	if c := w.r.controller(); c != nil && c.seat.name != w.controller {
		if w.controller != "" {
			w.changes++
		}
		w.controller = c.seat.name
	}
	now := w.r.k.Now()
	for _, b := range w.r.brokers {
		if b.well() {
			w.alive[b] = now
		}
	}
	for i := range w.absences {
		tp := w.r.partition(int64(i))
		was := w.absences[i]
		w.absences[i] = was.next(now, w.r.leaderMissing(tp), w.leaderDied(tp))
		if was.since >= 0 && w.absences[i] == present {
			w.gaps = append(w.gaps, int64(now.Sub(was.since)))
			w.judgePrompt(tp, was)
		}
	}
}

// next returns what becomes of an absence when somebody looks. died is when the one
// did whom the controllers want to lead; negative if he lives.
func (a absence) next(now kafka.Instant, missing bool, died kafka.Instant) absence {
	switch {
	case !missing:
		return present
	case a.since < 0:
		return absence{since: now, died: died}
	}
	return absence{since: a.since, died: max(a.died, died)}
}

// promised returns from when on it is promised that an absence ends soon.
func (a absence) promised() kafka.Instant { return max(a.since, a.died) }

// leaderDied returns when the broker was last well that the controllers want to lead a
// partition; negative if it is, or there is none.
func (w *leaderWatch) leaderDied(tp kafka.TopicPartition) kafka.Instant {
	if s, ok := w.r.newestState(tp); ok {
		if b := w.r.brokerWith(s.Leader); b != nil && !b.well() {
			return w.alive[b]
		}
	}
	return -1
}

// leaderMissing reports whether nobody acts as leader of a partition though
// somebody could.
func (r *run) leaderMissing(tp kafka.TopicPartition) bool {
	s, ok := r.newestState(tp)
	if !ok || !r.quorumWell() {
		return false
	}
	if b := r.brokerWith(s.Leader); b != nil && b.well() && b.leads(tp, s.LeaderEpoch) {
		return false
	}
	return slices.ContainsFunc(s.ISR, func(id kafka.NodeID) bool {
		b := r.brokerWith(id)
		return b != nil && b.well()
	})
}

// leads reports whether a running broker acts as leader in an epoch.
func (b *brokerHost) leads(tp kafka.TopicPartition, epoch kafka.LeaderEpoch) bool {
	v, ok := b.running.Partition(tp)
	return ok && v.Role == broker.Leading && v.LeaderEpoch == epoch
}

// well reports whether a node runs, and is not held.
func (b *brokerHost) well() bool {
	return b.running != nil && !b.stopping && !b.node.Paused()
}

// quorumWell reports whether most of the controllers are well.
func (r *run) quorumWell() bool {
	e := r.electorate()
	for _, ids := range [][]kafka.NodeID{e.Voters, e.Outgoing} {
		well := 0
		for _, b := range r.nodes {
			if slices.Contains(ids, kafka.NodeID(b.seat.id)) && b.well() {
				well++
			}
		}
		if len(ids) > 0 && well <= len(ids)/2 {
			return false
		}
	}
	return true
}

// electorate returns who decides for the controllers, as far as is known.
func (r *run) electorate() electorate {
	if w := r.observer.cluster; w != nil && len(w.quorum.electorate.Voters) > 0 {
		return w.quorum.electorate
	}
	var first electorate
	for _, b := range r.nodes {
		if b.seat.isVoter() && !b.seat.late {
			first.Voters = append(first.Voters, kafka.NodeID(b.seat.id))
		}
	}
	return first
}

// movements sums up what has changed.
func (r *run) movements() *Movements {
	if !r.options.clustered() {
		return nil
	}
	m := &Movements{ControllerChanges: r.leaders.changes, LeaderlessNanos: r.leaders.gaps}
	for _, p := range r.k.Probes() {
		if p.Name == truncationProbe {
			m.Truncations = int(p.Times)
		}
	}
	for i := range r.options.Partitions {
		if s, ok := r.newestState(r.partition(int64(i))); ok {
			m.Elections += int(s.LeaderEpoch)
			m.ISRChanges += int(s.Epoch) - int(s.LeaderEpoch)
		}
	}
	return m
}

// truncationProbe is what a follower marks that cuts its log to where the leader's
// parts from it.
const truncationProbe = "a follower truncated to a diverging epoch"

// A MovementSummary is what moved in the runs of a scenario: of each count the
// median over the seeds, of the times without a leader the median and the longest.
type MovementSummary struct {
	Seeds             int   `json:"seeds"`
	Elections         int   `json:"elections"`
	ISRChanges        int   `json:"isr_changes"`
	Truncations       int   `json:"truncations"`
	ControllerChanges int   `json:"controller_changes"`
	LeaderlessNanos   int64 `json:"leaderless_ns"`
	LongestNanos      int64 `json:"leaderless_longest_ns"`
}

// SummaryOf sums up what moved in several runs, one at least.
func SummaryOf(all []*Movements) *MovementSummary {
	s := &MovementSummary{
		Seeds:             len(all),
		Elections:         medianOf(all, func(m *Movements) int { return m.Elections }),
		ISRChanges:        medianOf(all, func(m *Movements) int { return m.ISRChanges }),
		Truncations:       medianOf(all, func(m *Movements) int { return m.Truncations }),
		ControllerChanges: medianOf(all, func(m *Movements) int { return m.ControllerChanges }),
	}
	var gaps []int64
	for _, m := range all {
		gaps = append(gaps, m.LeaderlessNanos...)
	}
	if len(gaps) > 0 {
		slices.Sort(gaps)
		s.LeaderlessNanos, s.LongestNanos = gaps[len(gaps)/2], gaps[len(gaps)-1]
	}
	return s
}

func medianOf(all []*Movements, count func(*Movements) int) int {
	counts := make([]int, len(all))
	for i, m := range all {
		counts[i] = count(m)
	}
	slices.Sort(counts)
	return counts[len(counts)/2]
}
