//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	lanes    = 4       // connections, each with a partition of its own
	pipeline = 5       // requests of a connection under way at once, as many as clients have
	fetchMax = 1 << 20 // bytes of one fetch
)

// createTopic creates a topic, at a node.
func createTopic(address, topic string, partitions int32) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = kadm.NewClient(c).CreateTopic(context.Background(), partitions, 1, nil, topic)
	return err
}

// A replayer sends one request over and over.
type replayer struct {
	w      *wire
	places chan struct{} // of requests under way
	done   *atomic.Int64 // requests answered
}

// run sends until the connection is closed. It returns what else went wrong.
func (r *replayer) run(frame []byte, stopped *atomic.Bool) error {
	failed := make(chan error, 1)
	go func() {
		for {
			if err := r.w.produced(); err != nil {
				r.w.Close()
				failed <- err
				return
			}
			r.done.Add(1)
			<-r.places
		}
	}()
	for {
		select {
		case r.places <- struct{}{}:
		case err := <-failed:
			return unless(stopped, err)
		}
		if _, err := r.w.Write(frame); err != nil {
			return unless(stopped, errors.Join(err, <-failed))
		}
	}
}

// unless drops an error that comes of the end that was wanted.
func unless(stopped *atomic.Bool, err error) error {
	if stopped.Load() {
		return nil
	}
	return err
}

// A replay is several connections that send or fetch at full speed.
type replay struct {
	wires   []*wire
	done    atomic.Int64 // requests answered, or records fetched
	stopped atomic.Bool
	group   sync.WaitGroup
	mu      sync.Mutex
	err     error
}

func (r *replay) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, err)
}

// each starts f for each of n connections.
func (r *replay) each(address string, n int, f func(i int, w *wire) error) error {
	for i := range n {
		w, err := dial(address)
		if err != nil {
			return err
		}
		r.wires = append(r.wires, w)
		r.group.Go(func() { r.fail(unless(&r.stopped, f(i, w))) })
	}
	return nil
}

// stop closes the connections and returns what went wrong before.
func (r *replay) stop() error {
	r.stopped.Store(true)
	for _, w := range r.wires {
		w.Close()
	}
	r.group.Wait()
	return r.err
}

// startProducing has connections append a load, each to its own partition.
func startProducing(address, topic string, n int, l load) (*replay, error) {
	r := &replay{}
	return r, r.each(address, n, func(i int, w *wire) error {
		p := &replayer{w: w, places: make(chan struct{}, pipeline), done: &r.done}
		return p.run(l.produceFrame(topic, int32(i)), &r.stopped)
	})
}

// startFetching has connections read, each its own partition of so many records,
// over and over.
func startFetching(address, topic string, n int, l load, records int64) (*replay, error) {
	r := &replay{}
	return r, r.each(address, n, func(i int, w *wire) error {
		for offset := int64(0); ; {
			got, err := w.fetchAt(topic, int32(i), offset)
			if err != nil {
				return err
			}
			n := int64(len(got) / len(l.batch) * l.records)
			if n == 0 {
				return fmt.Errorf("fetch of %s-%d at offset %d: %d bytes, not one batch", topic, i, offset, len(got))
			}
			r.done.Add(n)
			if offset += n; offset >= records {
				offset = 0
			}
		}
	})
}

// fetchAt fetches from an offset and returns the records' bytes.
func (w *wire) fetchAt(topic string, partition int32, offset int64) ([]byte, error) {
	if _, err := w.Write(fetchFrame(topic, partition, offset, fetchMax)); err != nil {
		return nil, err
	}
	return w.fetched()
}

// fill appends a load to each of n partitions until each has bytes of it, and
// returns how many records that are.
func fill(address, topic string, n int, l load, bytes int) (records int64, err error) {
	count := max(bytes/len(l.batch), 1)
	r := &replay{}
	err = r.each(address, n, func(i int, w *wire) error {
		frame := l.produceFrame(topic, int32(i))
		for range count {
			if _, err := w.Write(frame); err != nil {
				return err
			}
			if err := w.produced(); err != nil {
				return err
			}
		}
		return nil
	})
	r.group.Wait()
	return int64(count * l.records), errors.Join(err, r.stop())
}
