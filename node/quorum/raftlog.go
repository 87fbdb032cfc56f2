package quorum

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// A raftLog is raft's log as a disk has it.
type raftLog struct {
	w       *env.World
	log     *commitlog.Log
	config  commitlog.Config
	builder record.Builder
	due     kafka.Instant // when a checkpoint is to be written, if nothing comes in between
}

// checkpointAfter is how long entries are without a checkpoint behind them. Rot
// in front of a checkpoint is told from the torn tail of a crash; behind it, it
// may be cut off with it, and entries with it that were acknowledged.
const checkpointAfter = time.Second

// Segments are small, since a snapshot removes only whole ones.
const minSegment, maxSegment = 64 << 10, 64 << 20

// openLog opens the metadata log. Blocks.
func openLog(w *env.World, d *commitlog.Dir, snapshotEvery int64) (*raftLog, error) {
	l := &raftLog{w: w, config: commitlog.Defaults(), due: kafka.Never}
	l.config.Cleanup = 0 // every record counts; snapshots remove them
	l.config.Flush = commitlog.FlushAck
	l.config.SegmentTime = 0
	l.config.SegmentBytes = max(minSegment, min(snapshotEvery, maxSegment))
	log, err := commitlog.Open(w, d, commitlog.Options{
		Path:      MetadataPath,
		Partition: kafka.TopicPartition{Topic: "__cluster_metadata"},
		TopicID:   kafka.TopicID{15: 1}, // as in Kafka
		Config:    &l.config,
	})
	if err != nil {
		return nil, fmt.Errorf("metadata log: %w", err)
	}
	l.log = log
	return l, nil
}

// first and last are the indexes of the first entry that is there, or would be,
// and of the last one.
func (l *raftLog) first() uint64 { return uint64(l.log.LogStart()) + 1 }
func (l *raftLog) last() uint64  { return uint64(l.log.End()) }

// append makes entries durable, in place of those that have their indexes or
// later ones. If there is no space nothing has happened, commitlog.ErrRefused.
// Blocks.
func (l *raftLog) append(entries []entry) error {
	first := entries[0].index
	assert.That(first >= l.first() && first <= l.last()+1, "entry %d for a log from %d to %d", first, l.first(), l.last())
	if first <= l.last() {
		l.w.Probe("a controller replaced entries that were not committed")
		if err := l.log.Truncate(entries[0].offset()); err != nil {
			return err
		}
	}
	var batches []byte
	var err error
	for _, e := range entries {
		if batches, err = e.appendBatch(batches, &l.builder, l.w.Wall()); err != nil {
			return err
		}
	}
	at, err := l.log.AppendReplica(batches)
	if err != nil {
		return err
	}
	if l.due == kafka.Never {
		l.due = l.w.Now().Add(checkpointAfter)
	}
	return l.log.WaitHeld(at, kafka.Never)
}

// maybeCheckpoint writes a checkpoint if one is due. Blocks.
func (l *raftLog) maybeCheckpoint() error {
	if l.w.Now() < l.due {
		return nil
	}
	return l.checkpoint()
}

// checkpoint makes durable how far the log is durable. Blocks.
func (l *raftLog) checkpoint() error {
	l.due = kafka.Never
	err := l.log.Checkpoint()
	if full(err) {
		l.w.Probe("the metadata log had no space for a checkpoint")
		l.due = l.w.Now().Add(checkpointAfter)
		return nil
	}
	return err
}

// read returns the entries from an index on. Blocks.
func (l *raftLog) read(from uint64) ([]entry, error) {
	var out []entry
	for at := kafka.Offset(from - 1); at < l.log.Written(); {
		batches, err := readChunk(l.log, at)
		if err != nil {
			return nil, err
		}
		for b, err := range record.All(batches) {
			if err != nil {
				return nil, err
			}
			e, err := entryIn(b)
			if err != nil {
				return nil, err
			}
			if e.offset() != at {
				return nil, fmt.Errorf("offset %d follows %d: %w", e.offset(), at-1, errMalformed)
			}
			out = append(out, e)
			at++
		}
	}
	return out, nil
}

// readChunk returns whole batches from an offset on, at least one. Blocks.
func readChunk(log *commitlog.Log, from kafka.Offset) ([]byte, error) {
	c, err := log.Read(from, 1<<20, log.Written(), commitlog.TakeOversize)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	if c.Len() == 0 {
		return nil, fmt.Errorf("nothing at offset %d of %d: %w", from, log.Written(), errMalformed)
	}
	b := make([]byte, c.Len())
	return b, c.Copy(b)
}

// compact forgets the entries up to an index, which a snapshot stands for.
// Blocks.
func (l *raftLog) compact(upTo uint64) error {
	if upTo < l.first() {
		return nil
	}
	_, err := l.log.DeleteRecords(kafka.Offset(upTo))
	return err
}

// reset forgets everything: the next entry is the one behind an index. Blocks.
func (l *raftLog) reset(index uint64) error { return l.log.Reset(kafka.Offset(index)) }

// entry reads one entry. Blocks.
func (l *raftLog) entry(index uint64) (entry, error) {
	batches, err := readChunk(l.log, kafka.Offset(index)-1)
	if err != nil {
		return entry{}, err
	}
	b, _, err := record.View(batches)
	if err != nil {
		return entry{}, err
	}
	e, err := entryIn(b)
	if err == nil && e.index != index {
		err = fmt.Errorf("offset %d where %d was looked for: %w", e.offset(), index-1, errMalformed)
	}
	return e, err
}
