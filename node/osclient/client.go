// Package osclient is klamm's client for ordinary Go programs: it produces to and
// consumes from any cluster that speaks Kafka's protocol.
//
// Everything here may be called from any goroutine. Whatever waits takes a
// context, and returns the context's error when that is done; what it asked for
// may then have happened or not, and where it matters the result says which.
//
//	c, err := osclient.New(osclient.DefaultConfig("localhost:9092"))
//	...
//	defer c.Close()
//	p, err := c.NewProducer(osclient.DefaultProducer())
//	...
//	delivery, err := p.Send(ctx, osclient.Record{Topic: "orders", Value: []byte("hello")})
//	...
//	result, err := delivery.Wait(ctx)
//
// A result never says more than is known: a record is Acked, or it Failed and is
// not in the log, or its fate is Unknown: it may be in the log, now or later.
//
// It is a thin layer over node/client, which is written for tasks of one
// World and runs in the simulator as it runs here. Do reaches what has no method
// of its own. The one rule: a callback runs while the producer's other callbacks
// wait for it, and does not wait for the producer itself.
package osclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	inner "github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
	"github.com/klammlog/klamm/node/record"
)

// What is said of records, places and settings, as node/client has it.
type (
	Record         = inner.Record
	Header         = record.Header
	TopicPartition = kafka.TopicPartition
	Offset         = kafka.Offset
	Timestamp      = kafka.Timestamp // milliseconds since 1970
	Outcome        = inner.Outcome
	Result         = inner.Result
	Start          = inner.Start
	Place          = inner.Place
	Found          = inner.Found
	Reset          = inner.Reset
	PartitionError = inner.PartitionError
)

// What may be said of a record that was sent.
const (
	Acked   = inner.Acked
	Failed  = inner.Failed
	Unknown = inner.Unknown
	Sent    = inner.Sent
)

// What keeps a client from what it is asked; see node/client.
var (
	ErrClosed      = inner.ErrClosed
	ErrTooLarge    = inner.ErrTooLarge
	ErrBufferFull  = inner.ErrBufferFull
	ErrNoPartition = inner.ErrNoPartition
	ErrNotAssigned = inner.ErrNotAssigned
	ErrNoPosition  = inner.ErrNoPosition
	ErrNoOffset    = inner.ErrNoOffset
	ErrTruncated   = inner.ErrTruncated
	ErrRecreated   = inner.ErrRecreated
)

// At begins with the record at an offset.
func At(o Offset) Start { return inner.At(o) }

// Earliest begins with the first record there is.
func Earliest() Start { return inner.Earliest() }

// Latest begins with the first record that is yet to come.
func Latest() Start { return inner.Latest() }

// AtTime begins with the first record whose timestamp is at least t, or as Latest
// if there is none.
func AtTime(t Timestamp) Start { return inner.AtTime(t) }

// Newest begins with the record that has the largest timestamp of all; without any
// record, as Latest.
func Newest() Start { return inner.Newest() }

// A Config says which cluster, and how patient to be.
type Config struct {
	inner.Config
	Logger *slog.Logger // nil: nothing is logged. Its handler must not block for long
}

// DefaultConfig returns Kafka's defaults, for a cluster of which these brokers
// (host:port) are asked first.
func DefaultConfig(bootstrap ...string) Config {
	return Config{Config: inner.DefaultConfig(bootstrap...)}
}

// A Client knows a cluster. Its producers and consumers share what it knows.
type Client struct {
	host  *osenv.Host
	inner *inner.Client
	users []user // the producers and consumers that are open
}

// A user of a client ends with it.
type user interface{ end() error }

// forget takes a user off the list.
func (c *Client) forget(u user) {
	if i := slices.Index(c.users, u); i >= 0 {
		c.users = slices.Delete(c.users, i, i+1)
	}
}

// New returns a Client. It connects when it is first asked for something.
func New(c Config) (*Client, error) {
	host, err := osenv.New(osenv.Options{Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	cl := &Client{host: host}
	err = cl.enter(func() error {
		cl.inner, err = inner.New(host.World(), c.Config)
		return err
	})
	if err != nil {
		host.Close()
		return nil, err
	}
	return cl, nil
}

// Close ends the client with its producers and consumers, and waits for nothing:
// records without a result get one at once, Failed or Unknown. Close the producers
// before, with a context that says how long they may take.
func (c *Client) Close() error {
	err := c.enter(func() error {
		var errs []error
		for _, u := range slices.Clone(c.users) {
			errs = append(errs, u.end())
		}
		errs = append(errs, c.inner.Close(kafka.Never))
		return errors.Join(errs...)
	})
	c.host.Close()
	return err
}

// Do runs f with the client underneath, whose methods are for tasks only: f may
// call them and nothing else that waits. When ctx is done what they wait for
// ends.
func (c *Client) Do(ctx context.Context, f func(c *inner.Client, w *env.World) error) error {
	return c.run(ctx, func() error { return f(c.inner, c.host.World()) })
}

// run runs f as a task.
func (c *Client) run(ctx context.Context, f func() error) error {
	err := c.host.Do(ctx, f)
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// enter runs f, which does not wait, as a task.
func (c *Client) enter(f func() error) error { return c.run(context.Background(), f) }

// ask is run for what returns a value.
func ask[T any](ctx context.Context, c *Client, f func() (T, error)) (v T, err error) {
	err = c.run(ctx, func() error {
		v, err = f()
		return err
	})
	return v, err
}
