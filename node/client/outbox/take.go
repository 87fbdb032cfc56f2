package outbox

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// NeedsProducer reports whether batches have to wait for a producer id, which
// the caller gets from a broker and passes to SetProducer.
func (o *Outbox) NeedsProducer() bool { return o.wantID }

// SetProducer hands over a producer id nobody else uses.
func (o *Outbox) SetProducer(p Producer) {
	o.producer, o.wantID = p, false
}

// Ready returns the partitions that have a batch to take at that time, those
// first that have waited longest for their turn.
func (o *Outbox) Ready(now kafka.Instant) []kafka.TopicPartition {
	var ready []kafka.TopicPartition
	for _, p := range o.order {
		if o.candidate(p, now) != nil {
			ready = append(ready, p.tp)
		}
	}
	return ready
}

// Peek returns the batch that Take would, or nil.
func (o *Outbox) Peek(tp kafka.TopicPartition, now kafka.Instant) *Batch {
	p := o.partitions[tp]
	if p == nil || len(p.queue) == 0 {
		return nil
	}
	return o.candidate(p, now)
}

// Take returns the partition's next batch, in flight from now on and with its
// identity, or nil if there is none to send. The caller reports what became of it
// with Answer, once.
func (o *Outbox) Take(tp kafka.TopicPartition, now kafka.Instant) *Batch {
	b := o.Peek(tp, now)
	if b == nil {
		return nil
	}
	p := o.partitions[tp]
	if o.c.Idempotent && !b.Assigned && !o.assign(p, b) {
		return nil
	}
	b.complete, b.inFlight = true, true
	b.Attempts++
	o.rotate(p)
	return b
}

// assign gives a batch its identity; it reports false if there is none to give.
func (o *Outbox) assign(p *partition, b *Batch) bool {
	if p.tracker.producer == NoProducer {
		p.tracker.producer = o.producer
	}
	if p.tracker.stale && !p.tracker.renew(o.producer) {
		o.wantID = true
		return false
	}
	p.tracker.assign(b)
	return true
}

// rotate sends a partition to the end of the order, so that a full request does
// not starve those behind it.
func (o *Outbox) rotate(p *partition) {
	if i := slices.Index(o.order, p); i >= 0 {
		o.order = append(slices.Delete(o.order, i, i+1), p)
	}
}

// candidate returns the batch of p to send at that time. A batch that was sent
// before, or as part of another, goes alone: what is in flight has come back
// first, so that retries keep the order.
func (o *Outbox) candidate(p *partition, now kafka.Instant) *Batch {
	inFlight := 0
	for _, b := range p.queue {
		if b.inFlight {
			inFlight++
			continue
		}
		switch {
		case inFlight >= o.c.MaxInFlight,
			(b.Attempts > 0 || b.piece) && inFlight > 0,
			now < b.notUntil,
			!o.due(b, now),
			o.c.Idempotent && !o.identifiable(p, b),
			o.c.Idempotent && inFlight > 0 && !p.tracker.settled:
			return nil
		}
		return b
	}
	return nil
}

// due reports whether a batch has waited long enough for more records.
func (o *Outbox) due(b *Batch, now kafka.Instant) bool {
	return b.complete || now >= b.Created.Add(o.c.Linger)
}

// identifiable reports whether a batch has an identity or can get one now: a
// stale partition first waits for the batches with the old one, and the oldest
// batch must stay among those the broker remembers.
func (o *Outbox) identifiable(p *partition, b *Batch) bool {
	if b.Assigned {
		return true
	}
	if o.wantID {
		return false
	}
	if !p.anyAssigned() {
		return true
	}
	return !p.tracker.stale && p.tracker.count-p.queue[0].ordinal < MaxWindow
}

func (p *partition) anyAssigned() bool {
	return len(p.queue) > 0 && p.queue[0].Assigned // invariant 2: the oldest have them
}

// Next returns the earliest time at which Ready or Expire may say something new
// without anything else happening.
func (o *Outbox) Next(now kafka.Instant) kafka.Instant {
	next := kafka.Never
	for _, p := range o.order {
		for _, b := range p.queue {
			next = min(next, b.deadline)
			if b.inFlight {
				continue
			}
			if at := max(b.notUntil, o.lingersUntil(b)); at > now {
				next = min(next, at)
			}
			break // later ones neither go nor expire before it
		}
	}
	return next
}

func (o *Outbox) lingersUntil(b *Batch) kafka.Instant {
	if b.complete {
		return 0
	}
	return b.Created.Add(o.c.Linger)
}
