package client

import (
	"fmt"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/client/partitioner"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// anyPartition lets the partitioner choose.
const anyPartition = -1

// Send takes a record for the topic r names, to the partition that the producer's
// partitioner chooses. The record's memory may be used again when Send returns. It
// waits for metadata and for buffer memory, at most MaxBlock. With an error the
// record was not taken. Blocks.
func (p *Producer) Send(r Record) (*Delivery, error) { return p.send(&r, anyPartition) }

// SendTo takes a record for one partition of the topic r names; otherwise it is
// Send. Blocks.
func (p *Producer) SendTo(partition int32, r Record) (*Delivery, error) {
	if partition < 0 {
		return nil, fmt.Errorf("%s-%d: %w", r.Topic, partition, ErrNoPartition)
	}
	return p.send(&r, partition)
}

// TrySend is Send if that needs no waiting; else it takes nothing, and returns
// neither a delivery nor an error. It does not block.
func (p *Producer) TrySend(r Record) (*Delivery, error) {
	one, size, err := p.sized(&r)
	if err == nil {
		err = p.open()
	}
	if err != nil {
		return nil, err
	}
	if t := p.ready(r.Topic, size); t != nil {
		return p.place(&r, t, anyPartition, one, size)
	}
	return nil, nil
}

// Partitions returns how many partitions a topic has. It waits for metadata, at
// most MaxBlock. Blocks.
func (p *Producer) Partitions(topic string) (int32, error) {
	t, err := p.admit(topic, 0)
	if err != nil {
		return 0, err
	}
	return int32(len(t.Partitions)), nil
}

func (p *Producer) send(r *Record, partition int32) (*Delivery, error) {
	one, size, err := p.sized(r)
	if err != nil {
		return nil, err
	}
	t, err := p.admit(r.Topic, size)
	if err != nil {
		return nil, err
	}
	return p.place(r, t, partition, one, size)
}

// sized returns what goes into a batch of a record, and how many bytes it takes in
// one of its own.
func (p *Producer) sized(r *Record) (record.Record, int, error) {
	one := record.Record{Timestamp: r.Timestamp, Key: r.Key, Value: r.Value, Headers: r.Headers}
	if one.Timestamp == 0 {
		one.Timestamp = p.w.Wall()
	}
	var empty record.Builder
	size := empty.SizeWith(one)
	if size > p.c.MaxRequestSize {
		return one, 0, fmt.Errorf("record for %s of %d bytes, max.request.size is %d: %w",
			r.Topic, size, p.c.MaxRequestSize, ErrTooLarge)
	}
	return one, size, nil
}

// place puts a record that was admitted into a batch of its partition, which the
// partitioner chooses if nobody has.
func (p *Producer) place(r *Record, t *cluster.Topic, partition int32, one record.Record, size int) (*Delivery, error) {
	if partition == anyPartition {
		partition = p.choose(r, t)
	}
	if partition < 0 || int(partition) >= len(t.Partitions) {
		return nil, fmt.Errorf("%s-%d: %d partitions: %w", r.Topic, partition, len(t.Partitions), ErrNoPartition)
	}
	return p.add(kafka.TopicPartition{Topic: r.Topic, Partition: partition}, one, size), nil
}

// choose asks the partitioner.
func (p *Producer) choose(r *Record, t *cluster.Topic) int32 {
	if p.draws == nil {
		p.draws = p.w.Rand("producer partition")
	}
	p.asked = partitioner.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers}
	partition := p.partitioner.Choose(&p.asked, t, p.draws)
	p.asked = partitioner.Record{}
	return partition
}

// admit waits until the topic is known and there is memory. Blocks.
func (p *Producer) admit(name string, size int) (*cluster.Topic, error) {
	deadline := kafka.Instant(0) // until it is needed
	for {
		if err := p.open(); err != nil {
			return nil, err
		}
		if t := p.ready(name, size); t != nil {
			return t, nil
		}
		if deadline == 0 {
			deadline = p.w.Now().Add(p.c.MaxBlock)
		}
		// Second look after both: the producer may have been closed.
		if p.known(name) == nil {
			if _, err := p.client.topic(name, deadline); err != nil {
				return nil, err
			}
			continue
		}
		p.w.Probe("a producer waited for buffer memory")
		p.outbox.Flush()
		p.wake.Broadcast()
		if err := p.waitRoom(name, deadline); err != nil {
			return nil, err
		}
	}
}

// known returns a topic that has partitions, or nil.
func (p *Producer) known(name string) *cluster.Topic {
	if t := p.client.meta.view.Look(name); t != nil && len(t.Partitions) > 0 {
		return t
	}
	return nil
}

// ready returns the topic if a record of that size can be taken at once, or nil.
func (p *Producer) ready(name string, size int) *cluster.Topic {
	t := p.known(name)
	if t == nil || !p.outbox.Fits(size) || p.w.Buggify("the producer's memory is used up for a while") {
		return nil
	}
	return t
}

// waitRoom waits until memory was freed. Blocks.
func (p *Producer) waitRoom(name string, deadline kafka.Instant) error {
	if p.outbox.Len() == 0 {
		return p.w.Sleep(p.client.backOff(1)) // nothing will be freed: we were only unlucky
	}
	err := p.room.Wait(deadline)
	if isDeadline(err) {
		return fmt.Errorf("record for %s: %d bytes in use: %w", name, p.outbox.Used(), ErrBufferFull)
	}
	return err
}

// open returns why no record can be taken.
func (p *Producer) open() error {
	if p.closing {
		return fmt.Errorf("producer: %w", ErrClosed)
	}
	return p.fatal
}

// add puts a record, which takes size bytes in a batch of its own, into its
// partition's batch. It does not block.
func (p *Producer) add(tp kafka.TopicPartition, r record.Record, size int) *Delivery {
	b := p.outbox.Open(tp)
	if b != nil {
		if with := shipmentOf(b).builder.SizeWith(r); with <= p.c.BatchSize {
			size = with - b.Size
			p.outbox.Grow(b, with)
		} else {
			p.outbox.Seal(tp)
			b = nil
		}
	}
	if b == nil {
		b = p.outbox.Add(tp, size, p.w.Now())
		p.ship(b)
		p.client.want(tp.Topic)
		p.wake.Broadcast() // somebody has to watch its linger time
	}
	s := shipmentOf(b)
	d := s.register(r.Timestamp)
	s.builder.Append(r)
	p.partitioner.Appended(tp, size)
	if b.Complete() {
		p.partitioner.Closed(tp)
		p.wake.Broadcast()
	}
	return d
}
