package coordinator

import (
	"errors"
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
	"github.com/klammlog/klamm/node/record"
)

const (
	// unpackedBytes bounds what one batch decompresses to.
	unpackedBytes = 64 << 20

	// loadPatience is how long one read waits for records to be committed.
	loadPatience = time.Second

	// loadPause is the pause after a read that failed, loadNews how often a long
	// load says how far it is.
	loadPause = 200 * time.Millisecond
	loadNews  = 5 * time.Second
)

// A load is the replay of one log.
type load[M Machine] struct {
	r     *runner[M]
	at    kafka.Offset // the next to be replayed
	buf   []byte
	began kafka.Instant
	news  kafka.Instant // when to say how far it is
	count uint64
}

// load replays the log up to its end of now: everything that another leader has
// answered for lies below. It reports whether the machine can be
// asked now. Blocks.
func (r *runner[M]) load() bool {
	c := r.c
	for c.loading >= loadsAtOnce && r.state == loading {
		if c.loaded.Wait(kafka.Never) != nil {
			r.end(kafka.ErrCoordinatorNotAvailable)
		}
	}
	if r.state != loading {
		return false
	}
	now := c.w.Now()
	l := &load[M]{r: r, began: now, news: now.Add(loadNews)}
	c.loading++
	l.run()
	c.loading--
	c.loaded.Broadcast()
	if r.state != loading {
		return false
	}
	took := c.w.Now().Sub(l.began)
	c.stats.Loads++
	c.stats.LoadTime += took
	c.changes++
	c.w.Log.Info("coordinator has read its log", "partition", r.name.String(), "epoch", int(r.epoch), "records", l.count, "took", took)
	r.state = active
	r.machine.Loaded(c.moment())
	r.collect()
	return true
}

// run replays until there is no more, or until leadership goes. What was appended
// before it began must be committed, or taken back, first: the records of this
// leadership, too, if the log is read again. Blocks.
func (l *load[M]) run() {
	r := l.r
	_, target, err := r.c.b.Progress(r.name, r.epoch)
	for r.state == loading {
		var high, end kafka.Offset
		if err == nil {
			high, end, err = r.c.b.Progress(r.name, r.epoch)
		}
		target = min(target, end)
		switch {
		case err != nil:
			r.end(kafka.ErrNotCoordinator)
		case high >= target && l.at >= target:
			return
		default:
			l.step(target)
		}
	}
}

// step reads a piece of the log and replays it. Blocks.
func (l *load[M]) step(end kafka.Offset) {
	r, w := l.r, l.r.c.w
	err := l.read()
	if err == nil {
		err = l.replay()
	}
	if now := w.Now(); now >= l.news {
		l.news = now.Add(loadNews)
		w.Log.Info("coordinator reads its log", "partition", r.name.String(), "offset", int64(l.at), "of", int64(end), "records", l.count)
	}
	if err == nil || r.state != loading {
		return
	}
	w.Probe("a coordinator could not read its log")
	w.Log.Warn("coordinator cannot read its log", "partition", r.name.String(), "offset", int64(l.at), "err", err)
	if errors.Is(err, env.ErrCanceled) || w.Sleep(loadPause) != nil {
		r.end(kafka.ErrCoordinatorNotAvailable)
	}
}

// read fills the buffer with what is committed behind the last batch, waiting for
// it a while. Blocks.
func (l *load[M]) read() error {
	r := l.r
	l.buf = l.buf[:0]
	size := r.c.kind.Buffer()
	f := broker.Fetch{
		Deadline: r.c.w.Now().Add(loadPatience), MinBytes: 1, MaxBytes: int64(size),
		Items: []broker.FetchItem{{
			Topic: r.name.Topic, Partition: r.name.Partition, Offset: l.at, MaxBytes: size,
			LeaderEpoch: r.epoch, LastEpoch: kafka.NoLeaderEpoch,
		}},
	}
	if err := r.c.b.Fetch(&f); err != nil {
		return err
	}
	defer f.Release()
	it := &f.Items[0]
	if errors.Is(it.Err, kafka.ErrOffsetOutOfRange) && l.at < it.LogStart {
		l.at = it.LogStart
		return nil
	}
	if it.Err != nil {
		return it.Err
	}
	if it.Chunk.Len() == 0 && r.c.b.Hurries() {
		return fmt.Errorf("%s: the broker is about to end: %w", r.name, kafka.ErrNotCoordinator) // and waits for nothing more
	}
	if n := it.Chunk.Len(); n > cap(l.buf) {
		l.buf = make([]byte, 0, n)
	}
	l.buf = l.buf[:it.Chunk.Len()]
	return it.Chunk.Copy(l.buf)
}

// replay has what was read take effect, batch by batch. Compaction leaves gaps: the
// next offset is the one behind the batch, whatever is left in it.
func (l *load[M]) replay() error {
	codecs := l.r.c.codecs.Take()
	defer l.r.c.codecs.Give(codecs)
	for b, err := range record.All(l.buf) {
		if err == nil {
			err = b.CheckCRC()
		}
		if err != nil {
			return err
		}
		if b.LastOffset() < l.at {
			continue
		}
		if b.BaseOffset() > l.at {
			l.r.c.w.Probe("a coordinator read a log with a gap")
		}
		if err := l.replayBatch(b, codecs); err != nil {
			return err
		}
		l.at = b.LastOffset() + 1
	}
	return nil
}

func (l *load[M]) replayBatch(b record.Batch, codecs *record.Codecs) error {
	if b.Control() {
		return nil
	}
	it := codecs.Records(b, unpackedBytes)
	for it.Next() {
		rec := it.Record()
		if rec.Offset < l.at {
			continue
		}
		l.count++
		l.r.c.stats.Loaded++
		if err := l.r.machine.Replay(machine.Record{Key: rec.Key, Value: rec.Value}, rec.Timestamp); err != nil {
			l.r.c.stats.Skipped++
			l.r.c.w.Log.Warn("record of a coordinator's log is skipped", "partition", l.r.name.String(), "offset", int64(rec.Offset), "err", err)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("%s: offset %d: %w", l.r.name, b.BaseOffset(), err)
	}
	return nil
}
