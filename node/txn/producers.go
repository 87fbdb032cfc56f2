// Package txn decides whether what an idempotent producer sends to a partition
// is new, was appended before, or must not be appended (KIP-98, KIP-360).
//
// It is pure: it neither reads logs nor clocks. The log asks Check before it
// assigns offsets, tells Record what it appended, and after a restart tells
// Record everything again from the last snapshot on.
//
// It promises what Kafka 4 promises: a batch among the last five of its
// producer, sent again, is recognised and its first answer can be repeated. It
// does not remember more, nor anything beyond a producer's expiry.
//
// The one rule: every Record is followed by Settle, once the batch is where it
// cannot be lost from, or by Undo, if it was not appended after all.
package txn

import (
	"maps"
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// Window is how many batches of each producer are remembered. Clients keep at
// most so many requests in flight.
const Window = 5

// A Batch is what a partition knows of one batch of an idempotent producer.
type Batch struct {
	Producer kafka.ProducerID
	Epoch    kafka.ProducerEpoch
	First    kafka.Sequence
	Last     kafka.Sequence // smaller than First where the numbers wrap
	Base     kafka.Offset   // of the first record; Check does not look at it

	// Timestamp is given back with a duplicate, and the producer's expiry
	// counts from it. A batch without one would expire at once.
	Timestamp kafka.Timestamp
}

// mustBeIdempotent panics unless the batch has a producer and sequences. The
// condition stands before the assertion because boxing its arguments costs more
// than all the rest.
func (b Batch) mustBeIdempotent() {
	if b.Producer < 0 || b.Epoch < 0 || b.First < 0 || b.Last < 0 {
		assert.That(false, "producer %d epoch %d sequences %d to %d", b.Producer, b.Epoch, b.First, b.Last)
	}
}

// end returns the offset after the batch's last record.
func (b Batch) end() kafka.Offset { return b.Base + kafka.Offset(distance(b.First, b.Last)) + 1 }

// end returns the offset after the batch's last record.
func (b appended) end() kafka.Offset { return b.base + kafka.Offset(distance(b.first, b.last)) + 1 }

// An appended is a batch in the window.
type appended struct {
	first, last kafka.Sequence
	base        kafka.Offset
	timestamp   kafka.Timestamp
}

// A producer is one producer's state in one partition.
type producer struct {
	epoch   kafka.ProducerEpoch
	seen    kafka.Timestamp // the timestamp of what it sent last
	count   int8            // how many of batches are in use
	batches [Window]appended

	// skipped is the sequence before the first that was ever sent here, where
	// Undo has left no batch: the producer will begin with it again.
	skipped kafka.Sequence
}

// Producers is the state of all idempotent producers of one partition. The zero
// value knows none.
//
// Invariants, which Consistent verifies: of each producer the offsets of the
// batches grow; undo is in order of offsets. Sequences need not follow each
// other: what another replica had, this one takes.
type Producers struct {
	known map[kafka.ProducerID]*producer
	undo  []change
}

// A change is what Undo takes back.
type change struct {
	id     kafka.ProducerID
	end    kafka.Offset // of the batch that changed it
	before producer
	was    presence
}

type presence bool

const (
	absent  presence = false
	present presence = true
)

// Len returns how many producers are known.
func (p *Producers) Len() int { return len(p.known) }

// Record notes a batch that was appended, from a producer, from another replica
// or from the log itself. What the log holds is true: nothing is checked. A
// batch of another epoch forgets those before.
func (p *Producers) Record(b Batch) {
	b.mustBeIdempotent()
	s := p.change(b.Producer, b.end())
	s.enter(b.Epoch)
	s.push(appended{b.First, b.Last, b.Base, b.Timestamp})
	s.seen = b.Timestamp
}

// RecordMarker notes the end of a producer's transaction, which has no sequence
// but an epoch: from then on older ones are fenced.
func (p *Producers) RecordMarker(id kafka.ProducerID, epoch kafka.ProducerEpoch, at kafka.Offset, ts kafka.Timestamp) {
	s := p.change(id, at+1)
	s.enter(epoch)
	s.seen = ts
}

// change notes a producer's state for Undo and returns it, to be changed.
func (p *Producers) change(id kafka.ProducerID, end kafka.Offset) *producer {
	if n := len(p.undo); n > 0 && end <= p.undo[n-1].end {
		assert.That(false, "producer %d: batch ending at %d recorded after %d", id, end, p.undo[n-1].end)
	}
	s, known := p.known[id]
	if !known {
		if p.known == nil {
			p.known = make(map[kafka.ProducerID]*producer)
		}
		s = &producer{epoch: noEpoch}
		p.known[id] = s
	}
	p.undo = append(p.undo, change{id, end, *s, presence(known)})
	return s
}

// noEpoch is the epoch of a producer that nothing is known of.
const noEpoch kafka.ProducerEpoch = -1

func (s *producer) enter(epoch kafka.ProducerEpoch) {
	if s.epoch != epoch {
		*s = producer{epoch: epoch, skipped: kafka.NoSequence}
	}
}

// push adds a batch to the window; the oldest leaves it.
func (s *producer) push(b appended) {
	if s.count == Window {
		copy(s.batches[:], s.batches[1:])
		s.count--
	}
	s.batches[s.count] = b
	s.count++
}

// window returns the remembered batches, the oldest first.
func (s *producer) window() []appended { return s.batches[:s.count] }

// lastSequence returns the sequence after which the next batch begins.
func (s *producer) lastSequence() kafka.Sequence {
	if s.count == 0 {
		return s.skipped
	}
	return s.batches[s.count-1].last
}

// keepUndo bounds the memory that an idle partition keeps after a burst.
const keepUndo = 16

// Settle notes that everything below end will not be undone.
func (p *Producers) Settle(end kafka.Offset) {
	n := 0
	for n < len(p.undo) && p.undo[n].end <= end {
		n++
	}
	p.undo = slices.Delete(p.undo, 0, n)
	if len(p.undo) == 0 && cap(p.undo) > keepUndo {
		p.undo = nil
	}
}

// Undo takes back what was recorded of batches that end after end, because they
// were not appended after all. It reaches back to what was settled. A producer of
// which nothing remains stays known all the same: otherwise the second of its
// requests in flight would be let in before the first is repeated.
func (p *Producers) Undo(end kafka.Offset) {
	for n := len(p.undo); n > 0 && p.undo[n-1].end > end; n-- {
		c := p.undo[n-1]
		s := p.known[c.id]
		if c.was == absent {
			c.before = begin(s)
		}
		*s = c.before
		p.undo = p.undo[:n-1]
	}
}

// begin returns the state of a producer that has yet to repeat its first batch.
func begin(s *producer) producer {
	skipped := kafka.NoSequence
	if s.count > 0 {
		skipped = s.batches[0].first - 1
	}
	return producer{epoch: s.epoch, seen: s.seen, skipped: skipped}
}

// Expire forgets producers that sent nothing for the given number of
// milliseconds, and returns how many. A producer with something to undo stays.
func (p *Producers) Expire(now kafka.Timestamp, after int64) int {
	pending := make(map[kafka.ProducerID]bool, len(p.undo))
	for _, c := range p.undo {
		pending[c.id] = true
	}
	before := len(p.known)
	maps.DeleteFunc(p.known, func(id kafka.ProducerID, s *producer) bool {
		return !pending[id] && s.seen <= now && int64(now-s.seen) >= after
	})
	return before - len(p.known)
}

// Below returns what is known of batches that end at or below an offset, for a log that
// begins there: what comes behind it sees for itself.
func (p *Producers) Below(at kafka.Offset) *Producers {
	out := &Producers{known: make(map[kafka.ProducerID]*producer)}
	for id, s := range p.known { //klamm:unordered into a map
		below := *s
		for below.count > 0 && below.batches[below.count-1].end() > at {
			below.count--
		}
		switch {
		case below.count > 0:
			clear(below.batches[below.count:])
			below.seen = below.batches[below.count-1].timestamp
		case s.count > 0:
			continue
		}
		out.known[id] = &below
	}
	return out
}

// Reset forgets everything, before a truncated log is read again.
func (p *Producers) Reset() { *p = Producers{} }

// ids returns the known producers in order.
func (p *Producers) ids() []kafka.ProducerID { return slices.Sorted(maps.Keys(p.known)) }
