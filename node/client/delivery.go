package client

import (
	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// An Outcome is what may be said of a record that was sent.
type Outcome = outbox.Outcome

// The outcomes; see package outbox.
const (
	Acked   = outbox.Acked
	Failed  = outbox.Failed
	Unknown = outbox.Unknown
	Sent    = outbox.Sent
)

// A Result is what became of a record.
type Result struct {
	Outcome   Outcome
	Partition kafka.TopicPartition
	Offset    kafka.Offset    // kafka.NoOffset if it is not known, also for Acked: the broker may have forgotten
	Timestamp kafka.Timestamp // as the log has it
	Err       error           // nil for Acked and Sent
}

// A Delivery is a record on its way.
type Delivery struct {
	shipment  *shipment // which can become another, when a batch is split
	index     int32     // among the shipment's records
	timestamp kafka.Timestamp
	listener  Listener
}

// A Listener is told of records that have their result. Delivered must not block.
type Listener interface{ Delivered(d *Delivery) }

// Listen has l told when the record has its result, in the order of the records
// of a partition, as a rule; at once if it has one. It does not block.
func (d *Delivery) Listen(l Listener) {
	if d.Done() {
		l.Delivered(d)
		return
	}
	d.listener = l
}

// Wait waits for the record's result. An error is about the waiting, and
// says nothing about the record: ErrDeadline or ErrCanceled. Blocks.
func (d *Delivery) Wait(deadline kafka.Instant) (Result, error) {
	for !d.Done() {
		if err := d.shipment.wait(deadline); err != nil {
			if d.Done() {
				break // it came at the last moment
			}
			return Result{}, err
		}
	}
	return d.Result(), nil
}

// Done reports whether the record has its result.
func (d *Delivery) Done() bool { return d.shipment.result.Outcome != 0 }

// Partition returns where the record goes.
func (d *Delivery) Partition() kafka.TopicPartition { return d.shipment.batch.Partition }

// Result returns the result; before there is one its Outcome is 0.
func (d *Delivery) Result() Result {
	r := d.shipment.result
	out := Result{
		Outcome: r.Outcome, Partition: d.Partition(),
		Offset: kafka.NoOffset, Timestamp: d.timestamp, Err: r.Err,
	}
	if r.Outcome == Acked && r.Base != kafka.NoOffset {
		out.Offset = r.Base + kafka.Offset(d.index)
	}
	if r.Outcome == Acked && r.Timestamp != kafka.NoTimestamp {
		out.Timestamp = r.Timestamp
	}
	return out
}

// A shipment is the records of a batch, and who waits for them.
type shipment struct {
	w          *env.World
	batch      *outbox.Batch
	builder    record.Builder
	deliveries [][]Delivery // of its records, in chunks: one for each record would cost more than the record
	read       bool         // the builder is being read by somebody who offloads that
	result     outbox.Result
	done       env.Cond // the result is there, or the deliveries are another shipment's; nil until somebody waits
}

// wait waits until something has changed. Blocks.
func (s *shipment) wait(deadline kafka.Instant) error {
	if s.done == nil {
		s.done = s.w.NewCond("delivery to " + s.batch.Partition.String())
	}
	return s.done.Wait(deadline)
}

func (s *shipment) changed() {
	if s.done != nil {
		s.done.Broadcast()
	}
}

// The chunks of deliveries double from the first to the largest.
const (
	firstChunk = 4
	doublings  = 4
)

// register returns the delivery of the next record.
func (s *shipment) register(timestamp kafka.Timestamp) *Delivery {
	n := len(s.deliveries)
	if n == 0 || len(s.deliveries[n-1]) == cap(s.deliveries[n-1]) {
		s.deliveries = append(s.deliveries, make([]Delivery, 0, firstChunk<<min(n, doublings)))
		n++
	}
	chunk := append(s.deliveries[n-1], Delivery{shipment: s, index: s.builder.Count(), timestamp: timestamp})
	s.deliveries[n-1] = chunk
	return &chunk[len(chunk)-1]
}

// deliver sets the result. The records are no longer needed.
func (s *shipment) deliver(r outbox.Result) {
	s.result = r
	deliveries := s.deliveries
	s.deliveries = nil
	s.changed()
	for _, chunk := range deliveries {
		for i := range chunk {
			if l := chunk[i].listener; l != nil {
				l.Delivered(&chunk[i])
			}
		}
	}
}

// handOver makes the deliveries those of parts, which together hold the
// shipment's records in their order.
func (s *shipment) handOver(parts []*shipment) {
	chunks := s.deliveries
	s.deliveries = nil
	for _, part := range parts {
		for index := int32(0); index < part.batch.Count; {
			n := min(int32(len(chunks[0])), part.batch.Count-index)
			share := chunks[0][:n:n]
			for i := range share {
				share[i].shipment, share[i].index = part, index+int32(i)
			}
			part.deliveries = append(part.deliveries, share)
			index += n
			if chunks[0] = chunks[0][n:]; len(chunks[0]) == 0 {
				chunks = chunks[1:]
			}
		}
	}
	s.changed() // whoever waits looks where the record is now
}
