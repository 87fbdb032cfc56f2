package scenarios

import (
	"slices"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
)

// A batchKey names a batch of a partition: no two batches ever have the same one,
// because one leader writes in an epoch, and gives each offset once.
type batchKey struct {
	base  kafka.Offset
	epoch kafka.LeaderEpoch
}

// batchFacts are what the first replica showed of a batch. If every replica shows the
// same of each batch, and the same batch before it, then two replicas that have one
// batch in common have everything before it in common: that is log-matching, for
// all pairs of replicas and for all times, at the cost of one look at each batch.
type batchFacts struct {
	end     kafka.Offset
	sum     uint64
	before  batchKey
	follows bool // before is known
	by      kafka.NodeID
}

// A reading is how far one replica's log has been read.
type reading struct {
	last  replicaView       // as last seen, in whatever life
	risen kafka.LeaderEpoch // in which the high watermark rose to where it is
	told  []batch           // the batches that were looked at
	epoch map[kafka.ProducerID]kafka.ProducerEpoch

	dismissed bool // the replica was removed, as the controllers decided
}

// see notes a view. What rose in the same moment as the epoch may have risen before it.
func (r *reading) see(v replicaView) {
	if v.HighWatermark > r.last.HighWatermark {
		if r.risen = v.LeaderEpoch; r.last.partition.Topic != "" {
			r.risen = min(r.last.LeaderEpoch, v.LeaderEpoch)
		}
	}
	r.last = v
}

// readLogs looks at the batches on a node's disks that it has not looked at yet.
func (o *clusterObserver) readLogs(w *window) {
	if w.copyOf == nil || w.damaged {
		return
	}
	for _, p := range w.known {
		if w.owners[p.partition] == p.topic {
			o.readLog(w, o.subject(p), w.settled(p))
		}
	}
}

// settled returns the batches of a replica that it counts as held: what else reached
// the disk may be refused yet, and its offsets given to others.
func (w *window) settled(p place) []batch {
	batches := w.copy(p).batches
	if v, lives := w.lives[p]; lives {
		for n := len(batches); n > 0 && batches[n-1].end > v.Durable; n-- {
			batches = batches[:n-1]
		}
	}
	return batches
}

func (o *clusterObserver) readLog(w *window, s *subject, batches []batch) {
	r := w.read[s.place]
	from := r.resume(batches)
	for i := from; i < len(batches); i++ {
		b := &batches[i]
		var before *batch
		if i > 0 {
			before = &batches[i-1]
			o.checkFollows(w, s, before, b)
		}
		o.checkChronicle(w, s, before, b)
		o.checkProducer(w, s, r, b)
	}
	r.told = append(r.told[:from], batches[from:]...)
}

// resume returns the first of the batches that has not been looked at, and forgets
// those that are gone.
func (r *reading) resume(now []batch) int {
	n := min(len(r.told), len(now))
	for n > 0 && r.told[n-1] != now[n-1] {
		n--
	}
	if n > 0 && r.told[0] != now[0] {
		n = 0 // its first segments are gone
	}
	if n < len(r.told) {
		r.epoch = nil
		for i := range n {
			r.note(&now[i])
		}
	}
	r.told = r.told[:n]
	return n
}

func (r *reading) note(b *batch) {
	if b.producer == kafka.NoProducerID {
		return
	}
	if r.epoch == nil {
		r.epoch = map[kafka.ProducerID]kafka.ProducerEpoch{}
	}
	r.epoch[b.producer] = b.producerEpoch
}

// checkFollows: offsets follow each other, and leader epochs do not go back.
func (o *clusterObserver) checkFollows(w *window, s *subject, before, b *batch) {
	if b.base != before.end && (!o.compacts(s) || b.base < before.end) {
		o.complain(offsetsDense, "%s on %d: a batch begins at offset %d, and the one before it ends at %d", s.partition, w.id, b.base, before.end)
	}
	if b.epoch < before.epoch {
		o.complain(epochsForward, "%s on %d: the leader epoch at offset %d is %d, after %d", s.partition, w.id, b.base, b.epoch, before.epoch)
	}
}

// checkChronicle: whoever has a batch has the same one, behind the same batch.
func (o *clusterObserver) checkChronicle(w *window, s *subject, before, b *batch) {
	guarantee := logMatching
	switch {
	case s.place == metadataPlace:
		guarantee = raftLogMatching
	case o.compacts(s):
		return
	}
	key := batchKey{b.base, b.epoch}
	f, known := s.chronicle[key]
	if !known {
		f = batchFacts{end: b.end, sum: b.sum, by: w.id}
	}
	if f.end != b.end || f.sum != b.sum {
		o.complain(guarantee, "%s: at offset %d in epoch %d %d and %d have different batches, up to offsets %d and %d, with checksums %016x and %016x",
			s.partition, b.base, b.epoch, f.by, w.id, f.end, b.end, f.sum, b.sum)
	}
	// Below a log start nobody can tell any more whose batches they are: a leader has
	// forgotten its epochs there, so that a follower may find out that it has
	// others only by deleting them, which it does before it shows what is above.
	if before != nil && before.end > o.start(s.place) {
		prior := batchKey{before.base, before.epoch}
		if f.follows && f.before != prior {
			o.complain(guarantee, "%s: before the batch at offset %d in epoch %d, %d has one at %d of epoch %d, and %d one at %d of epoch %d",
				s.partition, b.base, b.epoch, f.by, f.before.base, f.before.epoch, w.id, prior.base, prior.epoch)
		}
		f.before, f.follows = prior, true
	}
	s.chronicle[key] = f
}

// start returns the furthest log start of a partition that any replica shows.
func (o *clusterObserver) start(p place) kafka.Offset {
	start := kafka.Offset(0)
	for _, w := range o.windows {
		if v, lives := w.lives[p]; lives {
			start = max(start, v.LogStart)
		}
	}
	return start
}

// checkProducer: the epoch of a producer never goes back in a log.
func (o *clusterObserver) checkProducer(w *window, s *subject, r *reading, b *batch) {
	if last, ok := r.epoch[b.producer]; ok && b.producer != kafka.NoProducerID && b.producerEpoch < last {
		o.complain(epochsForward, "%s on %d: the epoch of producer %d at offset %d is %d, after %d", s.partition, w.id, b.producer, b.base, b.producerEpoch, last)
	}
	r.note(b)
}

// checkCommitted: every record below any high watermark ever exposed is on every
// member of the in-sync set, and on every eligible leader replica, in the sense in
// which the copies were read.
func (o *clusterObserver) checkCommitted(s *subject) {
	if o.promised.Loses || !s.exists || s.exposed == 0 || s.decided.Epoch < s.exposedAt {
		return // the last: nobody that can be seen has applied what the leader was answered
	}
	var tip batchKey
	seen := false
	for _, id := range slices.Concat(s.decided.ISR, s.decided.ELR) {
		w := o.window(id)
		if w == nil || w.copyOf == nil || o.isExcused(w) || w.starting() || w.read[s.place] == nil {
			continue // the last: its broker has not been seen with it yet
		}
		if w.read[s.place].last.LogStart >= s.exposed {
			continue // all that was exposed has been deleted
		}
		c := w.copy(s.place)
		key, there := o.checkMember(s, id, c)
		switch {
		case !there:
		case !seen:
			tip, seen = key, true
		case key != tip && !o.compacts(s):
			o.complain(committedDurable, "%s: the last batch below the exposed offset %d is at %d of epoch %d, and on in-sync replica %d at %d of epoch %d",
				s.partition, s.exposed, tip.base, tip.epoch, id, key.base, key.epoch)
		}
	}
	if seen {
		s.tip, s.tipAt = tip, s.exposed
	}
}

// checkMember looks for what was exposed on one in-sync replica, and returns the
// batch that ends it if it is there and not deleted.
func (o *clusterObserver) checkMember(s *subject, id kafka.NodeID, c *logCopy) (batchKey, bool) {
	if c.end() < s.exposed {
		o.complain(committedDurable, "%s: records up to offset %d were exposed by %d, and in-sync replica %d holds the records up to %d",
			s.partition, s.exposed, s.exposedBy, id, c.end())
		return batchKey{}, false
	}
	if old := c.at(s.tipAt - 1); old != nil && s.tipAt > 0 && (batchKey{old.base, old.epoch}) != s.tip && !o.compacts(s) {
		o.complain(committedDurable, "%s: the batch below offset %d was at %d of epoch %d when it was exposed, and is at %d of epoch %d on in-sync replica %d",
			s.partition, s.tipAt, s.tip.base, s.tip.epoch, old.base, old.epoch, id)
	}
	b := c.at(s.exposed - 1)
	if b == nil {
		return batchKey{}, false
	}
	return batchKey{b.base, b.epoch}, true
}

// at finds the batch with an offset, nil if there is none.
func (c *logCopy) at(offset kafka.Offset) *batch {
	i, _ := slices.BinarySearchFunc(c.batches, offset, func(b batch, at kafka.Offset) int {
		if b.end <= at {
			return -1
		}
		return 1
	})
	if i == len(c.batches) || c.batches[i].base > offset {
		return nil
	}
	return &c.batches[i]
}

// compacts reports whether a partition's records may go for the sake of later ones:
// the topic's, or what coordinators keep.
func (o *clusterObserver) compacts(s *subject) bool {
	return o.promised.Compacts || s.partition.Topic == broker.OffsetsTopic
}
