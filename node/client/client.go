// Package client talks to a cluster as Kafka's clients do: it produces,
// consumes, and administers topics.
//
// Every method that waits blocks its task and says so; everything a client does
// on its own (batching, fetching ahead, reconnecting) it does in tasks that its
// Close awaits. It works against any broker that speaks Kafka's protocol, in
// every env.World. The decisions are in packages of their own: outbox (what a
// producer sends and what may be said of it), cluster (who leads what),
// partitioner; link carries requests.
//
// It promises nothing it does not know. A result or an error tells whether
// something was done, was not done, or may have been done (OutcomeOf), and "not
// done" is never said of what may have been.
//
// The one rule: all methods are for tasks of the World the Client was made with;
// an ordinary Go program enters it with osenv's Do.
package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/backoff"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// Config says which cluster, and how patient to be. DefaultConfig fills in what
// Kafka's clients do.
type Config struct {
	Bootstrap        []string      // host:port of brokers to ask first
	ClientID         string        // client.id
	RequestTimeout   time.Duration // request.timeout.ms
	DialTimeout      time.Duration // socket.connection.setup.timeout.ms
	ReconnectBackoff time.Duration // reconnect.backoff.ms
	ReconnectMax     time.Duration // reconnect.backoff.max.ms
	RetryBackoff     time.Duration // retry.backoff.ms
	RetryMax         time.Duration // retry.backoff.max.ms
	MetadataMaxAge   time.Duration // metadata.max.age.ms
	MaxIdle          time.Duration // connections.max.idle.ms
	AutoCreateTopics bool          // allow.auto.create.topics: asking for a topic may create it

	// OnCorrupt, if it is not nil, is told of what a broker served that contradicts its
	// checksum. Consumers do not hand it out, and ask for it again. It must not block.
	OnCorrupt func(broker kafka.NodeID, of kafka.TopicPartition, err error)
}

// DefaultConfig returns Kafka's defaults, but for AutoCreateTopics, which is
// off.
func DefaultConfig(bootstrap ...string) Config {
	return Config{
		Bootstrap:        bootstrap,
		ClientID:         "klamm",
		RequestTimeout:   30 * time.Second,
		DialTimeout:      10 * time.Second,
		ReconnectBackoff: 50 * time.Millisecond,
		ReconnectMax:     time.Second,
		RetryBackoff:     100 * time.Millisecond,
		RetryMax:         time.Second,
		MetadataMaxAge:   5 * time.Minute,
		MaxIdle:          9 * time.Minute,
	}
}

func (c Config) check() error {
	if len(c.Bootstrap) == 0 {
		return fmt.Errorf("client %s: no bootstrap address", c.ClientID)
	}
	return nil
}

// A Client knows a cluster. Producers, consumers and the methods for topics
// share what it knows.
type Client struct {
	w       *env.World
	c       Config
	silence *link.Silence // of all its links
	links   *pool
	tasks   *env.Group
	closed  bool
	meta    metadata
}

// New returns a Client. It connects when it is first asked for something.
func New(w *env.World, c Config) (*Client, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Bootstrap = slices.Clone(c.Bootstrap)
	cl := &Client{w: w, c: c, silence: &link.Silence{}, tasks: env.NewGroup(w, "client "+c.ClientID)}
	cl.links = cl.newPool()
	cl.meta.init(w)
	return cl, nil
}

// View returns what the client believes about the cluster. It is not to be kept
// across blocking calls.
func (c *Client) View() *cluster.View { return &c.meta.view }

// Close ends the client's tasks and connections. Its producers and consumers are
// to be closed before. Blocks.
func (c *Client) Close(deadline kafka.Instant) error {
	c.closed = true
	c.tasks.Cancel()
	if err := c.links.close(deadline); err != nil {
		return err
	}
	return c.tasks.Wait(deadline)
}

// Check returns the first broken invariant of the client and its links.
func (c *Client) Check() error {
	if err := c.meta.view.Check(); err != nil {
		return err
	}
	return c.links.check()
}

// backOff returns how long to wait after the nth failure in a row, n from 1.
func (c *Client) backOff(n int) time.Duration {
	wait := backoff.Backoff{Min: c.c.RetryBackoff, Max: c.c.RetryMax}
	return wait.After(n, c.w.Rand("client back-off"))
}

// ask sends a request that may be repeated to one broker after the other until
// one answers. Blocks.
func (c *Client) ask(build func() kmsg.Request, o link.Options, deadline kafka.Instant) (kmsg.Response, error) {
	for round := 1; ; round++ {
		resp, err := c.askOnce(build, o, deadline)
		if err == nil || hopeless(err) {
			return resp, err
		}
		pause := c.backOff(round)
		if c.w.Now().Add(pause) >= deadline {
			return nil, err
		}
		c.w.Probe("no broker answered, and all were asked again")
		if err := c.w.Sleep(pause); err != nil {
			return nil, err
		}
	}
}

// askOnce asks every broker that is known until one answers. Blocks.
func (c *Client) askOnce(build func() kmsg.Request, o link.Options, deadline kafka.Instant) (kmsg.Response, error) {
	last := ErrClosed
	for _, address := range c.addresses() {
		if c.closed {
			return nil, ErrClosed
		}
		resp, err := c.links.get(address).Do(build(), o, deadline)
		if err == nil || hopeless(err) {
			return resp, err
		}
		last = err
	}
	return nil, last
}

// addresses returns whom to ask: the brokers that are known, beginning anywhere,
// then the bootstrap addresses.
func (c *Client) addresses() []string {
	var all []string
	for _, b := range c.meta.view.Brokers() {
		all = append(all, b.Address)
	}
	if n := len(all); n > 1 {
		at := c.w.Rand("client broker").IntN(n)
		all = append(all[at:len(all):len(all)], all[:at]...)
	}
	for _, address := range c.c.Bootstrap {
		if !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// A pool holds the links of one purpose. Fetches and produce requests have
// links of their own, because answers come in order: a fetch that waits for
// records would hold up everything behind it.
type pool struct {
	w       *env.World
	c       Config
	silence *link.Silence
	links   map[string]*link.Link
	order   []*link.Link
}

func (c *Client) newPool() *pool {
	return &pool{w: c.w, c: c.c, silence: c.silence, links: make(map[string]*link.Link)}
}

// get returns the link to an address.
func (p *pool) get(address string) *link.Link {
	if l := p.links[address]; l != nil {
		return l
	}
	c := link.DefaultConfig(address)
	c.ClientID = p.c.ClientID
	c.DialTimeout, c.RequestTimeout = p.c.DialTimeout, p.c.RequestTimeout
	c.BackoffMin, c.BackoffMax = p.c.ReconnectBackoff, p.c.ReconnectMax
	c.MaxIdle, c.Silence = p.c.MaxIdle, p.silence
	l := link.New(p.w, c)
	p.links[address] = l
	p.order = append(p.order, l)
	return l
}

func (p *pool) check() error {
	for _, l := range p.order {
		if err := l.Check(); err != nil {
			return err
		}
	}
	return nil
}

// close closes the links. Blocks.
func (p *pool) close(deadline kafka.Instant) error {
	var first error
	for _, l := range slices.Clone(p.order) {
		if err := l.Close(deadline); err != nil && first == nil {
			first = err
		}
	}
	return first
}
