package quorum

import (
	"errors"
	"fmt"

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
}

// Segments are small, since a snapshot removes only whole ones.
const minSegment, maxSegment = 64 << 10, 64 << 20

// openLog opens the metadata log. Blocks.
func openLog(w *env.World, d *commitlog.Dir, snapshotEvery int64) (*raftLog, error) {
	l := &raftLog{w: w, config: commitlog.Defaults()}
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
	return l.log.WaitHeld(at, kafka.Never)
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
	if err != nil {
		return err
	}
	return l.log.Checkpoint()
}

// reset forgets everything: the next entry is the one behind an index. Blocks.
func (l *raftLog) reset(index uint64) error { return l.log.Reset(kafka.Offset(index)) }

// refused reports whether an append did not happen for want of space.
func refused(err error) bool { return errors.Is(err, commitlog.ErrRefused) }

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
