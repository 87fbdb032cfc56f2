package client

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/client/partitioner"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// ProducerConfig says how records are sent. DefaultProducer fills in Kafka's
// defaults.
//
// Without idempotence a retry can append a batch twice, and with MaxInFlight
// above 1 it can come to stand behind its successor; Retries 0 rules out both.
// With idempotence neither happens, as long as the broker keeps its memory of
// the producer.
type ProducerConfig struct {
	Acks            kafka.Acks         // acks
	Idempotent      bool               // enable.idempotence; demands AcksAll
	Compression     record.Compression // compression.type and its level
	BatchSize       int                // batch.size, before compression
	Linger          time.Duration      // linger.ms
	MaxRequestSize  int                // max.request.size: of one record, and of a request, before compression
	BufferMemory    int                // buffer.memory
	MaxBlock        time.Duration      // max.block.ms: how long Send waits for metadata and memory
	MaxInFlight     int                // max.in.flight.requests.per.connection
	Retries         int                // retries
	DeliveryTimeout time.Duration      // delivery.timeout.ms, from Send to the result
	FirstSequence   kafka.Sequence     // of each partition; only to try what happens where the numbers wrap

	// Partitioner chooses the partitions for Send; nil does what Kafka's
	// producers do. No two producers can share one.
	Partitioner partitioner.Partitioner
}

// DefaultProducer returns the defaults of Kafka 4.
func DefaultProducer() ProducerConfig {
	return ProducerConfig{
		Acks:            kafka.AcksAll,
		Idempotent:      true,
		BatchSize:       16384,
		Linger:          5 * time.Millisecond,
		MaxRequestSize:  1 << 20,
		BufferMemory:    32 << 20,
		MaxBlock:        time.Minute,
		MaxInFlight:     5,
		Retries:         math.MaxInt32,
		DeliveryTimeout: 2 * time.Minute,
	}
}

func (c ProducerConfig) check() error {
	switch {
	case c.Idempotent && c.Acks != kafka.AcksAll:
		return fmt.Errorf("enable.idempotence with acks=%d: it needs acks=all", c.Acks)
	case c.Idempotent && c.MaxInFlight > outbox.MaxWindow:
		return fmt.Errorf("enable.idempotence with max.in.flight.requests.per.connection=%d: at most %d",
			c.MaxInFlight, outbox.MaxWindow)
	case c.MaxInFlight < 1:
		return fmt.Errorf("max.in.flight.requests.per.connection=%d: at least 1", c.MaxInFlight)
	case c.Acks < kafka.AcksAll || c.Acks > kafka.AcksLeader:
		return fmt.Errorf("acks=%d: 0, 1 or all", c.Acks)
	case c.BatchSize < 0, c.MaxRequestSize < 1, c.BufferMemory < 1:
		return fmt.Errorf("batch.size=%d, max.request.size=%d, buffer.memory=%d: not that little",
			c.BatchSize, c.MaxRequestSize, c.BufferMemory)
	case c.Retries < 0 || c.Linger < 0 || c.MaxBlock < 0:
		return fmt.Errorf("retries=%d, linger.ms=%d, max.block.ms=%d: not negative", c.Retries,
			c.Linger.Milliseconds(), c.MaxBlock.Milliseconds())
	case c.DeliveryTimeout <= c.Linger:
		return fmt.Errorf("delivery.timeout.ms=%d with linger.ms=%d: longer than that", c.DeliveryTimeout.Milliseconds(),
			c.Linger.Milliseconds())
	}
	return checkCompression(c.Compression)
}

// levels are the largest levels of the codecs that have any.
var levels = map[record.Codec]int{record.Gzip: 9, record.Lz4: 17, record.Zstd: 22}

func checkCompression(c record.Compression) error {
	switch {
	case !c.Codec.Known():
		return fmt.Errorf("compression.type=%s: not known", c.Codec)
	case c.Level > levels[c.Codec], c.Level < 0 && levels[c.Codec] == 0:
		return fmt.Errorf("compression.%s.level=%d: at most %d", c.Codec, c.Level, levels[c.Codec])
	}
	return nil
}

// A Producer sends records. Records that one task sends to one partition are
// appended in that order (see ProducerConfig for what retries do to it).
//
// Three kinds of tasks work for it: one that keeps an eye on time, leaders and
// the producer id (run), and for each broker one that encodes and sends and one
// that takes the answers (sender).
type Producer struct {
	w         *env.World
	client    *Client
	c         ProducerConfig
	outbox    *outbox.Outbox
	shipments int              // on their way
	spare     []record.Builder // empty, for their memory
	links     *pool
	tasks     *env.Group
	senders   map[kafka.NodeID]*sender

	wake env.Cond // something may be to do for a task of the producer
	room env.Cond // memory was freed
	done env.Cond // a batch ended

	partitioner partitioner.Partitioner
	asked       partitioner.Record // what it is asked about, so that each question costs no memory
	draws       *rand.Rand         // its own

	gettingID bool
	fatal     error // no further record can be sent
	closing   bool
	closed    bool
}

// NewProducer returns a producer and starts its tasks.
func (c *Client) NewProducer(config ProducerConfig) (*Producer, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	p := &Producer{
		w: c.w, client: c, c: config,
		outbox: outbox.New(outbox.Config{
			BatchSize:       config.BatchSize,
			Linger:          config.Linger,
			MaxInFlight:     config.MaxInFlight,
			DeliveryTimeout: config.DeliveryTimeout,
			Retries:         config.Retries,
			Memory:          config.BufferMemory,
			Idempotent:      config.Idempotent,
			Start:           config.FirstSequence,
		}),
		links:   c.newPool(),
		tasks:   env.NewGroup(c.w, "producer"),
		senders: make(map[kafka.NodeID]*sender),
		wake:    c.w.NewCond("producer"),
		room:    c.w.NewCond("producer memory"),
		done:    c.w.NewCond("producer deliveries"),
	}
	if p.partitioner = config.Partitioner; p.partitioner == nil {
		p.partitioner = partitioner.Default(config.BatchSize)
	}
	c.meta.listen(p.wake)
	p.tasks.Go("producer", p.run)
	return p, nil
}

// Flush sends what lingers and waits until every record sent before has its
// result. Blocks.
func (p *Producer) Flush(deadline kafka.Instant) error {
	mark := p.outbox.Flush()
	p.wake.Broadcast()
	for p.outbox.Oldest() < mark {
		if err := p.done.Wait(deadline); err != nil {
			return fmt.Errorf("flush: %d batches left: %w", p.outbox.Len(), err)
		}
	}
	return nil
}

// Refuse takes no more records, as Close does at first; those that were taken go
// their way. It does not block.
func (p *Producer) Refuse() {
	p.closing = true
	p.room.Broadcast()
}

// Close takes no more records, waits until the deadline for results, and ends
// the producer; records without a result then get one: Failed if they were never
// sent, else Unknown. It returns the error of the flush. Blocks.
func (p *Producer) Close(deadline kafka.Instant) error {
	p.Refuse()
	err := p.Flush(deadline)
	p.closed = true
	p.settle(p.outbox.Abandon(outbox.ErrAbandoned))
	p.client.meta.unlisten(p.wake)
	p.tasks.Cancel()
	if e := p.links.close(kafka.Never); err == nil {
		err = e
	}
	if e := p.tasks.Wait(kafka.Never); err == nil {
		err = e
	}
	return err
}

// Check returns the first broken invariant.
func (p *Producer) Check() error {
	if err := p.outbox.Check(); err != nil {
		return fmt.Errorf("producer: %w", err)
	}
	if n := p.outbox.Len(); n != p.shipments {
		return fmt.Errorf("producer: %d batches, %d shipments", n, p.shipments)
	}
	return p.links.check()
}

// run keeps an eye on what no sender does: leaders that are not known, brokers
// without a sender, the producer id.
func (p *Producer) run() {
	for !p.closed {
		now := p.w.Now() // one for all that follows: what is due later is waited for
		p.expire(now)
		if p.outbox.NeedsProducer() && !p.gettingID {
			p.gettingID = true
			p.tasks.Go("producer id", p.getID)
		}
		p.assignSenders(now)
		if err := p.wake.Wait(p.outbox.Next(now)); err != nil && !isDeadline(err) {
			return
		}
	}
}

// assignSenders starts senders for the brokers that lead what is ready, and asks
// for metadata where no leader is known.
func (p *Producer) assignSenders(now kafka.Instant) {
	for _, tp := range p.outbox.Ready(now) {
		p.client.want(tp.Topic)
		leader, _, ok := p.client.meta.view.Leader(tp)
		switch {
		case !ok:
			p.client.needUpdate()
		case p.senders[leader.ID] == nil:
			p.senders[leader.ID] = p.newSender(leader.ID)
		}
	}
}

// expire ends the batches whose time is up.
func (p *Producer) expire(now kafka.Instant) {
	ended := p.outbox.Expire(now)
	if len(ended) > 0 {
		p.w.Probe("a batch was not delivered in time")
	}
	p.settle(ended)
}

// settle hands the results of ended batches to whoever waits for them.
func (p *Producer) settle(ended []*outbox.Batch) {
	for _, b := range ended {
		s := shipmentOf(b)
		p.shipments--
		p.recycle(s)
		s.deliver(b.Result)
	}
	if len(ended) > 0 {
		p.room.Broadcast()
		p.done.Broadcast()
		p.wake.Broadcast()
	}
}

// keepSpare bounds the memory kept for batches to come, in bytes of each kind.
const keepSpare = 4 << 20

// mostSpare returns how many batches' memory is kept.
func (p *Producer) mostSpare() int { return keepSpare / max(p.c.BatchSize, 4096) }

// ship begins a shipment, in memory of an earlier one if there is some.
func (p *Producer) ship(b *outbox.Batch) *shipment {
	s := &shipment{w: p.w, batch: b}
	if n := len(p.spare); n > 0 {
		s.builder, p.spare = p.spare[n-1], p.spare[:n-1]
	}
	b.Cargo = s
	p.shipments++
	return s
}

// shipmentOf returns a batch's shipment.
func shipmentOf(b *outbox.Batch) *shipment { return b.Cargo.(*shipment) }

// recycle takes a shipment's records out of it, and keeps the memory for the next.
func (p *Producer) recycle(s *shipment) {
	b := s.builder
	s.builder = record.Builder{}
	if !s.read && b.Size() <= 2*p.c.BatchSize && len(p.spare) < p.mostSpare() {
		b.Reset()
		p.spare = append(p.spare, b)
	}
}

// fail ends the producer for good: nothing can be sent any more.
func (p *Producer) fail(why error) {
	p.fatal = why
	p.settle(p.outbox.Abandon(why))
	p.room.Broadcast()
}
