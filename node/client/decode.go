package client

import (
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
}

// decode returns the records from an offset on. Every batch's checksum is
// checked. With an error the chunk holds what came before the batch that is
// broken.
func (d decoder) decode(b []byte, from kafka.Offset) (chunk, error) {
	ch := chunk{end: from, bytes: len(b)}
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

// batch adds one batch's records to a chunk, all or none.
func (d decoder) batch(ch *chunk, batch record.Batch) error {
	if err := batch.CheckCRC(); err != nil {
		return err
	}
	if batch.Control() {
		ch.end = batch.EndOffset()
		return nil
	}
	var records []Record
	last := batch.BaseOffset() - 1
	it := d.codecs.Records(batch, d.limit)
	for it.Next() {
		r := it.Record()
		if r.Offset <= last || r.Offset >= batch.EndOffset() {
			return fmt.Errorf("record at offset %d after %d in batch [%d,%d): %w", r.Offset, last,
				batch.BaseOffset(), batch.EndOffset(), record.ErrInvalid)
		}
		if last = r.Offset; r.Offset >= ch.end {
			records = append(records, d.record(batch, r))
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	ch.records = append(ch.records, records...)
	ch.end = batch.EndOffset()
	return nil
}

func (d decoder) record(batch record.Batch, r record.Record) Record {
	out := Record{
		Topic: d.tp.Topic, Partition: d.tp.Partition, Offset: r.Offset, Epoch: batch.LeaderEpoch(),
		Timestamp: r.Timestamp, Key: r.Key, Value: r.Value, Headers: slices.Clone(r.Headers),
	}
	if batch.Compression() == record.None {
		return out
	}
	// The memory of what was decompressed is the codecs'.
	out.Key, out.Value = slices.Clone(r.Key), slices.Clone(r.Value)
	for i := range out.Headers {
		out.Headers[i].Value = slices.Clone(out.Headers[i].Value)
	}
	return out
}
