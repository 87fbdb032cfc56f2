package scenarios

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// lookAtReplica compares one replica with what it was, and with what others are.
func (o *clusterObserver) lookAtReplica(w *window, v replicaView) {
	before, lived := w.lives[v.place]
	if v.Exposed.End > 0 {
		o.exposes(w, o.subject(v.place), v.Exposed)
	}
	if !v.open() {
		if lived {
			delete(w.lives, v.place)
		}
		return
	}
	if w.read[v.place] == nil {
		w.known = append(w.known, v.place)
		w.read[v.place] = &reading{}
	}
	if r := w.read[v.place]; r.dismissed && (!lived || v.LogEnd < before.LogEnd) {
		// The replica was removed, and this is another.
		r.dismissed, r.last, lived = false, replicaView{}, false
	}
	s := o.subject(v.place)
	if !lived {
		o.checkRecovered(w, s, v)
	}
	w.owners[v.partition] = v.topic
	checkDense(o, w, v)
	if lived {
		o.checkForward(w, s, before, v)
	}
	if v.Role == leadingReplica {
		o.lookAtLeader(w, s, v)
		if !lived || before.HighWatermark != v.HighWatermark || before.LeaderEpoch != v.LeaderEpoch || before.Epoch != v.Epoch {
			o.lookAtFollowers(w, s)
		}
	}
	w.lives[v.place] = v
	w.read[v.place].see(v)
	if len(s.partings) > 0 {
		o.settle(s)
	}
}

// checkDense: log start <= high watermark <= log end, and nothing is durable that
// is not there.
func checkDense(o *clusterObserver, w *window, v replicaView) {
	if v.LogStart < 0 || v.LogStart > v.HighWatermark || v.HighWatermark > v.LogEnd || v.Durable > v.LogEnd {
		o.complain(offsetsDense, "%s on %d: log start %d, high watermark %d, durable %d, log end %d",
			v.partition, w.id, v.LogStart, v.HighWatermark, v.Durable, v.LogEnd)
	}
}

// checkForward: epochs never go back, and a high watermark only where records are
// lost that may be.
func (o *clusterObserver) checkForward(w *window, s *subject, before, v replicaView) {
	if v.LeaderEpoch < before.LeaderEpoch {
		o.complain(epochsForward, "%s on %d: the leader epoch went back from %d to %d", v.partition, w.id, before.LeaderEpoch, v.LeaderEpoch)
	}
	excuse := o.promised.Loses || o.overruled(w, s) || w.damaged
	switch {
	case excuse || beganLower(before, v) || v.HighWatermark >= before.HighWatermark:
	case v.LogEnd < before.HighWatermark:
		o.complain(hwForward, "%s on %d: the log was cut to %d, below its high watermark %d", v.partition, w.id, v.LogEnd, before.HighWatermark)
	default:
		o.complain(hwForward, "%s on %d: the high watermark went back from %d to %d", v.partition, w.id, before.HighWatermark, v.HighWatermark)
	}
}

// beganLower reports whether a follower that had no record began with a batch that
// begins below its leader's log start, for that lies within it. Without a record its
// high watermark was where its log was to begin, and said nothing.
func beganLower(before, v replicaView) bool {
	return before.LogStart == before.LogEnd && v.LogStart < before.LogStart && v.Role != leadingReplica && before.Role != leadingReplica
}

// lookAtLeader notes what a leader exposes, and compares it with what was decided.
func (o *clusterObserver) lookAtLeader(w *window, s *subject, v replicaView) {
	o.leads(s, v.LeaderEpoch, w.id)
	if !has(v.ISR, w.id) {
		o.complain(leaderInISR, "%s: %d leads in epoch %d with the in-sync set %v", v.partition, w.id, v.LeaderEpoch, v.ISR)
	}
	o.exposes(w, s, exposure{v.HighWatermark, v.LeaderEpoch, v.Epoch})
	o.checkAgreed(s, w.id, v)
}

// exposes notes what a leader has exposed. It need not lead any more: a node that
// follows several entries of the metadata in one step may commit records with one of
// them, and resign with the next.
func (o *clusterObserver) exposes(w *window, s *subject, e exposure) {
	if e.End <= s.exposed || e.LeaderEpoch < s.since {
		return
	}
	o.leads(s, e.LeaderEpoch, w.id)
	s.exposed, s.exposedBy, s.exposedAt, s.exposedIn = e.End, w.id, e.Epoch, w.epochAt(s.place, e.End-1)
	o.checkMembers(s)
}

// leads notes who leads in an epoch: there is one, for ever.
func (o *clusterObserver) leads(s *subject, epoch kafka.LeaderEpoch, id kafka.NodeID) {
	other, known := s.leaders[epoch]
	if known && other != id {
		o.complain(oneLeaderPerEpoch, "%s: both %d and %d lead in epoch %d", s.partition, other, id, epoch)
		return
	}
	s.leaders[epoch] = id
}

// checkAgreed: the controllers' in-sync set is a subset of the one that its leader
// acts on.
func (o *clusterObserver) checkAgreed(s *subject, id kafka.NodeID, v replicaView) {
	d := &s.decided
	if !s.exists || d.Leader != id || d.LeaderEpoch != v.LeaderEpoch || d.Epoch < v.Epoch {
		return // the last: nobody that can be seen has applied what the leader was answered
	}
	for _, m := range d.ISR {
		if !has(v.ISR, m) {
			o.complain(isrAgreement, "%s: the controllers' in-sync set is %v in partition epoch %d, and leader %d acts on %v",
				s.partition, d.ISR, d.Epoch, id, v.ISR)
		}
	}
}

// overruled reports whether a leader was elected uncleanly, as is promised that it may be,
// since a replica was told how far records are committed: they may be cut off. That may be
// long after it has heard of the election, when its disk or its node stood still (docs/bugs/0097.md).
func (o *clusterObserver) overruled(w *window, s *subject) bool {
	return o.promised.Unclean && s.since > w.read[s.place].risen
}

// checkRecovered: what a node held in its last life, and knew to be committed, is
// there. More may have been cut off by the time that it is seen.
func (o *clusterObserver) checkRecovered(w *window, s *subject, v replicaView) {
	last := w.read[v.place].last
	if last.partition.Topic == "" || o.promised.Loses || o.isExcused(w) {
		return
	}
	if o.overruled(w, s) {
		return // it was elected uncleanly meanwhile, or follows who was
	}
	held := min(last.Durable, last.HighWatermark)
	if v.LogEnd < held {
		o.complain(recoversAcked, "%s on %d: held up to offset %d before, and ends at %d after recovery", v.partition, w.id, held, v.LogEnd)
	}
}

// applies notes that a node has applied the metadata log below an offset, and what
// its image is then.
func (o *clusterObserver) applies(id kafka.NodeID, at kafka.Offset, sum uint64, image func() imageView) {
	if known, ok := o.digests[at]; !ok {
		o.digests[at] = digest{sum, id}
	} else if known.sum != sum {
		o.complain(imageAgreement, "%d and %d have different images of the metadata up to offset %d", known.by, id, at)
	}
	w := o.window(id)
	if w != nil && at < w.applied {
		o.complain(epochsForward, "%d had applied the metadata up to offset %d, and goes back to %d", id, w.applied, at)
	}
	if at > o.imageAt {
		// A node can follow several entries in one step: who was alive when the first
		// was decided need not be when the last was.
		single := w != nil && w.applied == o.imageAt && at == o.imageAt+1
		o.decide(image(), single)
		o.imageAt = at
	}
	if w != nil {
		w.applied = at
	}
}

// decide takes the newest image for what is decided. Between it and the last one is
// a single entry of the log, or more.
func (o *clusterObserver) decide(m imageView, single bool) {
	o.checkSeats(m)
	for _, s := range o.order {
		s.exists = false
	}
	for _, d := range m.Partitions {
		s := o.subject(d.place)
		if s.decided.Replicas != nil {
			o.checkDecision(s, d)
		}
		if single {
			o.checkAdded(m, &s.decided, d)
		}
		if d.Leader != meta.NoLeader {
			o.leads(s, d.LeaderEpoch, d.Leader)
			if !has(d.ISR, d.Leader) {
				o.complain(leaderInISR, "%s: %d was elected, and the in-sync set is %v", d.partition, d.Leader, d.ISR)
			}
			o.changed(d.Leader)
		}
		o.checkElection(s, d)
		o.dismiss(d)
		joined := !subset(d.ISR, s.decided.ISR)
		s.decided, s.exists = d, true
		if joined {
			o.checkMembers(s)
		}
	}
	o.image = m
}

// dismiss notes who has no replica any more: one that they get again begins with
// nothing. They hear of it later, and have the old one until then.
func (o *clusterObserver) dismiss(d decision) {
	for _, w := range o.windows {
		if r := w.read[d.place]; r != nil && !has(d.Replicas, w.id) {
			r.dismissed = true
		}
	}
}

// checkSeats: broker epochs never go back. A node that has registered again answers
// for its copies again.
func (o *clusterObserver) checkSeats(m imageView) {
	for _, b := range m.Brokers {
		if old, ok := o.image.seat(b.ID); ok && b.Epoch < old.Epoch {
			o.complain(epochsForward, "broker %d: its epoch went back from %d to %d", b.ID, old.Epoch, b.Epoch)
		}
		if epoch, ok := o.excused[b.ID]; ok && b.Epoch > epoch {
			delete(o.excused, b.ID)
		}
	}
}

// checkDecision compares two decisions about one partition.
func (o *clusterObserver) checkDecision(s *subject, d decision) {
	old := &s.decided
	if d.LeaderEpoch < old.LeaderEpoch || d.Epoch < old.Epoch {
		o.complain(epochsForward, "%s: leader epoch %d, partition epoch %d were decided after %d and %d",
			d.partition, d.LeaderEpoch, d.Epoch, old.LeaderEpoch, old.Epoch)
	}
}

// checkAdded: no fenced or shutting-down broker is added to an in-sync set.
func (o *clusterObserver) checkAdded(m imageView, before *decision, d decision) {
	for _, id := range d.ISR {
		if has(before.ISR, id) {
			continue
		}
		if b, ok := m.seat(id); !ok || b.Fenced || b.ShuttingDown {
			o.complain(isrAlive, "%s: broker %d joined the in-sync set %v, and it is not alive: registered %t, fenced %t, shutting down %t",
				d.partition, id, d.ISR, ok, b.Fenced, b.ShuttingDown)
		} else {
			o.checkHeard(before, d, b)
		}
	}
}

// checkHeard: who is added has told the leader that asked for it, in its present life,
// what it holds. What an earlier life held may be gone (KIP-903). With the decision
// another may lead, who has not heard anything yet; and if the leader is not in the set
// any more it was not asked: the controllers chose among those who are eligible.
func (o *clusterObserver) checkHeard(before *decision, d decision, b brokerSeat) {
	w := o.window(before.Leader)
	if w == nil || !has(d.ISR, before.Leader) || w.closeup == nil || before.Leader == b.ID {
		return
	}
	leader, ok := w.closeup(d.place)
	if !ok || leader.Role != leadingReplica || leader.LeaderEpoch != before.LeaderEpoch {
		return
	}
	for _, c := range leader.counted {
		if c.ID == b.ID && (c.Epoch < b.Epoch || c.Held == kafka.NoOffset) {
			o.complain(isrAlive, "%s: broker %d joined the in-sync set %v in its broker epoch %d, and leader %d has heard of what it holds in epoch %d only",
				d.partition, b.ID, d.ISR, b.Epoch, before.Leader, c.Epoch)
		}
	}
}
