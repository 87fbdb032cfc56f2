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
	shipment  *shipment
	index     int32
	timestamp kafka.Timestamp
}

// Wait waits for the record's result. An error is about the waiting, and
// says nothing about the record: ErrDeadline or ErrCanceled. Blocks.
func (d *Delivery) Wait(deadline kafka.Instant) (Result, error) {
	for d.shipment.result.Outcome == 0 {
		if err := d.shipment.done.Wait(deadline); err != nil {
			if d.shipment.result.Outcome != 0 {
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
	batch   *outbox.Batch
	builder record.Builder
	result  outbox.Result
	done    env.Cond
}

// deliver sets the result. The records are no longer needed.
func (s *shipment) deliver(r outbox.Result) {
	s.result = r
	s.builder = record.Builder{}
	s.done.Broadcast()
}
