package client

import (
	"fmt"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/client/partitioner"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// Send takes a record for the topic r names: to the partition of its key, as
// every Kafka client would, or to one the producer chooses if it has none. The
// record's memory may be used again when Send returns. It waits for metadata
// and for buffer memory, at most MaxBlock. With an error the record was not taken.
// Blocks.
func (p *Producer) Send(r Record) (*Delivery, error) {
	return p.send(r, func(t cluster.Topic) (int32, error) {
		if r.Key != nil {
			return partitioner.ByKey(r.Key, int32(len(t.Partitions))), nil
		}
		return p.sticky.Choose(t.Name, available(t), p.w.Rand("producer partition").IntN), nil
	})
}

// SendTo takes a record for one partition of the topic r names; otherwise it is
// Send. Blocks.
func (p *Producer) SendTo(partition int32, r Record) (*Delivery, error) {
	return p.send(r, func(t cluster.Topic) (int32, error) {
		if partition < 0 || int(partition) >= len(t.Partitions) {
			return 0, fmt.Errorf("%s-%d: %d partitions: %w", t.Name, partition, len(t.Partitions), ErrNoPartition)
		}
		return partition, nil
	})
}

// available returns the partitions that have a leader, or all if none has.
func available(t cluster.Topic) []int32 {
	var led, all []int32
	for _, p := range t.Partitions {
		all = append(all, p.ID)
		if p.Leader != cluster.NoNode {
			led = append(led, p.ID)
		}
	}
	if len(led) == 0 {
		return all
	}
	return led
}

func (p *Producer) send(r Record, choose func(cluster.Topic) (int32, error)) (*Delivery, error) {
	one := record.Record{Timestamp: r.Timestamp, Key: r.Key, Value: r.Value, Headers: r.Headers}
	if one.Timestamp == 0 {
		one.Timestamp = p.w.Wall()
	}
	var empty record.Builder
	size := empty.SizeWith(one)
	if size > p.c.MaxRequestSize {
		return nil, fmt.Errorf("record for %s of %d bytes, max.request.size is %d: %w",
			r.Topic, size, p.c.MaxRequestSize, ErrTooLarge)
	}
	topic, err := p.admit(r.Topic, size)
	if err != nil {
		return nil, err
	}
	partition, err := choose(topic)
	if err != nil {
		return nil, err
	}
	return p.add(kafka.TopicPartition{Topic: r.Topic, Partition: partition}, one), nil
}

// admit waits until the topic is known and there is memory. Blocks.
func (p *Producer) admit(name string, size int) (cluster.Topic, error) {
	deadline := p.w.Now().Add(p.c.MaxBlock)
	for {
		if err := p.open(); err != nil {
			return cluster.Topic{}, err
		}
		t, ok := p.client.meta.view.Topic(name)
		if !ok || len(t.Partitions) == 0 {
			if _, err := p.client.topic(name, deadline); err != nil {
				return cluster.Topic{}, err
			}
			continue // second look: the producer may have been closed
		}
		if p.outbox.Fits(size) && !p.w.Buggify("the producer's memory is used up for a while") {
			p.client.want(name)
			return t, nil
		}
		p.w.Probe("a producer waited for buffer memory")
		p.outbox.Flush()
		p.wake.Broadcast()
		if err := p.waitRoom(name, deadline); err != nil {
			return cluster.Topic{}, err
		}
	}
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

// add puts a record into its partition's batch. It does not block.
func (p *Producer) add(tp kafka.TopicPartition, r record.Record) *Delivery {
	if b := p.outbox.Open(tp); b != nil && p.shipments[b].builder.SizeWith(r) > p.c.BatchSize {
		p.outbox.Seal(tp)
		p.sticky.Switch(tp.Topic, tp.Partition)
		p.wake.Broadcast()
	}
	var size int
	if b := p.outbox.Open(tp); b != nil {
		size = p.shipments[b].builder.SizeWith(r)
	} else {
		var empty record.Builder
		size = empty.SizeWith(r)
	}
	b := p.outbox.Add(tp, size, p.w.Now())
	s := p.shipments[b]
	if s == nil {
		s = &shipment{batch: b, done: p.w.NewCond("delivery to " + tp.String())}
		p.shipments[b] = s
		p.wake.Broadcast() // somebody has to watch its linger time
	}
	s.builder.Append(r)
	if b.Complete() {
		p.sticky.Switch(tp.Topic, tp.Partition)
		p.wake.Broadcast()
	}
	return &Delivery{shipment: s, index: b.Count - 1, timestamp: r.Timestamp}
}
