package scenarios

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
)

// A leader that is ahead of its followers is who makes them part: what it has and they
// do not is cut off when another is elected, and must not have been acknowledged.

// A lead says which records of a leader count.
type lead func(broker.View) kafka.Offset

// Who dies keeps what it held; who is cut off or hangs, all.
func heldEnd(v broker.View) kafka.Offset { return v.Held }
func logEnd(v broker.View) kafka.Offset  { return v.LogEnd }

// leadAgainst returns what a fault of processes leaves of a leader's log.
func leadAgainst(f Family) lead {
	if deadly(f) {
		return heldEnd
	}
	return logEnd
}

// ahead returns a broker that leads a partition and has records of it that no follower
// in sync has; once a fault has waited for a while, whoever leads a given one. Nil if
// there is nobody, or nobody who could be elected instead.
func (r *run) ahead(end lead, since kafka.Instant, other kafka.TopicPartition) *brokerHost {
	if !r.quorumWell() {
		return nil
	}
	for i := range r.options.Partitions {
		if b, ahead := r.lead(r.partition(int64(i)), end); b != nil && ahead {
			return b
		}
	}
	if r.k.Now() < since.Add(aheadWait) {
		return nil
	}
	b, _ := r.lead(other, end)
	return b
}

// lead returns who leads a partition, and whether it has records that no follower in
// sync has. Nil if no follower in sync is well.
func (r *run) lead(tp kafka.TopicPartition, end lead) (b *brokerHost, ahead bool) {
	s, _ := r.newestState(tp)
	if b = r.brokerWith(s.Leader); b == nil || !b.well() {
		return nil, false
	}
	t, ok := b.running.Image().Topic(tp.Topic)
	if !ok {
		return nil, false
	}
	first, _ := r.viewOf(s.Leader, t.ID, tp)
	followers := 0
	ahead = true
	for _, id := range s.ISR {
		if v, ok := r.viewOf(id, t.ID, tp); ok && id != s.Leader && r.brokerWith(id).well() {
			followers++
			ahead = ahead && v.LogEnd < end(first)
		}
	}
	if followers == 0 {
		return nil, false
	}
	return b, ahead
}

// aimed replaces the words for hosts of a fault of the network by who is meant now,
// and reports whether there is somebody. With two leaders cut off at once nobody would
// be left to elect a third: one cut waits for the end of the other.
func (r *run) aimed(f netsim.Fault) (netsim.Fault, bool) {
	if slices.Contains(f.A, theWisher) || slices.Contains(f.A, theJoining) {
		return r.aimedAtJoining(f)
	}
	at := slices.Index(f.A, theAhead)
	if at < 0 {
		return f, true
	}
	if r.k.Now() < r.cutUntil {
		return f, false
	}
	b := r.ahead(logEnd, max(f.At, r.cutUntil), r.partition(0))
	if b == nil {
		return f, false
	}
	r.cutUntil = r.k.Now().Add(f.For)
	f.A = slices.Clone(f.A)
	f.A[at] = b.seat.name
	if i := slices.Index(f.B, theOtherNodes); i >= 0 {
		f.B = slices.Delete(slices.Clone(f.B), i, i+1)
		for _, other := range r.nodes {
			if other != b {
				f.B = append(f.B, other.seat.name)
			}
		}
	}
	r.mark(history.Fault, "", f.String())
	return f, true
}

// A joining is a follower that its leader has asked to be let into the in-sync set, and
// of which the leader does not know what became.
type joining struct {
	leader, follower kafka.NodeID
	epoch            int32         // of the partition
	since            kafka.Instant // it was first seen
}

// longJoining is how long a follower is joining if something is in the way.
const longJoining = 20 * time.Millisecond

// joining returns a leader and a follower that has been joining for so long; nil if
// there is none.
func (r *run) joining(least time.Duration) (leader, follower *brokerHost) {
	for i := range r.options.Partitions {
		j, ok := r.joiningOf(r.partition(int64(i)))
		if last := r.joins[i]; last.leader == j.leader && last.follower == j.follower && last.epoch == j.epoch {
			j.since = last.since
		}
		r.joins[i] = j
		if ok && leader == nil && r.k.Now().Sub(j.since) >= least {
			leader, follower = r.brokerWith(j.leader), r.brokerWith(j.follower)
		}
	}
	return leader, follower
}

// joiningOf looks at one partition.
func (r *run) joiningOf(tp kafka.TopicPartition) (joining, bool) {
	s, _ := r.newestState(tp)
	b := r.brokerWith(s.Leader)
	if b == nil || !b.well() {
		return joining{}, false
	}
	v, ok := b.running.Partition(tp)
	if !ok || !leads(v) || v.LeaderEpoch != s.LeaderEpoch {
		return joining{}, false
	}
	for _, id := range v.ISR {
		if other := r.brokerWith(id); !has(s.ISR, id) && other != nil && other.well() {
			return joining{leader: s.Leader, follower: id, epoch: s.Epoch, since: r.k.Now()}, true
		}
	}
	return joining{}, false
}

// wisher returns a leader that will ask for a larger in-sync set soon: a follower lives
// and has not got everything; nil if there is none.
func (r *run) wisher() *brokerHost {
	for i := range r.options.Partitions {
		s, _ := r.newestState(r.partition(int64(i)))
		b := r.brokerWith(s.Leader)
		if b == nil || !b.well() {
			continue
		}
		for _, id := range s.Replicas {
			at, known := b.running.Image().Broker(id)
			if !has(s.ISR, id) && known && !at.Fenced && r.brokerWith(id).running != nil {
				return b
			}
		}
	}
	return nil
}

// aimedAtJoining replaces the words for who joins an in-sync set and for who lets it in,
// and reports whether there is somebody. Nothing else stands on their side of a cut.
func (r *run) aimedAtJoining(f netsim.Fault) (netsim.Fault, bool) {
	switch f.A[0] {
	case theWisher:
		b := r.wisher()
		if b == nil {
			return f, false
		}
		f.A = []string{b.seat.name}
	case theJoining:
		leader, follower := r.joining(longJoining)
		if follower == nil {
			return f, false
		}
		f.A, f.B = []string{follower.seat.name}, []string{leader.seat.name}
	}
	r.mark(history.Fault, "", f.String())
	return f, true
}
