package broker

import (
	"errors"
	"fmt"
	"math"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A Fetch is what one request wants to read, and what was found.
type Fetch struct {
	Deadline kafka.Instant // when it is answered whatever there is
	MinBytes int64         // before that, not with less than this
	MaxBytes int64
	Items    []FetchItem

	wait wait
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

	Err           error // carries a kafka.Error
	HighWatermark kafka.Offset
	LogStart      kafka.Offset
	Leader        kafka.NodeID // with Err about leadership: who leads
	CurrentEpoch  kafka.LeaderEpoch
	Diverging     *Diverging
	Chunk         commitlog.Chunk

	p    *Partition
	upTo kafka.Offset // the high watermark when it was read
}

// Diverging tells a client that what it has is not what the log has: the largest
// epoch up to the one it named, and where that ends here (KIP-595).
type Diverging struct {
	Epoch kafka.LeaderEpoch
	End   kafka.Offset
}

// Fetch reads until there are MinBytes, or something that is to be told at once,
// or the deadline has passed. Afterwards the caller owns the chunks. Only
// what is below the high watermark is read. Blocks.
func (b *Broker) Fetch(f *Fetch) error {
	b.stats.Fetches++
	f.MaxBytes = max(0, min(f.MaxBytes, config.FetchMaxBytes.In(b.config)))
	f.MinBytes = min(f.MinBytes, f.MaxBytes)
	for {
		got, urgent := b.read(f)
		over := b.hurrying || len(f.Items) == 0 || b.w.Now() >= f.Deadline || b.w.Buggify("answer a fetch early")
		if urgent || over || got >= f.MinBytes {
			b.stats.FetchedBytes += uint64(got)
			return nil
		}
		if !b.register(f, got) {
			continue
		}
		f.Release()
		b.waiting.fetch++
		err := f.wait.await(b.w, f.Deadline)
		f.wait.leave()
		b.waiting.fetch--
		if err != nil {
			return err
		}
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
	for i := range f.Items {
		it := &f.Items[i]
		first := commitlog.SkipOversize
		if got == 0 {
			first = commitlog.TakeOversize
		}
		b.readItem(it, f.MaxBytes-got, first)
		got += int64(it.Chunk.Len())
		// Who has left something behind does not wait for what is yet to come.
		urgent = urgent || it.Err != nil || it.Diverging != nil || it.Chunk.More()
	}
	return got, urgent
}

// readItem reads one partition. Blocks if there is something to read.
func (b *Broker) readItem(it *FetchItem, room int64, first commitlog.Oversize) {
	it.Err, it.Diverging, it.HighWatermark, it.LogStart = nil, nil, kafka.NoOffset, kafka.NoOffset
	l, err := b.readable(it)
	if err != nil || it.Diverging != nil {
		it.Err = err
		return
	}
	p := it.p
	it.HighWatermark, it.LogStart, it.upTo = p.high, l.LogStart(), p.high
	if it.Offset < it.LogStart || it.Offset > l.End() {
		it.Err = fmt.Errorf("%s: offset %d: the log has %d to %d: %w", p.name, it.Offset, it.LogStart, l.End(), kafka.ErrOffsetOutOfRange)
		return
	}
	if it.Offset >= p.high || room <= 0 && first == commitlog.SkipOversize {
		return
	}
	size := int(max(0, min(int64(it.MaxBytes), room)))
	if b.w.Buggify("a fetch of one batch") {
		size, first = 1, commitlog.TakeOversize
	}
	c, err := l.Read(it.Offset, size, it.upTo, first)
	if err != nil {
		it.Err = p.clientError(err)
		return
	}
	it.Chunk = c
	// Second look: while it was read records may have been deleted or committed.
	if p.log == l {
		it.HighWatermark, it.LogStart = p.high, l.LogStart()
	}
}

// readable finds the log of an item, or tells what the client is told instead.
func (b *Broker) readable(it *FetchItem) (*commitlog.Log, error) {
	var err error
	if it.Topic != "" {
		it.p, err = b.Partition(it.Topic, it.Partition)
	} else {
		it.p, err = b.PartitionByID(it.TopicID, it.Partition)
	}
	if err != nil {
		return nil, err
	}
	it.Leader, it.CurrentEpoch = it.p.state.Leader, it.p.state.LeaderEpoch
	l, err := it.p.leading(it.LeaderEpoch)
	if err != nil || it.LastEpoch == kafka.NoLeaderEpoch {
		return l, err
	}
	epoch, end := it.p.epochEnd(it.LastEpoch)
	if epoch == kafka.NoLeaderEpoch {
		return nil, fmt.Errorf("%s: the log has nothing of epoch %d: %w", it.p.name, it.LastEpoch, kafka.ErrOffsetOutOfRange)
	}
	if epoch < it.LastEpoch || end < it.Offset {
		b.w.Probe("a fetch told its reader that their logs diverge")
		it.Diverging = &Diverging{Epoch: epoch, End: end}
		it.HighWatermark, it.LogStart = it.p.high, l.LogStart()
	}
	return l, nil
}

// register has the partitions credit the fetch with the bytes that come, until it
// has MinBytes. It returns false if there are more already than were read.
func (b *Broker) register(f *Fetch, got int64) bool {
	f.wait.need, f.wait.got = f.MinBytes, got
	f.wait.grow(len(f.Items))
	for i := range f.Items {
		it := &f.Items[i]
		if it.p == nil || it.p.log == nil || it.p.high != it.upTo {
			// Second look: it changed while the others were read.
			f.wait.leave()
			f.Release()
			return false
		}
		f.wait.add(&it.p.tails, commitlog.AppendResult{})
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
	}
}
