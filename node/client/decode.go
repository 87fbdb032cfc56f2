package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// A decoder turns fetched bytes of one partition into records. It is pure.
type decoder struct {
	codecs *record.Codecs
	tp     kafka.TopicPartition
	limit  int // bytes a batch may have uncompressed
	check  checks
}

// checks says which checksums a consumer looks at.
type checks bool

const (
	checkNothing checks = false // check.crcs=false
	checkCRCs    checks = true
)

// decode returns the records from an offset on. With an error the chunk holds what
// came before the batch that is broken.
func (d decoder) decode(b []byte, from kafka.Offset) (chunk, error) {
	ch := chunk{end: from, epoch: kafka.NoLeaderEpoch, bytes: len(b)}
	ch.records = make([]Record, 0, announced(b))
	for len(b) > 0 {
		batch, size, err := record.View(b)
		if errors.Is(err, record.ErrShort) && ch.end > from {
			return ch, nil // brokers may cut the last batch
		}
		if err != nil {
			return ch, fmt.Errorf("batch at offset %d or later: %w", ch.end, err)
		}
		b = b[size:]
		if batch.EndOffset() <= ch.end {
			continue // all of it comes before what was asked for
		}
		if err := d.batch(&ch, batch); err != nil {
			return ch, err
		}
	}
	return ch, nil
}

// mostAnnounced bounds the memory that is taken because headers say so.
const mostAnnounced = 1 << 15

// announced returns how many records the headers of batches tell of, within
// reason.
func announced(b []byte) int {
	n := 0
	for len(b) > 0 && n < mostAnnounced {
		batch, size, err := record.View(b)
		if err != nil {
			break
		}
		n += int(max(batch.Count(), 0))
		b = b[size:]
	}
	return min(n, mostAnnounced)
}

// batch adds one batch's records to a chunk, all or none.
func (d decoder) batch(ch *chunk, batch record.Batch) error {
	if d.check == checkCRCs {
		if err := batch.CheckCRC(); err != nil {
			return err
		}
	}
	if !batch.Control() {
		if err := d.records(ch, batch); err != nil {
			return err
		}
	}
	ch.end, ch.epoch = batch.EndOffset(), batch.LeaderEpoch()
	return nil
}

// records adds a batch's records that are not before the chunk's end, all or none.
func (d decoder) records(ch *chunk, batch record.Batch) error {
	payload, err := d.payload(batch)
	if err != nil {
		return err
	}
	before := len(ch.records)
	last := batch.BaseOffset() - 1
	it := batch.RecordsFrom(payload)
	for it.Next() {
		r := it.Record()
		if r.Offset <= last || r.Offset >= batch.EndOffset() {
			ch.records = ch.records[:before]
			return fmt.Errorf("record at offset %d after %d in batch [%d,%d): %w", r.Offset, last,
				batch.BaseOffset(), batch.EndOffset(), record.ErrInvalid)
		}
		if last = r.Offset; r.Offset < ch.end {
			continue
		}
		ch.records = append(ch.records, d.record(batch, r))
	}
	if err := it.Err(); err != nil {
		ch.records = ch.records[:before]
		return err
	}
	return nil
}

// payload returns a batch's records, decompressed, in memory that is theirs alone.
func (d decoder) payload(batch record.Batch) ([]byte, error) {
	payload, err := d.codecs.Unpack(batch, d.limit)
	if err != nil || batch.Compression() == record.None {
		return payload, err
	}
	return bytes.Clone(payload), nil // the memory of what was decompressed is the codecs'
}

func (d decoder) record(batch record.Batch, r record.Record) Record {
	return Record{
		Topic: d.tp.Topic, Partition: d.tp.Partition, Offset: r.Offset, Epoch: batch.LeaderEpoch(),
		Timestamp: r.Timestamp, Key: r.Key, Value: r.Value, Headers: slices.Clone(r.Headers),
	}
}
