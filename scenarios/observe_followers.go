package scenarios

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// lookAtFollowers compares what a leader counts of its followers with what they
// are. A follower that was counted wrongly may be right a round trip later: who
// looks then finds nothing.
func (o *clusterObserver) lookAtFollowers(w *window, s *subject) {
	if w.closeup == nil || o.promised.Loses || !s.exists {
		return
	}
	leader, ok := w.closeup(s.place)
	if !ok || leader.LeaderEpoch != s.decided.LeaderEpoch || leader.Epoch < s.decided.Epoch {
		return // it has yet to hear what was decided
	}
	for _, c := range leader.counted {
		o.checkCounted(s, &leader, w.id, c)
	}
}

// checkCounted: what a leader counts of a follower the follower holds, in its
// present life, and has said in the leader's epoch. Of a follower that has gone on to
// another epoch nothing is demanded: it may have been cut; nor of what its leader has deleted:
// who begins anew where the leader's log begins, and finds that to be in the middle of a batch,
// begins anew once more, with that batch (docs/bugs/0096.md). Where a disk rots, what a log
// holds proves nothing, but where it ends its broker knows: one that was begun anew must
// not count for what it had, once it is in the set that the leader acts on or asks for
// (docs/bugs/0043.md). Before, the leader relies on nothing of it, and is to begin another
// epoch when the log can be used again.
func (o *clusterObserver) checkCounted(s *subject, leader *closeup, id kafka.NodeID, c counted) {
	f := o.window(c.ID)
	b, registered := o.image.seat(c.ID)
	if c.Held == kafka.NoOffset || f == nil || !registered || b.Epoch != c.Epoch {
		return
	}
	v, ok := o.present(f, s)
	if !ok || v.LeaderEpoch > leader.LeaderEpoch || f.damaged && !has(leader.ISR, c.ID) {
		return
	}
	if known := max(v.LeaderEpoch, f.read[s.place].last.LeaderEpoch); known < leader.LeaderEpoch && !f.damaged {
		o.complain(countsTruly, "%s: leader %d of epoch %d counts records up to offset %d on %d, which knows of epoch %d only", s.partition, id, leader.LeaderEpoch, c.Held, c.ID, known)
		return
	}
	at := c.Held - 1
	switch {
	case v.LogEnd < c.Held && c.Held > leader.LogStart:
		o.complain(countsTruly, "%s: leader %d of epoch %d counts records up to offset %d on %d, whose log ends at %d", s.partition, id, leader.LeaderEpoch, c.Held, c.ID, v.LogEnd)
	case at < max(leader.LogStart, v.LogStart) || o.compacts(s) || f.damaged:
	case leader.epochAt(at) != v.epochAt(at):
		o.complain(countsTruly, "%s: leader %d of epoch %d counts records up to offset %d on %d, and what is there is of epoch %d, and of %d on %d",
			s.partition, id, leader.LeaderEpoch, at, c.ID, leader.epochAt(at), v.epochAt(at), c.ID)
	}
}

// checkMembers looks for what was exposed in the running in-sync replicas and eligible
// leader replicas, at the moment when it was, or when they joined. What lies on the
// disks is looked at later.
func (o *clusterObserver) checkMembers(s *subject) {
	if o.promised.Loses || !s.exists || s.exposed == 0 || s.decided.Epoch < s.exposedAt {
		return // the last: nobody that can be seen has applied what the leader was answered
	}
	at := s.exposed - 1
	for _, id := range slices.Concat(s.decided.ISR, s.decided.ELR) {
		w := o.window(id)
		if w == nil {
			continue
		}
		v, ok := o.member(w, s)
		switch {
		case !ok:
		case v.LogEnd < s.exposed:
			o.complain(committedDurable, "%s: records up to offset %d were exposed by %d, and the log of in-sync replica %d ends at %d", s.partition, s.exposed, s.exposedBy, id, v.LogEnd)
		case at < v.LogStart || o.compacts(s) || s.exposedIn == kafka.NoLeaderEpoch:
		case v.epochAt(at) != s.exposedIn:
			o.complain(committedDurable, "%s: offset %d of epoch %d was exposed by %d, and is of epoch %d on in-sync replica %d", s.partition, at, s.exposedIn, s.exposedBy, v.epochAt(at), id)
		}
	}
}

// member returns what one node has of a partition at this moment, if it runs with a
// replica of which anything is demanded.
func (o *clusterObserver) member(w *window, s *subject) (closeup, bool) {
	if w.damaged {
		return closeup{}, false
	}
	return o.present(w, s)
}

// present is member, with nodes of which the disk is not what it was.
func (o *clusterObserver) present(w *window, s *subject) (closeup, bool) {
	r := w.read[s.place]
	if _, lost := o.excused[w.id]; lost || w.closeup == nil || r == nil || r.dismissed {
		return closeup{}, false
	}
	v, ok := w.closeup(s.place)
	return v, ok && v.open()
}

// epochAt returns the leader epoch of a record of a node's log, kafka.NoLeaderEpoch if
// nobody knows.
func (w *window) epochAt(p place, at kafka.Offset) kafka.LeaderEpoch {
	if w.closeup != nil {
		if v, ok := w.closeup(p); ok && v.LogStart <= at && at < v.LogEnd {
			return v.epochAt(at)
		}
	}
	return kafka.NoLeaderEpoch
}

// subset reports whether all of some ids are among others.
func subset(ids, of []kafka.NodeID) bool {
	return !slices.ContainsFunc(ids, func(id kafka.NodeID) bool { return !has(of, id) })
}
