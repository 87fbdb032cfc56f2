package outbox

import (
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A Piece is what a part of a batch holds.
type Piece struct {
	Count int32
	Size  int
}

// Splits reports whether a verdict asks for the batch to be split: the broker
// takes no batch of its size, but may take its records in smaller ones.
func (b *Batch) Splits(v Verdict) bool {
	return v.Fate == NotAppended && kafka.ErrorOf(v.Err) == kafka.ErrMessageTooLarge && b.Count > 1 && !b.Ended()
}

// Split replaces a batch that was refused by its pieces, which together hold its
// records, and returns them. It is called instead of Answer, after Splits.
//
// The pieces share the batch's sequences, number and deadline: what was sent
// behind it carries the sequences that follow. Should an earlier attempt of the
// batch be in the log, or come to be, the broker refuses the first piece, which
// begins with the same sequence, and the others after it; or it refuses the batch
// because it has the piece. Pieces go one at a time, as retries do, so that from
// the oldest one on the broker has no more batches to remember than before.
func (o *Outbox) Split(b *Batch, pieces []Piece) []*Batch {
	p := o.partitions[b.Partition]
	at := slices.Index(p.queue, b)
	assert.That(at >= 0 && b.inFlight, "batch %d is split while it is not in flight", b.Number)
	b.inFlight = false
	var out []*Batch
	first, count := b.Identity.First, int32(0)
	for _, piece := range pieces {
		part := *b
		part.Count, part.Size = piece.Count, piece.Size
		part.Identity.First = first.Add(count)
		part.Attempts, part.piece, part.Cargo = 0, true, nil
		count += piece.Count
		o.used += piece.Size
		out = append(out, &part)
	}
	assert.That(count == b.Count, "batch %d of %d records split into %d", b.Number, b.Count, count)
	o.used -= b.Size
	p.queue = slices.Replace(p.queue, at, at+1, out...)
	return out
}
