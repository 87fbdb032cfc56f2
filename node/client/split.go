package client

import (
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// maybeSplit makes several batches of one that was too large for the broker, and
// reports whether it did: the batch may end meanwhile. Blocks.
func (p *Producer) maybeSplit(b *outbox.Batch) bool {
	s := shipmentOf(b)
	whole := s.builder // complete: nobody appends any more
	var parts []record.Builder
	s.read = true
	p.w.Offload(func() { parts = halve(whole) })
	s.read = false
	if b.Ended() {
		return false // second look: its time was up
	}
	p.w.Probe("a batch was too large for the broker, and was split")
	pieces := make([]outbox.Piece, len(parts))
	for i := range parts {
		pieces[i] = outbox.Piece{Count: parts[i].Count(), Size: parts[i].Size()}
	}
	shipments := make([]*shipment, len(parts))
	for i, piece := range p.outbox.Split(b, pieces) {
		shipments[i] = &shipment{w: p.w, batch: piece, builder: parts[i]}
		piece.Cargo = shipments[i]
	}
	p.shipments += len(parts) - 1
	p.recycle(s)
	s.handOver(shipments)
	p.wake.Broadcast()
	return true
}

// halve returns the records of a batch of more than one in batches of about half
// the size, or of a single record that is larger. It is pure.
func halve(whole record.Builder) []record.Builder {
	batch, err := whole.Build(record.Spec{LeaderEpoch: kafka.NoLeaderEpoch}, nil)
	assert.NoError(err) // nothing is compressed
	limit := (record.HeaderSize + batch.Size()) / 2
	out := make([]record.Builder, 1, 3)
	it := batch.Records(batch.Size())
	for it.Next() {
		r := it.Record()
		if w := &out[len(out)-1]; w.Count() > 0 && w.SizeWith(r) > limit {
			out = append(out, record.Builder{})
		}
		out[len(out)-1].Append(r)
	}
	assert.NoError(it.Err()) // we have made it ourselves
	return out
}
