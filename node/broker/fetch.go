package broker

import (
	"errors"
	"fmt"
	"math"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/replica"
)

// A Fetch is what one request wants to read, and what was found.
type Fetch struct {
	Deadline kafka.Instant // when it is answered whatever there is
	MinBytes int64         // before that, not with less than this
	MaxBytes int64
	Items    []FetchItem

	// Follower is the broker that fetches for its replicas, with the epoch of its
	// registration; nil for consumers.
	Follower *meta.Member

	// Rest is what else a follower's session has; nil if there is nothing.
	Rest Rest

	// Of a consumer that may read from any replica (KIP-392), and where it is; "" if
	// nobody says.
	AnyReplica bool
	Rack       string

	wait wait
	dose dose // of a follower: what was read last
}

// A FetchItem is where to read in one partition, and what was found.
type FetchItem struct {
	Topic       string
	TopicID     kafka.TopicID // used if Topic is ""
	Partition   int32
	Offset      kafka.Offset
	MaxBytes    int
	LeaderEpoch kafka.LeaderEpoch // as the client knows it, or kafka.NoLeaderEpoch
	LastEpoch   kafka.LeaderEpoch // of the last record it has, or kafka.NoLeaderEpoch

	// Of a follower's log: what it holds in the sense of log.flush, which may be
	// less than it has, and its log start.
	Held, Start kafka.Offset

	Err           error // carries a kafka.Error
	HighWatermark kafka.Offset
	LogStart      kafka.Offset
	Leader        kafka.NodeID // with Err about leadership: who leads
	CurrentEpoch  kafka.LeaderEpoch
	Diverging     *Diverging
	Preferred     kafka.NodeID // a replica nearer to the consumer, from which it should read; or NoReplica
	Chunk         commitlog.Chunk
	Bequest       []byte // of a follower whose log is empty: what producers did before (commitlog.Log.Inherit)

	p        *Partition
	counted  bool         // what a follower says of itself has been recorded
	upTo     kafka.Offset // how far could be read when it was
	heldBack bool         // nothing was read because the leader's quota is used up
	weight   weight       // of what was read
}

// NoReplica is no replica to prefer.
const NoReplica kafka.NodeID = -1

// Diverging tells a client that what it has is not what the log has: the largest
// epoch up to the one it named, and where that ends here (KIP-595).
type Diverging = replica.Divergence

// Fetch reads until there are MinBytes, or something that is to be told at once,
// or the deadline has passed. Afterwards the caller owns the chunks. Consumers read
// what is below the high watermark, followers all that is written; what a follower
// says that it holds counts for the high watermark. Blocks.
func (b *Broker) Fetch(f *Fetch) error {
	b.stats.Fetches++
	f.MaxBytes = max(0, min(f.MaxBytes, config.FetchMaxBytes.In(b.config)))
	f.MinBytes = min(f.MinBytes, f.MaxBytes)
	for {
		b.takeMore(f)
		if f.Follower != nil {
			b.noteProgress(f)
		}
		got, urgent := b.read(f)
		over := b.hurrying || len(f.Items) == 0 && f.Rest == nil || b.w.Now() >= f.Deadline || b.w.Buggify("answer a fetch early")
		if urgent || over || got >= f.MinBytes {
			b.stats.FetchedBytes += uint64(got)
			b.sending.count(&f.dose, b.w.Now())
			return nil
		}
		if !b.register(f, got) {
			continue
		}
		f.Release()
		b.waiting.fetch++
		err := f.wait.await(b.w, min(f.Deadline, f.dose.until))
		f.leave()
		b.waiting.fetch--
		if err != nil {
			return err
		}
	}
}

// leave ends register.
func (f *Fetch) leave() {
	f.wait.leave()
	if f.Rest != nil {
		f.Rest.Leave()
	}
}

// await waits until the wait is satisfied or the deadline has passed. Blocks.
func (w *wait) await(world *env.World, deadline kafka.Instant) error {
	if w.cond == nil {
		w.cond = world.NewCond("broker/wait")
	}
	for !w.satisfied() {
		err := w.cond.Wait(deadline)
		if errors.Is(err, env.ErrDeadline) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Release lets go of what was read.
func (f *Fetch) Release() {
	for i := range f.Items {
		f.Items[i].Chunk.Release()
	}
}

// read reads every partition once. urgent says that something was found that the
// client is told without waiting. Blocks.
func (b *Broker) read(f *Fetch) (got int64, urgent bool) {
	f.dose = dose{until: kafka.Never}
	for i := range f.Items {
		it := &f.Items[i]
		first := commitlog.SkipOversize
		if got == 0 {
			first = commitlog.TakeOversize
		}
		b.readItem(f, it, f.MaxBytes-got, first)
		got += int64(it.Chunk.Len())
		// Who has left something behind does not wait for what is yet to come.
		urgent = urgent || it.Err != nil || it.Diverging != nil || it.Preferred != NoReplica || it.Chunk.More()
		// Nor does a follower that has got all that its leader's quota allows.
		urgent = urgent || it.heldBack && f.dose.of[bounded] > 0
	}
	return got, urgent
}

// readItem reads one partition. Blocks if there is something to read.
func (b *Broker) readItem(f *Fetch, it *FetchItem, room int64, first commitlog.Oversize) {
	it.Err, it.Diverging, it.HighWatermark, it.LogStart, it.Preferred = nil, nil, kafka.NoOffset, kafka.NoOffset, NoReplica
	it.heldBack, it.Bequest = false, nil
	l, err := b.readable(f, it)
	if err != nil || it.Diverging != nil {
		it.Err = err
		return
	}
	p := it.p
	it.HighWatermark, it.LogStart, it.upTo = p.high, l.LogStart(), p.readUpTo(f)
	if err := p.checkRange(f, it.Offset); err != nil {
		it.Err = err
		return
	}
	if it.Preferred = b.preferred(f, it); it.Preferred != NoReplica {
		return
	}
	if it.Offset >= it.upTo || room <= 0 && first == commitlog.SkipOversize {
		return
	}
	size, first, ok := b.portion(f, it, int(max(0, min(int64(it.MaxBytes), room))), first)
	if !ok {
		return
	}
	if b.w.Buggify("a fetch of one batch") {
		size, first = 1, commitlog.TakeOversize
	}
	c, err := l.Read(it.Offset, size, it.upTo, first)
	if err != nil {
		p.unreadable(err)
		it.Err = p.clientError(err)
		return
	}
	it.Chunk = c
	f.dose.of[it.weight] += int64(c.Len())
	// Second look: while it was read records may have been deleted or committed.
	if p.log != l {
		return
	}
	it.HighWatermark, it.LogStart = p.high, l.LogStart()
	if f.Follower != nil && it.Offset > 0 && it.Offset == it.Start && c.Len() > 0 {
		it.Bequest = l.Bequest(it.Offset)
	}
}

// readUpTo returns the end of what may be read.
func (p *Partition) readUpTo(f *Fetch) kafka.Offset {
	if f.Follower != nil {
		return p.log.Written()
	}
	return p.high
}

// checkRange tells a reader that it asks for what the log does not have. A follower
// sends consumers to the leader, which may have it.
func (p *Partition) checkRange(f *Fetch, at kafka.Offset) error {
	start, end := p.log.LogStart(), p.log.End()
	if at >= start && at <= end {
		return nil
	}
	code := kafka.ErrOffsetOutOfRange
	switch {
	case p.leader == nil:
		code = kafka.ErrOffsetNotAvailable
	case at > end:
		code = p.lacking(f)
	}
	return fmt.Errorf("%s: offset %d: the log has %d to %d: %w", p.name, at, start, end, code)
}

// lacking is what a leader tells a reader of what its log has not yet, or never will. A
// consumer that is told OFFSET_OUT_OF_RANGE begins elsewhere, and so is not while
// another leader may have it.
func (p *Partition) lacking(f *Fetch) kafka.Error {
	if f.Follower == nil && p.mayBePast() {
		p.b.w.Probe("a consumer was ahead of a leader that did not know whether it still leads")
		return kafka.ErrNotLeaderOrFollower
	}
	return kafka.ErrOffsetOutOfRange
}

// readable finds the log of an item, or tells what the client is told instead.
func (b *Broker) readable(f *Fetch, it *FetchItem) (*commitlog.Log, error) {
	var err error
	if it.Topic != "" {
		it.p, err = b.Partition(it.Topic, it.Partition)
	} else {
		it.p, err = b.PartitionByID(it.TopicID, it.Partition)
	}
	if err != nil {
		return nil, b.notHere(f, it, err)
	}
	it.Leader, it.CurrentEpoch = it.p.CurrentLeader()
	lookup := it.p.leading
	if f.AnyReplica && f.Follower == nil {
		lookup = it.p.serving
	}
	l, err := lookup(it.LeaderEpoch)
	if err == nil && f.Follower != nil {
		err = b.checkFollower(it.p, *f.Follower)
	}
	if err != nil || it.LastEpoch == kafka.NoLeaderEpoch {
		return l, err
	}
	return l, it.checkLineage(f, l)
}

// notHere is what a reader is told whose partition is not here. A consumer that is told
// UNKNOWN_TOPIC_ID takes its topic for deleted, and so is not while that may have been
// created without this node's knowing it.
func (b *Broker) notHere(f *Fetch, it *FetchItem, err error) error {
	if f.Follower == nil && errors.Is(err, kafka.ErrUnknownTopicID) && !b.surelyLeads() {
		b.w.Probe("a consumer's topic was unknown to a broker that may have missed its creation")
		return fmt.Errorf("topic id %s: it may have been created meanwhile: %w", it.TopicID, kafka.ErrNotLeaderOrFollower)
	}
	return err
}

// checkLineage compares what the reader has with the log. A follower sends a consumer
// away that is ahead of it.
func (it *FetchItem) checkLineage(f *Fetch, l *commitlog.Log) error {
	p := it.p
	if p.leader == nil {
		return it.checkFollowed(l)
	}
	d, diverges := p.leader.Diverges(l.Epochs(), it.LastEpoch, it.Offset)
	if d.Epoch == kafka.NoLeaderEpoch {
		return fmt.Errorf("%s: the log has nothing of epoch %d: %w", p.name, it.LastEpoch, p.lacking(f))
	}
	if diverges {
		it.diverged(l, d)
	}
	return nil
}

func (it *FetchItem) checkFollowed(l *commitlog.Log) error {
	p := it.p
	epoch, end := p.epochEnd(it.LastEpoch)
	switch {
	case epoch == kafka.NoLeaderEpoch:
		return fmt.Errorf("%s: the log has nothing yet of epoch %d: %w", p.name, it.LastEpoch, kafka.ErrOffsetNotAvailable)
	case epoch < it.LastEpoch:
		it.diverged(l, Diverging{Epoch: epoch, End: end})
	case end < it.Offset:
		return fmt.Errorf("%s: the log ends at %d: %w", p.name, end, kafka.ErrOffsetNotAvailable)
	}
	return nil
}

func (it *FetchItem) diverged(l *commitlog.Log, d Diverging) {
	it.p.b.w.Probe("a fetch told its reader that their logs diverge")
	it.Diverging = &d
	it.HighWatermark, it.LogStart = it.p.high, l.LogStart()
}

// epochEnd returns the largest leader epoch that is not larger than the one asked
// for, and where it ends.
func (p *Partition) epochEnd(epoch kafka.LeaderEpoch) (kafka.LeaderEpoch, kafka.Offset) {
	if p.leader != nil {
		return p.leader.EpochEnd(p.log.Epochs(), epoch)
	}
	return p.log.Epochs().EndOffsetFor(epoch, p.log.End())
}

// register has the partitions credit the fetch with the bytes that come, until it
// has MinBytes. It returns false if there are more already than were read.
func (b *Broker) register(f *Fetch, got int64) bool {
	if f.Rest != nil && !f.Rest.Park(f.wait.credit) {
		f.Release()
		return false
	}
	f.wait.need, f.wait.got = f.MinBytes, got
	f.wait.grow(len(f.Items))
	for i := range f.Items {
		it := &f.Items[i]
		if it.p == nil || it.p.log == nil || it.p.readUpTo(f) != it.upTo {
			// Second look: it changed while the others were read.
			f.leave()
			f.Release()
			return false
		}
		list := &it.p.tails
		if f.Follower != nil {
			list = &it.p.pulls
		}
		if !it.heldBack { // what comes now is of no use to it
			f.wait.add(list, commitlog.AppendResult{})
		}
	}
	b.stats.FetchWaits++
	return true
}

// Hurry has every fetch answered at once with what there is, those to come
// included: the node is about to stop.
func (b *Broker) Hurry() {
	b.hurrying = true
	for _, p := range b.all() {
		p.tails.each(math.MaxInt32)
		p.pulls.each(math.MaxInt32)
		p.stirAll()
	}
}

// Hurries reports whether fetches do not wait any more.
func (b *Broker) Hurries() bool { return b.hurrying }
