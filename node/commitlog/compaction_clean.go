package commitlog

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/node/txn"
)

// A cleaner decides what is kept of each batch in one pass over a log, from its
// beginning. It is pure: the disk's part is to bring batches and take bytes.
//
// What it promises:
//
//  1. The last record of each key up to the end of the pass is kept, in its
//     place and with its offset, unless it is a tombstone past its horizon.
//  2. A tombstone is kept for delete.retention.ms after the pass that found it
//     first, so that a reader who began before sees it (KIP-534); and so is a
//     transaction's marker after the last of its records.
//  3. Records of aborted transactions go; markers stay as long as a record of
//     their transaction does.
//  4. A producer's last batches that are decided stay, if only as headers, with their
//     sequences: all that may be sent again and is to be recognised, also by a replica
//     that fetches the compacted log anew. Kafka keeps the last one only. So does the
//     last batch of the pass, so that there is something to read up to its offset.
type cleaner struct {
	keys      *lastOffsets
	outcomes  *outcomes
	end       kafka.Offset // of the pass
	now       kafka.Timestamp
	retention kafka.Timestamp // delete.retention.ms
	last      map[kafka.ProducerID]txn.Info

	// seen holds producers of which a batch of the current transaction was met.
	seen map[kafka.ProducerID]bool

	codecs  *record.Codecs
	rewrite record.Rewrite
	keep    []bool // for each record of the batch at hand

	stats cleanStats
}

// cleanStats counts what a pass did.
type cleanStats struct {
	Read, Kept       int64 // records
	Tombstones       int64 // records, removed past their horizon
	Keyless          int64 // records, removed for lack of a key
	Rewritten, Empty int64 // batches, and those of which only the header is kept
}

// newCleaner returns a cleaner for one pass. The producers are those of the log, as
// they were at its end or behind, where everything is decided.
func newCleaner(keys *lastOffsets, o *outcomes, producers []txn.Info) *cleaner {
	c := &cleaner{keys: keys, outcomes: o, end: keys.end,
		last: make(map[kafka.ProducerID]txn.Info, len(producers)),
		seen: map[kafka.ProducerID]bool{}, codecs: new(record.Codecs)}
	for _, p := range producers {
		c.last[p.ID] = p
	}
	return c
}

// cleanBatch appends what is kept of a batch to dst: the very bytes, a rewritten
// batch, a header, or nothing. Batches come in the order of the log.
func (c *cleaner) cleanBatch(dst []byte, b record.Batch) ([]byte, error) {
	if b.BaseOffset() >= c.end {
		return append(dst, b.Bytes()...), nil
	}
	voided := c.voided(b)
	horizon, set := b.DeleteHorizon()
	past := set && horizon <= c.now
	if voided && (past || !b.Control()) {
		return c.empty(dst, b)
	}
	it := c.codecs.Records(b, maxUnpacked)
	writing := it // begins anew once it is decided what to write
	kept, tombstones := c.choose(b, &it, past)
	if it.Err() != nil {
		return dst, fmt.Errorf("%w: %w", ErrCorrupt, it.Err())
	}
	needsHorizon := !set && (tombstones || voided)
	switch {
	case kept == 0:
		return c.empty(dst, b)
	case kept == int(b.Count()) && !needsHorizon:
		return append(dst, b.Bytes()...), nil
	}
	c.stats.Rewritten++
	c.rewrite.Start(b)
	if needsHorizon {
		c.rewrite.SetHorizon(c.now + c.retention)
	}
	for i := 0; writing.Next(); i++ {
		if c.keep[i] {
			c.rewrite.Keep(writing.Record())
		}
	}
	return c.rewrite.AppendTo(dst, c.codecs)
}

// voided reports whether nothing of a batch counts any more: the records of an
// aborted transaction, or the marker of a transaction without records.
func (c *cleaner) voided(b record.Batch) bool {
	if !b.Transactional() {
		return false
	}
	if !b.Control() {
		c.seen[b.ProducerID()] = true
		return c.outcomes.of(b) == aborted
	}
	had := c.seen[b.ProducerID()]
	delete(c.seen, b.ProducerID())
	return !had
}

// choose fills c.keep, and returns how many records are kept and whether a
// tombstone is among them.
func (c *cleaner) choose(b record.Batch, it *record.Iterator, past bool) (kept int, tombstones bool) {
	c.keep = c.keep[:0]
	for it.Next() {
		keep := b.Control() || c.keeps(it, past)
		c.keep = append(c.keep, keep)
		c.stats.Read++
		if keep {
			kept++
			tombstones = tombstones || !b.Control() && it.Value() == nil
		}
	}
	c.stats.Kept += int64(kept)
	return kept, tombstones
}

// keeps decides about a record for an application. Past says that the horizon of
// its batch is.
func (c *cleaner) keeps(it *record.Iterator, past bool) bool {
	switch {
	case it.Offset() >= c.end:
		return true
	case it.Key() == nil:
		c.stats.Keyless++
		return false
	case c.keys.superseded(it.Key(), it.Offset()):
		return false
	case it.Value() == nil && past:
		c.stats.Tombstones++
		return false
	}
	return true
}

// empty keeps the header of a batch if its sequence or its offset is needed.
func (c *cleaner) empty(dst []byte, b record.Batch) ([]byte, error) {
	if !c.recognisable(b) && b.EndOffset() != c.keys.last {
		return dst, nil
	}
	c.stats.Empty++
	if b.Count() == 0 {
		return append(dst, b.Bytes()...), nil
	}
	c.rewrite.Start(b)
	return c.rewrite.AppendTo(dst, c.codecs)
}

// recognisable reports whether a batch is one of the last of its producer, or, where only
// its epoch is known, a marker of that epoch.
func (c *cleaner) recognisable(b record.Batch) bool {
	if b.ProducerID() == kafka.NoProducerID {
		return false
	}
	p, known := c.last[b.ProducerID()]
	if !known {
		return false
	}
	if p.LastOffset != kafka.NoOffset {
		return slices.Contains(p.Window, b.LastOffset())
	}
	return b.Control() && b.ProducerEpoch() == p.Epoch
}
