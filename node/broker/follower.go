package broker

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/node/replica"
)

// take does what a leader's answer says, partition after partition, and waits until
// what was appended is held: then the next fetch tells the leader. What is not held
// for long is left out of the next fetches. Blocks.
func (f *fetcher) take(got *ReplicaFetched) {
	var appended []appendedPiece
	for i := range got.Items {
		it := &got.Items[i]
		fo := f.by[it.Replica]
		if fo == nil || !fo.current() {
			continue
		}
		if at, ok := f.takeItem(fo, it); ok {
			appended = append(appended, appendedPiece{fo: fo, at: at, item: it})
		}
	}
	free := true
	deadline := f.b.w.Now().Add(config.ReplicaFetchWaitMax.Duration(f.b.config))
	for _, a := range appended {
		err := a.fo.await(a.at, deadline)
		free = free && err == nil
		if err == nil {
			a.fo.learn(a.item)
		}
	}
	if got.Release != nil && free {
		got.Release() // a log that failed, or is slow, may read the records still
	}
}

// An appendedPiece is what a fetch brought for one partition.
type appendedPiece struct {
	fo   *following
	at   commitlog.AppendResult
	item *ReplicaFetchedItem
}

// takeItem does what a leader says about one partition. It reports whether
// something was appended. Blocks where the log is cut.
func (f *fetcher) takeItem(fo *following, it *ReplicaFetchedItem) (at commitlog.AppendResult, appended bool) {
	fo.count(it.Records)
	if fo.p.log.End() != fo.from {
		return at, false // what was queued was refused: it is asked for again
	}
	var err error
	fo.leaders = max(fo.leaders, it.HighWatermark)
	switch {
	case it.Err != nil:
		err = fo.refused(it)
	case it.Diverging != nil:
		err = fo.truncate(*it.Diverging, it.LogStart)
	case len(it.Records) > 0:
		at, err = fo.append(it)
		appended = err == nil
	default:
		fo.learn(it)
	}
	if err != nil {
		fo.rest(err)
		return at, false
	}
	fo.pause = 0
	return at, appended
}

// rest has the partition left out for a while.
func (fo *following) rest(err error) {
	fo.pause = nextPause(fo.pause, fo.f.b.config)
	fo.until, fo.told = fo.f.b.w.Now().Add(fo.pause), false
	fo.f.b.w.Log.Debug("partition is not fetched for a moment", "partition", fo.p.name.String(), "err", err)
}

// refused looks at an error that the leader told. Blocks if the log is to be begun
// anew.
func (fo *following) refused(it *ReplicaFetchedItem) error {
	l := fo.p.log
	if !errors.Is(it.Err, kafka.ErrOffsetOutOfRange) {
		return it.Err
	}
	at, anew := replica.OutOfRange(l.LogStart(), l.End(), it.LogStart)
	if !anew {
		return it.Err
	}
	fo.p.b.w.Probe("a follower began anew at its leader's log start")
	fo.p.b.stats.Resets++
	return fo.reset(l, at)
}

func (fo *following) reset(l *commitlog.Log, at kafka.Offset) error {
	return fo.p.cut(func() error { return l.Reset(at) })
}

// truncate cuts off what the leader does not have (KIP-101, KIP-279, KIP-595).
// Blocks.
func (fo *following) truncate(d Diverging, leaderStart kafka.Offset) error {
	l := fo.p.log
	to := replica.TruncateTo(l.Epochs(), l.End(), d)
	fo.p.b.w.Probe("a follower truncated to a diverging epoch")
	fo.p.b.stats.Truncations++
	if to < fo.p.high {
		fo.p.b.w.Probe("a follower was ordered to truncate below its high watermark")
	}
	fo.p.b.w.Log.Info("truncating", "partition", fo.p.name.String(), "from", int64(l.End()), "to", int64(to),
		"leader epoch", int32(fo.epoch), "diverging epoch", int32(d.Epoch), "its end", int64(d.End))
	if at, all := replica.CutAll(to, l.LogStart(), leaderStart); all {
		return fo.reset(l, at)
	}
	return fo.p.cut(func() error { return l.Truncate(to) })
}

// append gives the log what the leader sent, after a look at every batch: what a
// leader has that is corrupt is not taken over. Blocks if it is much.
func (fo *following) append(it *ReplicaFetchedItem) (commitlog.AppendResult, error) {
	none := commitlog.AppendResult{}
	l := fo.p.log
	sent := it.Records
	if len(sent) > record.CRCFrom && fo.p.b.w.Buggify("records are damaged on their way to a follower") {
		sent = env.Damaged(sent, record.CRCFrom)
	}
	first, records, err := fo.sound(sent)
	if err != nil {
		fo.p.b.w.Probe("a follower refused what its leader sent")
		return none, fmt.Errorf("%s: %w", fo.p.name, err)
	}
	if !fo.current() || fo.p.log != l || l.End() != fo.from || len(records) == 0 {
		return none, fmt.Errorf("%s: it changed while its records were looked at: %w", fo.p.name, kafka.ErrNotLeaderOrFollower)
	}
	if first < l.End() {
		// The leader's log starts within a batch, and ours is empty.
		if err := fo.reset(l, first); err != nil {
			return none, err
		}
		if !fo.current() || fo.p.log != l || l.End() != first {
			return none, fmt.Errorf("%s: it changed while it was begun anew: %w", fo.p.name, kafka.ErrNotLeaderOrFollower)
		}
	}
	if len(it.Bequest) > 0 && l.LogStart() == l.End() {
		if err := fo.inherit(l, first, it.Bequest); err != nil {
			return none, err
		}
	}
	at, err := l.AppendReplica(records)
	if err != nil {
		return none, fo.p.clientError(err)
	}
	fo.p.sizes = append(fo.p.sizes, sized{end: at.End, bytes: int64(len(records))})
	fo.p.b.stats.ReplicatedBytes += uint64(len(records))
	return at, nil
}

// inherit takes over what the leader knows of producers from before the log's start.
// Blocks.
func (fo *following) inherit(l *commitlog.Log, first kafka.Offset, bequest []byte) error {
	fo.p.b.w.Probe("a follower was told of producers from before its log start")
	if err := l.Inherit(bequest); err != nil {
		return fo.p.clientError(err)
	}
	if !fo.current() || fo.p.log != l || l.LogStart() != l.End() || l.End() > first {
		return fmt.Errorf("%s: it changed while it was told of producers: %w", fo.p.name, kafka.ErrNotLeaderOrFollower)
	}
	return nil
}

// sound checks what a leader sent and returns where it begins, without batches that
// the log has. Blocks if it is much.
func (fo *following) sound(b []byte) (first kafka.Offset, records []byte, err error) {
	w := wanted{from: fo.from, latest: fo.epoch, empty: fo.p.log.LogStart() == fo.p.log.End()}
	check := func() { first, records, err = w.check(b) }
	if len(b) > offloadAbove {
		fo.p.b.w.Offload(check)
	} else {
		check()
	}
	return first, records, err
}

// wanted is what a follower can use.
type wanted struct {
	from   kafka.Offset
	latest kafka.LeaderEpoch // the leader's
	empty  bool              // the log is: then the first batch may begin below from
}

// check checks batches, and returns where they begin, without those that the log
// has. It is pure.
func (w wanted) check(b []byte) (kafka.Offset, []byte, error) {
	first, next := kafka.NoOffset, kafka.NoOffset
	at := 0
	for batch, err := range record.All(b) {
		if err == nil {
			err = batch.CheckCRC()
		}
		switch {
		case err != nil:
			return first, nil, err
		case batch.BaseOffset() < 0 || batch.LastOffsetDelta() < 0 || batch.LeaderEpoch() > w.latest:
			return first, nil, fmt.Errorf("%w: batch at %d of leader epoch %d, last offset delta %d, the leader is in %d",
				record.ErrCorrupt, batch.BaseOffset(), batch.LeaderEpoch(), batch.LastOffsetDelta(), w.latest)
		case first == kafka.NoOffset && batch.EndOffset() <= w.from:
			at += batch.Size() // the log has it
			continue
		case first == kafka.NoOffset && batch.BaseOffset() < w.from && !w.empty:
			return first, nil, fmt.Errorf("%w: batch at %d reaches over the log's end %d", record.ErrCorrupt, batch.BaseOffset(), w.from)
		case first == kafka.NoOffset:
			first = batch.BaseOffset()
		case batch.BaseOffset() < next:
			return first, nil, fmt.Errorf("%w: batch at %d behind %d", record.ErrCorrupt, batch.BaseOffset(), next)
		}
		next = batch.EndOffset()
	}
	return first, b[at:], nil
}

// await waits until what was appended is held. Blocks.
func (fo *following) await(at commitlog.AppendResult, deadline kafka.Instant) error {
	l := fo.p.last
	err := l.WaitHeld(at, deadline)
	if err == nil {
		return nil
	}
	// Second look: it may be another leader's follower by now, or none.
	if fo.current() && fo.p.log == l && l.Lost(at) == nil && l.Held() < at.End {
		fo.p.b.w.Probe("a follower's disk was slow")
		fo.waiting = at.End
	}
	return err
}

// learn takes over the leader's log start and high watermark: the log between them
// is the leader's. What is below the leader's log start may be of another leader,
// and nobody can tell any more: it goes before the high watermark passes it. Blocks
// if the log start moves.
func (fo *following) learn(it *ReplicaFetchedItem) {
	p := fo.p
	if !fo.current() {
		return
	}
	if it.LogStart > p.log.LogStart() {
		if _, err := p.log.DeleteRecords(min(it.LogStart, p.log.Held())); err != nil {
			p.b.w.Log.Warn("log start did not follow the leader's", "partition", p.name.String(), "err", err)
			return
		}
		if !fo.current() { // second look
			return
		}
	}
	p.raise(replica.Learned(p.high, it.HighWatermark, p.log.Held()))
}

// lag returns how many committed records are missing here, as far as the leader has
// told.
func (p *Partition) lag() int64 {
	if p.follows == nil || p.log == nil {
		return 0
	}
	return int64(max(0, p.follows.leaders-p.log.End()))
}
