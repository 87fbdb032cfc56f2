// Package outbox decides what a producer sends next, under which sequence
// numbers, and what may be said of each batch in the end.
//
// It is pure: times and random numbers are arguments, answers of brokers are
// values. The producer around it encodes, sends and waits.
//
// The one rule everything serves: a batch that may have been appended is sent
// again only under the identity it had (producer id, epoch, first sequence), so
// that the broker recognizes it, or it ends with the outcome Unknown. It never
// gets a new identity and never ends as Failed.
package outbox

import (
	"fmt"
	"math"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// Config is how an Outbox behaves.
type Config struct {
	BatchSize       int           // batch.size: bytes after which a batch is complete
	Linger          time.Duration // linger.ms: how long an incomplete batch waits for more
	MaxInFlight     int           // per partition; at most 5 with idempotence, the window brokers remember
	DeliveryTimeout time.Duration // delivery.timeout.ms: from Add to the end
	Retries         int           // retries: further attempts after the first
	Memory          int           // buffer.memory: bytes of all batches that have not ended
	Idempotent      bool          // enable.idempotence
	Start           kafka.Sequence
}

// MaxWindow is how many batches per producer and partition a broker remembers.
const MaxWindow = 5

// An Outcome is what may be said of a batch that has ended.
type Outcome uint8

const (
	// Acked: it is in the log, as often as acks asked for.
	Acked Outcome = iota + 1

	// Failed: it is not in the log and never will be.
	Failed

	// Unknown: it may be in the log, now or later.
	Unknown

	// Sent: acks=0, it was handed to the connection. Nobody knows more.
	Sent
)

func (o Outcome) String() string {
	return [...]string{"none", "acked", "failed", "unknown", "sent"}[o]
}

// A Result is how a batch ended.
type Result struct {
	Outcome   Outcome
	Base      kafka.Offset    // of the first record; kafka.NoOffset if not known
	Timestamp kafka.Timestamp // the broker's, or kafka.NoTimestamp: the producer's holds
	Err       error           // why it was not acked
}

// A Batch is records of one partition that share a fate.
type Batch struct {
	Number    uint64 // of the batch within the outbox, in order of creation; pieces of one share it
	Partition kafka.TopicPartition
	Count     int32
	Size      int
	Identity  Identity // valid while Assigned
	Assigned  bool     // it has an identity
	Attempts  int      // how often it was taken
	Created   kafka.Instant
	Result    Result // once it has ended
	Cargo     any    // the caller's own; an outbox does not look at it

	ordinal  uint64 // among the batches of its identity, while Assigned
	complete bool   // takes no more records
	inFlight bool
	tainted  bool // some attempt may have been appended
	piece    bool // of a batch that was split
	notUntil kafka.Instant
	deadline kafka.Instant
	lastErr  error
}

// Ended reports whether the batch has its result.
func (b *Batch) Ended() bool { return b.Result.Outcome != 0 }

// Complete reports whether the batch takes no more records.
func (b *Batch) Complete() bool { return b.complete }

// An Outbox holds the batches of one producer until they end.
//
// Invariants, checked by Check:
//
//  1. at most Config.MaxInFlight batches of a partition are in flight
//  2. with idempotence, the assigned batches of a partition are the oldest, and
//     their sequences rise without overlap
//  3. a batch in flight, or tainted, is assigned, with idempotence
//  4. only the newest batch of a partition is incomplete
//  5. used is the sum of the sizes of the batches that have not ended
//  6. with idempotence, from a partition's oldest batch on no more than MaxWindow
//     batches were assigned, whatever became of them: the broker remembers no
//     more, and would not recognize the oldest when it is sent again. The pieces
//     of a batch count as one: only the last goes while others are in flight
//  7. two batches that may have been appended under one identity do not overlap,
//     but for the pieces of a batch with that batch: take assigns an identity from
//     the partition's tracker, and giveBack returns only what was never tainted
type Outbox struct {
	c          Config
	partitions map[kafka.TopicPartition]*partition
	order      []*partition // those with batches, in the order they came to have some
	used       int
	next       uint64
	producer   Producer
	wantID     bool
}

type partition struct {
	tp      kafka.TopicPartition
	queue   []*Batch // not ended, oldest first
	tracker tracker
}

// New returns an empty outbox.
func New(c Config) *Outbox {
	if c.Idempotent {
		c.MaxInFlight = min(c.MaxInFlight, MaxWindow)
	}
	return &Outbox{
		c:          c,
		partitions: make(map[kafka.TopicPartition]*partition),
		producer:   NoProducer,
		wantID:     c.Idempotent,
	}
}

// Used returns the bytes of the batches that have not ended.
func (o *Outbox) Used() int { return o.used }

// Fits reports whether there is memory for n more bytes. An empty outbox takes
// anything.
func (o *Outbox) Fits(n int) bool { return o.used == 0 || o.used+n <= o.c.Memory }

// Open returns the batch that takes the partition's next record, or nil if Add
// would begin a new one.
func (o *Outbox) Open(tp kafka.TopicPartition) *Batch {
	p := o.partitions[tp]
	if p == nil || len(p.queue) == 0 {
		return nil
	}
	if b := p.queue[len(p.queue)-1]; !b.complete {
		return b
	}
	return nil
}

// Add adds a record that brings the partition's open batch to size bytes, or
// begins one of that size. It returns the batch.
func (o *Outbox) Add(tp kafka.TopicPartition, size int, now kafka.Instant) *Batch {
	b := o.Open(tp)
	if b == nil {
		b = &Batch{
			Number: o.next, Partition: tp, Created: now,
			deadline: now.Add(o.c.DeliveryTimeout),
		}
		o.next++
		o.enqueue(b)
	}
	o.Grow(b, size)
	return b
}

// Grow adds a record that brings an open batch to size bytes.
func (o *Outbox) Grow(b *Batch, size int) {
	o.used += size - b.Size
	b.Size = size
	b.Count++
	if size >= o.c.BatchSize {
		b.complete = true
	}
}

// Seal completes a partition's open batch: the next record would not fit.
func (o *Outbox) Seal(tp kafka.TopicPartition) {
	if b := o.Open(tp); b != nil {
		b.complete = true
	}
}

func (o *Outbox) enqueue(b *Batch) {
	p := o.partitions[b.Partition]
	if p == nil {
		p = &partition{tp: b.Partition, tracker: tracker{producer: NoProducer, next: o.c.Start}}
		o.partitions[b.Partition] = p
	}
	if len(p.queue) == 0 {
		o.order = append(o.order, p)
	}
	p.queue = append(p.queue, b)
}

// Flush completes all open batches and returns a mark: what was added before has
// ended when Oldest is at least the mark.
func (o *Outbox) Flush() (mark uint64) {
	for _, p := range o.order {
		p.queue[len(p.queue)-1].complete = true
	}
	return o.next
}

// Oldest returns the number of the oldest batch that has not ended, or the
// number of the next one.
func (o *Outbox) Oldest() uint64 {
	oldest := o.next
	for _, p := range o.order {
		oldest = min(oldest, p.queue[0].Number)
	}
	return oldest
}

// Len returns how many batches have not ended.
func (o *Outbox) Len() int {
	n := 0
	for _, p := range o.order {
		n += len(p.queue)
	}
	return n
}

// Check returns the first broken invariant.
func (o *Outbox) Check() error {
	used := 0
	for _, p := range o.order {
		for _, b := range p.queue {
			used += b.Size
		}
		if err := p.check(o.c); err != nil {
			return fmt.Errorf("%s: %w", p.tp, err)
		}
	}
	if used != o.used {
		return fmt.Errorf("%d bytes in batches, %d accounted for", used, o.used)
	}
	return nil
}

func (p *partition) check(c Config) error {
	inFlight := 0
	for i, b := range p.queue {
		switch {
		case b.Assigned && p.tracker.count-b.ordinal > MaxWindow:
			return fmt.Errorf("batch %d is %d batches old", b.Number, p.tracker.count-b.ordinal)
		case b.Ended():
			return fmt.Errorf("batch %d has ended and is queued", b.Number)
		case !b.complete && i < len(p.queue)-1:
			return fmt.Errorf("batch %d is incomplete and not the newest", b.Number)
		case c.Idempotent && (b.inFlight || b.tainted) && !b.Assigned:
			return fmt.Errorf("batch %d was sent without identity", b.Number)
		case b.Assigned && i > 0 && !p.queue[i-1].Assigned:
			return fmt.Errorf("batch %d has an identity, the one before has none", b.Number)
		case b.Assigned && i > 0 && !p.queue[i-1].before(b):
			return fmt.Errorf("batch %d with %v does not follow %v", b.Number, b.Identity, p.queue[i-1].Identity)
		}
		if b.inFlight {
			inFlight++
		}
	}
	if inFlight > c.MaxInFlight {
		return fmt.Errorf("%d batches in flight, at most %d", inFlight, c.MaxInFlight)
	}
	return nil
}

// before reports whether b's sequences end where next's begin, or earlier. They
// wrap: what lies less than half the numbers ahead comes after.
func (b *Batch) before(next *Batch) bool {
	end := b.Identity.First.Add(b.Count)
	return next.Identity.Producer == b.Identity.Producer &&
		uint32(next.Identity.First-end)&math.MaxInt32 < 1<<30
}
