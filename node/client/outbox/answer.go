package outbox

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// ErrExpired: the delivery timeout passed before the batch was acknowledged.
var ErrExpired = errors.New("delivery timed out")

// ErrAbandoned: the producer was closed before the batch was acknowledged.
var ErrAbandoned = errors.New("producer closed")

// A Fate is what an attempt came to.
type Fate uint8

const (
	// Appended: the broker holds the batch as acks asked.
	Appended Fate = iota + 1

	// Handed: acks=0, the bytes were written.
	Handed

	// NotAppended: this attempt was not appended and never will be.
	NotAppended

	// MaybeAppended: this attempt may have been appended, or may yet be.
	MaybeAppended
)

// A Verdict is what a broker, or the lack of its answer, says of an attempt.
type Verdict struct {
	Fate      Fate
	Base      kafka.Offset
	Timestamp kafka.Timestamp
	Err       error         // for NotAppended and MaybeAppended
	Final     bool          // trying again changes nothing
	RetryAt   kafka.Instant // else, when to try again
}

// Answer takes in what became of a batch that Take returned, and returns the
// batches that ended by it. A batch that has ended is left as it is.
func (o *Outbox) Answer(b *Batch, v Verdict) []*Batch {
	b.inFlight = false
	if b.Ended() {
		return nil
	}
	if v.Fate == MaybeAppended {
		b.tainted = true
	}
	p := o.partitions[b.Partition]
	var ended []*Batch
	switch v.Fate {
	case Appended:
		p.tracker.settled = p.tracker.settled || b.Identity.Producer == p.tracker.producer
		ended = o.end(b, Result{Outcome: Acked, Base: v.Base, Timestamp: v.Timestamp})
	case Handed:
		ended = o.end(b, noOffset(Sent, nil))
	default:
		b.lastErr, b.notUntil = v.Err, v.RetryAt
		ended = o.refused(p, b, v)
	}
	return append(ended, o.settle(p)...)
}

// refused decides what follows from an attempt that was not acknowledged.
func (o *Outbox) refused(p *partition, b *Batch, v Verdict) []*Batch {
	switch code := kafka.ErrorOf(v.Err); {
	case o.c.Idempotent && code == kafka.ErrDuplicateSequence:
		return o.duplicate(p, b)
	case o.c.Idempotent && sequenceRefused(code):
		return o.outOfOrder(p, b, code)
	case v.Final, b.Attempts > o.c.Retries:
		return o.fail(p, b, v.Err)
	}
	return nil
}

func noOffset(what Outcome, why error) Result {
	return Result{Outcome: what, Base: kafka.NoOffset, Timestamp: kafka.NoTimestamp, Err: why}
}

// sequenceRefused reports whether a code says that the broker does not accept
// the batch's identity.
func sequenceRefused(code kafka.Error) bool {
	switch code {
	case kafka.ErrOutOfOrderSequence, kafka.ErrUnknownProducerID, kafka.ErrInvalidProducerEpoch:
		return true
	}
	return false
}

// duplicate handles a batch the broker says it has, too long ago to tell its
// offset. If the batch was never sent before, somebody else used its numbers, and
// its records may be lost in the mistake.
func (o *Outbox) duplicate(p *partition, b *Batch) []*Batch {
	if b.tainted {
		return o.end(b, noOffset(Acked, nil))
	}
	p.tracker.stale = true
	return o.end(b, noOffset(Unknown, b.lastErr))
}

// outOfOrder handles a batch whose numbers the broker refused. This attempt was
// not appended. If an earlier batch is not yet through, that explains it, and
// this one follows it again. Otherwise the chain is broken: the partition needs
// a new identity, and the batch too, if no attempt of it may be in the log.
func (o *Outbox) outOfOrder(p *partition, b *Batch, code kafka.Error) []*Batch {
	if p.queue[0] != b && code == kafka.ErrOutOfOrderSequence {
		b.notUntil = 0
		return nil
	}
	p.tracker.stale = true
	if code == kafka.ErrInvalidProducerEpoch && p.tracker.producer.ID == o.producer.ID {
		o.wantID = true // somebody got past our epochs: none of them will do
	}
	if b.tainted {
		return o.end(b, noOffset(Unknown, b.lastErr))
	}
	return nil
}

// fail ends a batch that will not be sent again.
func (o *Outbox) fail(p *partition, b *Batch, why error) []*Batch {
	r := noOffset(Failed, why)
	if b.tainted || b.inFlight {
		r.Outcome = Unknown
	}
	if b.Assigned {
		if r.Outcome == Failed && p.lastAssigned() == b && !p.tracker.stale {
			p.giveBack(b)
		} else {
			p.tracker.stale = true
		}
	}
	return o.end(b, r)
}

func (p *partition) lastAssigned() *Batch {
	var last *Batch
	for _, b := range p.queue {
		if !b.Assigned {
			break
		}
		last = b
	}
	return last
}

// settle prepares a stale partition for its new identity: once nothing is in
// flight, batches that were certainly not appended lose the old identity. A
// tainted one behind such a batch ends as Unknown: sent again under the old
// identity it would come out before its predecessor.
func (o *Outbox) settle(p *partition) []*Batch {
	if !p.tracker.stale || slices.ContainsFunc(p.queue, func(b *Batch) bool { return b.inFlight }) {
		return nil
	}
	var ended []*Batch
	clean := false
	for _, b := range slices.Clone(p.queue) {
		switch {
		case !b.Assigned:
		case !b.tainted:
			clean = true
		case clean:
			ended = append(ended, o.end(b, noOffset(Unknown, b.lastErr))...)
		}
	}
	if len(p.queue) > 0 && p.queue[0].tainted {
		return ended // it is resolved first, under the identity it has
	}
	for _, b := range p.queue {
		b.Identity, b.Assigned = Identity{}, false
	}
	return ended
}

// Expire ends the batches whose delivery timeout has passed, and returns them
// with those that end because of it.
func (o *Outbox) Expire(now kafka.Instant) []*Batch {
	late := func(p *partition) bool { return p.queue[0].deadline <= now } // the oldest is the first
	if !slices.ContainsFunc(o.order, late) {
		return nil // as nearly always
	}
	var ended []*Batch
	for _, p := range slices.Clone(o.order) {
		for _, b := range slices.Clone(p.queue) {
			if now >= b.deadline {
				ended = append(ended, o.fail(p, b, expired(b))...)
			}
		}
		ended = append(ended, o.settle(p)...)
	}
	return ended
}

func expired(b *Batch) error {
	if b.lastErr == nil {
		return fmt.Errorf("%s: %d records, %d attempts: %w", b.Partition, b.Count, b.Attempts, ErrExpired)
	}
	return fmt.Errorf("%s: %d records, %d attempts: %w; last: %w", b.Partition, b.Count, b.Attempts,
		ErrExpired, b.lastErr)
}

// Abandon ends every batch, because of why.
func (o *Outbox) Abandon(why error) []*Batch {
	var ended []*Batch
	for _, p := range slices.Clone(o.order) {
		for _, b := range slices.Clone(p.queue) {
			ended = append(ended, o.fail(p, b, why)...)
		}
	}
	return ended
}

// end takes a batch out of its queue, and returns it.
func (o *Outbox) end(b *Batch, r Result) []*Batch {
	b.Result = r
	o.used -= b.Size
	p := o.partitions[b.Partition]
	if i := slices.Index(p.queue, b); i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	}
	if i := slices.Index(o.order, p); i >= 0 && len(p.queue) == 0 {
		o.order = slices.Delete(o.order, i, i+1)
	}
	return []*Batch{b}
}
