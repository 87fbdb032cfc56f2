package osclient

import (
	"context"
	"errors"

	inner "github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/partitioner"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A ProducerConfig says how records are sent.
type ProducerConfig struct {
	inner.ProducerConfig

	// Partition chooses the partition, below count, of a record for Send and
	// Produce. It runs on their goroutine and may wait. Nil leaves the choice
	// to ProducerConfig.Partitioner, which must not.
	Partition func(r *Record, count int32) int32
}

// DefaultProducer returns the defaults of Kafka 4: acks=all, idempotent, records
// with a key to the partition that every Kafka client sends it to.
func DefaultProducer() ProducerConfig {
	return ProducerConfig{ProducerConfig: inner.DefaultProducer()}
}

// Sticky returns a partitioner, for ProducerConfig.Partitioner, that ignores keys
// and fills one batch after the other. No two producers can share one.
func Sticky(batchSize int) partitioner.Partitioner { return partitioner.Sticky(batchSize) }

// RoundRobin returns a partitioner that takes the partitions in turn, whatever the
// keys. No two producers can share one.
func RoundRobin() partitioner.Partitioner { return partitioner.RoundRobin() }

// A Producer sends records. Those that one goroutine sends to one partition are
// appended in that order.
type Producer struct {
	c         *Client
	inner     *inner.Producer
	partition func(r *Record, count int32) int32
	callbacks *callbacks
}

// NewProducer returns a producer.
func (c *Client) NewProducer(config ProducerConfig) (*Producer, error) {
	return ask(context.Background(), c, func() (*Producer, error) {
		in, err := c.inner.NewProducer(config.ProducerConfig)
		if err != nil {
			return nil, err
		}
		p := &Producer{c: c, inner: in, partition: config.Partition, callbacks: newCallbacks(c)}
		c.users = append(c.users, p)
		return p, nil
	})
}

// Send takes a record and returns when it is in the producer's memory, not yet
// sent; the record's own memory may be used again then. It waits for metadata and
// for memory, at most MaxBlock. With an error the record was not taken.
func (p *Producer) Send(ctx context.Context, r Record) (*Delivery, error) {
	return p.send(ctx, &r, nil)
}

// SendTo is Send to one partition of the topic.
func (p *Producer) SendTo(ctx context.Context, partition int32, r Record) (*Delivery, error) {
	return p.sendTo(ctx, partition, &r, nil)
}

// Produce is Send with a callback, which is called once with the record's result
// on a goroutine of the producer's, one callback after the other; not if Produce
// returns an error.
func (p *Producer) Produce(ctx context.Context, r Record, then func(Result)) error {
	_, err := p.send(ctx, &r, &callback{p.callbacks, then})
	return err
}

func (p *Producer) send(ctx context.Context, r *Record, then *callback) (*Delivery, error) {
	if p.partition != nil {
		count, err := ask(ctx, p.c, func() (int32, error) { return p.inner.Partitions(r.Topic) })
		if err != nil {
			return nil, err
		}
		return p.sendTo(ctx, p.partition(r, count), r, then)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Nearly always there is nothing to wait for: then the context need not be
	// watched, which costs more than the rest.
	d, err := p.sent(context.Background(), then, func() (*inner.Delivery, error) { return p.inner.TrySend(*r) })
	if err != nil || d.inner != nil {
		return d, err
	}
	return p.sent(ctx, then, func() (*inner.Delivery, error) { return p.inner.Send(*r) })
}

func (p *Producer) sendTo(ctx context.Context, partition int32, r *Record, then *callback) (*Delivery, error) {
	return p.sent(ctx, then, func() (*inner.Delivery, error) { return p.inner.SendTo(partition, *r) })
}

// sent sends a record with f as a task, and has the callback wait for its result
// if it was taken.
func (p *Producer) sent(ctx context.Context, then *callback, f func() (*inner.Delivery, error)) (*Delivery, error) {
	d := &Delivery{c: p.c}
	err := p.c.run(ctx, func() (err error) {
		if d.inner, err = f(); d.inner != nil && then != nil {
			d.inner.Listen(then)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// SendAll is Send for many records, at the price of one. It returns the deliveries
// of those it took: all, or with an error the first ones.
func (p *Producer) SendAll(ctx context.Context, records []Record) ([]Delivery, error) {
	out := make([]Delivery, 0, len(records))
	if p.partition != nil {
		for _, r := range records {
			d, err := p.Send(ctx, r)
			if err != nil {
				return out, err
			}
			out = append(out, *d)
		}
		return out, nil
	}
	err := p.c.run(ctx, func() error {
		for i := range records {
			d, err := p.inner.Send(records[i])
			if err != nil {
				return err
			}
			out = append(out, Delivery{c: p.c, inner: d})
		}
		return nil
	})
	return out, err
}

// Flush sends what lingers, and waits until every record sent before has its
// result and every callback due has returned.
func (p *Producer) Flush(ctx context.Context) error {
	return p.c.run(ctx, func() error {
		if err := p.inner.Flush(kafka.Never); err != nil {
			return err
		}
		return p.callbacks.wait()
	})
}

// Close takes no more records, waits for the results of those taken until ctx is
// done, and ends the producer. Records without a result then get one: Failed if
// they were never sent, else Unknown. When it returns every callback has.
func (p *Producer) Close(ctx context.Context) error {
	err := p.c.enter(func() error {
		p.inner.Refuse()
		return nil
	})
	if err != nil {
		return err
	}
	flushed := p.Flush(ctx)
	ended := p.c.enter(func() error {
		p.c.forget(p)
		return p.end()
	})
	if flushed != nil {
		return flushed
	}
	return ended
}

// end ends the producer as it is. Blocks.
func (p *Producer) end() error {
	err := p.inner.Close(p.c.host.World().Now())
	return errors.Join(err, p.callbacks.end())
}

// A Delivery is a record on its way.
type Delivery struct {
	c     *Client
	inner *inner.Delivery
}

// Wait waits for the record's result. An error is about the waiting, and says
// nothing about the record.
func (d *Delivery) Wait(ctx context.Context) (Result, error) {
	return ask(ctx, d.c, func() (Result, error) { return d.inner.Wait(kafka.Never) })
}

// callbacks calls users' functions, in a task of their own.
type callbacks struct {
	c       *Client
	due     []dueCallback
	calling bool
	ending  bool
	ended   bool
	changed env.Cond
}

type dueCallback struct {
	then   func(Result)
	result Result
}

func newCallbacks(c *Client) *callbacks {
	w := c.host.World()
	cb := &callbacks{c: c, changed: w.NewCond("callbacks")}
	w.Go("callbacks", cb.run)
	return cb
}

// A callback waits for its record's result.
type callback struct {
	to   *callbacks
	then func(Result)
}

// Delivered has the callback called soon.
func (c *callback) Delivered(d *inner.Delivery) {
	c.to.due = append(c.to.due, dueCallback{c.then, d.Result()})
	c.to.changed.Broadcast()
}

// run calls what is due, outside of the client, until the producer ends or the
// client closes; in the end it calls what is left.
func (cb *callbacks) run() {
	for !cb.ending || len(cb.due) > 0 {
		if len(cb.due) == 0 {
			cb.ending = cb.changed.Wait(kafka.Never) != nil || cb.ending
			continue
		}
		due := cb.due
		cb.due, cb.calling = nil, true
		cb.c.host.Outside(func() {
			for _, d := range due {
				d.then(d.result)
			}
		})
		cb.calling = false
		cb.changed.Broadcast()
	}
	cb.ended = true
	cb.changed.Broadcast()
}

// wait waits until no callback is due. Blocks.
func (cb *callbacks) wait() error {
	for !cb.ended && (cb.calling || len(cb.due) > 0) {
		if err := cb.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	return nil
}

// end waits until every callback has returned and there will be none. Blocks.
func (cb *callbacks) end() error {
	cb.ending = true
	cb.changed.Broadcast()
	for !cb.ended {
		if err := cb.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	return nil
}
