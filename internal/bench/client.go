//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// client measures with a client library, which does the work of clients: it makes
// batches of records, and records of batches.
func (p *plan) client() error {
	t := newTable("values", "log.flush", "direction", "M records/s", "node, CPU ns/record")
	for _, size := range p.sizes {
		for _, flush := range []string{"os", "ack"} {
			var in, out contestOf
			for range p.rounds {
				if err := p.clientOnce(size, flush, &in, &out); err != nil {
					return err
				}
			}
			name := newLoad(0, size).name()
			name = name[:len(name)-len(", batches of 1")]
			t.row(name, flush, "produce", in.rate.text(million), in.cost.text(1))
			t.row(name, flush, "consume", out.rate.text(million), out.cost.text(1))
		}
	}
	t.print(p.out, "A client library", "franz-go, idempotent, acks=all, linger 5 ms, no compression, 4 partitions; it shares the processors with the node. "+
		"The consumer reads what was produced before.")
	return nil
}

type contestOf struct{ rate, cost figure }

func (c *contestOf) add(s span) {
	c.rate.add(s.rate())
	c.cost.add(s.cost())
}

func (p *plan) clientOnce(size int, flush string, in, out *contestOf) (err error) {
	server, err := p.start(roleNode, "log.flush="+flush)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if err := createTopic(server.address, "t", lanes); err != nil {
		return err
	}
	s, err := p.clientProduces(server, size)
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	in.add(s)
	if s, err = p.clientConsumes(server, max(s.count, 1)); err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	out.add(s)
	return nil
}

func (p *plan) clientProduces(server *server, size int) (s span, err error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(server.address), kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(50_000))
	if err != nil {
		return s, err
	}
	defer c.Close()
	var acked, failed atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		value := make([]byte, size)
		told := func(_ *kgo.Record, err error) {
			if err == nil {
				acked.Add(1)
			} else if ctx.Err() == nil {
				failed.Add(1)
			}
		}
		for ctx.Err() == nil {
			c.Produce(ctx, &kgo.Record{Value: value}, told)
		}
	}()
	s = p.measure(server, 1, acked.Load)
	cancel()
	<-ended
	if n := failed.Load(); n > 0 {
		return s, fmt.Errorf("%d records failed", n)
	}
	return s, nil
}

// clientConsumes reads from the beginning, and again from the beginning whenever it
// has read so many records, fewer than there are.
func (p *plan) clientConsumes(server *server, records int64) (s span, err error) {
	var read atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			err = consumeSome(ctx, server.address, records, &read)
		}
		ended <- err
	}()
	s = p.measure(server, 1, read.Load)
	cancel()
	return s, <-ended
}

func consumeSome(ctx context.Context, address string, records int64, read *atomic.Int64) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer c.Close()
	for left := records; left > 0 && ctx.Err() == nil; {
		n := int64(c.PollFetches(ctx).NumRecords())
		left -= n
		read.Add(n)
	}
	return nil
}
