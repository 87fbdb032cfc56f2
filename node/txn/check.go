package txn

import (
	"fmt"
	"math"

	"github.com/klammlog/klamm/node/kafka"
)

// A Verdict says what to do with a batch.
type Verdict uint8

// The verdicts.
const (
	Append     Verdict = iota // it is new
	Duplicate                 // it was appended before: repeat the answer it got
	OutOfOrder                // records before it are missing, or it is too old to tell
	Fenced                    // the producer has a newer epoch
)

var verdictNames = [...]string{"append", "duplicate", "out of order", "fenced"}

func (v Verdict) String() string { return verdictNames[v] }

// A Decision is a verdict with its reasons.
type Decision struct {
	Verdict   Verdict
	Batch     Batch               // what was judged; of a duplicate, what was appended first
	Epoch     kafka.ProducerEpoch // the producer's latest
	LastKnown kafka.Sequence      // the last sequence of that epoch
}

// Err returns what the producer is told: nil for Append and Duplicate. Kafka 4
// never answers UNKNOWN_PRODUCER_ID to a producer.
func (d Decision) Err() error {
	switch d.Verdict {
	case OutOfOrder:
		return fmt.Errorf("producer %d epoch %d: sequence %d after %d of epoch %d: %w",
			d.Batch.Producer, d.Batch.Epoch, d.Batch.First, d.LastKnown, d.Epoch, kafka.ErrOutOfOrderSequence)
	case Fenced:
		return fmt.Errorf("producer %d epoch %d: latest epoch is %d: %w",
			d.Batch.Producer, d.Batch.Epoch, d.Epoch, kafka.ErrInvalidProducerEpoch)
	}
	return nil
}

// Check decides about a batch as it came from a producer:
//
//  1. A producer that is not known may begin with any sequence: its records may
//     have been deleted, or its state expired. If that batch is undone, it begins
//     with it again.
//  2. An older epoch than the latest is fenced.
//  3. The first batch of a newer epoch has sequence 0.
//  4. A batch with the first and last sequence of one of the last five of its
//     epoch is that batch, sent again.
//  5. Any other continues where the last one ended. After the largest sequence
//     comes 0.
//
// It changes nothing.
func (p *Producers) Check(b Batch) Decision {
	b.mustBeIdempotent()
	s, known := p.known[b.Producer]
	if !known {
		return Decision{Verdict: Append, Batch: b, Epoch: noEpoch, LastKnown: kafka.NoSequence}
	}
	d := Decision{Verdict: Append, Batch: b, Epoch: s.epoch, LastKnown: s.lastSequence()}
	switch {
	case b.Epoch < s.epoch:
		d.Verdict = Fenced
	case b.Epoch > s.epoch:
		if b.First != 0 {
			d.Verdict = OutOfOrder
		}
	default:
		d.checkSequence(s)
	}
	return d
}

func (d *Decision) checkSequence(s *producer) {
	for _, old := range s.window() {
		if old.first == d.Batch.First && old.last == d.Batch.Last {
			d.Verdict = Duplicate
			d.Batch.Base, d.Batch.Timestamp = old.base, old.timestamp
			return
		}
	}
	if d.Batch.First != next(s.lastSequence()) {
		d.Verdict = OutOfOrder
	}
}

// next returns the sequence after s; after none, 0.
func next(s kafka.Sequence) kafka.Sequence { return s.Add(1) }

// distance returns how far last is after first, wrapping.
func distance(first, last kafka.Sequence) int32 {
	return int32((int64(last) - int64(first)) & math.MaxInt32)
}
