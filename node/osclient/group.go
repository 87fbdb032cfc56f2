package osclient

import (
	"context"
	"errors"
	"time"

	inner "github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// What is said of members of groups, as klamm/node/client has it. The functions in a
// GroupConfig are called by Poll or Step, on the goroutine that called it; they may
// use the client, but not poll.
type (
	GroupConfig   = inner.GroupConfig
	GroupProtocol = inner.GroupProtocol
	Commit        = inner.Commit
	GroupStats    = inner.GroupStats
)

// How a member speaks with its group: GroupConfig.Protocol.
const (
	ClassicGroup  = inner.ClassicGroup
	ConsumerGroup = inner.ConsumerGroup
)

// ErrFenced: the group has gone on without this member.
var ErrFenced = inner.ErrFenced

// DefaultGroup returns Kafka's defaults for a group that reads topics.
func DefaultGroup(group string, topics ...string) GroupConfig {
	return inner.DefaultGroup(group, topics...)
}

// A GroupConsumer reads, as a member of a group, the partitions that fall to it.
// Whoever does not call Poll holds up the group until max.poll.interval.ms has
// passed, and then has left it.
type GroupConsumer struct {
	c     *Client
	inner *inner.GroupConsumer
	turn  turn
}

// NewGroupConsumer returns a member that joins its group at once.
func (c *Client) NewGroupConsumer(g GroupConfig, config ConsumerConfig) (*GroupConsumer, error) {
	return ask(context.Background(), c, func() (*GroupConsumer, error) {
		m, err := c.inner.NewGroupConsumer(c.outside(g), config)
		if err != nil {
			return nil, err
		}
		out := &GroupConsumer{c: c, inner: m}
		c.users = append(c.users, out)
		return out, nil
	})
}

// outside has a user's functions called where they may take their time.
func (c *Client) outside(g GroupConfig) GroupConfig {
	for _, f := range []*func([]TopicPartition){&g.OnAssigned, &g.OnRevoked, &g.OnLost} {
		if told := *f; told != nil {
			*f = func(tps []TopicPartition) { c.host.Outside(func() { told(tps) }) }
		}
	}
	if from := g.From; from != nil {
		g.From = func(tps []TopicPartition) (places []Place, err error) {
			c.host.Outside(func() { places, err = from(tps) })
			return places, err
		}
	}
	if on := g.OnCommit; on != nil {
		g.OnCommit = func(offsets []Commit) func(error) {
			var then func(error)
			c.host.Outside(func() { then = on(offsets) })
			if then == nil {
				return nil
			}
			return func(err error) { c.host.Outside(func() { then(err) }) }
		}
	}
	return g
}

// Poll returns up to limit records of the partitions that are the member's, in order
// for each partition; 0 is max.poll.records. Before, it carries out what the group
// has decided, and calls the functions that want to know. What an earlier Poll has
// returned counts as processed: it is what auto-commit commits. It waits until there
// is a record or an error, or until ctx is done. One goroutine at a time may be in it.
func (m *GroupConsumer) Poll(ctx context.Context, limit int) ([]Record, error) {
	return ask(ctx, m.c, func() (records []Record, err error) {
		err = m.turn.take(func() error {
			records, err = m.inner.Poll(kafka.Never, limit)
			return err
		})
		return records, err
	})
}

// Commit writes offsets down for the group. An error tells, by OutcomeOf, whether
// they may be committed all the same; ErrFenced, that the partitions are another's.
func (m *GroupConsumer) Commit(ctx context.Context, offsets ...Commit) error {
	return m.c.run(ctx, func() error { return m.inner.Commit(offsets, kafka.Never) })
}

// CommitPolled commits what Poll has returned, as processed, of all partitions.
func (m *GroupConsumer) CommitPolled(ctx context.Context) error {
	return m.c.run(ctx, func() error { return m.inner.CommitPolled(kafka.Never) })
}

// Rejoin gives up the membership, and has the member join its group as another: what it
// had is lost, which the next Poll tells. It is for who must know what is committed,
// after a commit of unknown outcome: that may still be on its way, and undo what is
// committed later under the same member id. The group refuses it before anybody is given
// the partitions. It is not to be called while Poll is under way; it does not block.
func (m *GroupConsumer) Rejoin() error {
	return m.c.enter(func() error {
		m.inner.Rejoin()
		return nil
	})
}

// Committed returns what the group has committed; -1 where there is nothing.
func (m *GroupConsumer) Committed(ctx context.Context, of ...TopicPartition) (map[TopicPartition]Commit, error) {
	return ask(ctx, m.c, func() (map[TopicPartition]Commit, error) { return m.inner.Committed(of, kafka.Never) })
}

// Assignment returns the partitions that are the member's now, sorted.
func (m *GroupConsumer) Assignment() ([]TopicPartition, error) {
	return ask(context.Background(), m.c, func() ([]TopicPartition, error) { return m.inner.Assignment(), nil })
}

// Member returns the member id, and the generation, or member epoch, that it is in.
func (m *GroupConsumer) Member() (id string, generation int32, err error) {
	err = m.c.enter(func() error {
		id, generation = m.inner.Member()
		return nil
	})
	return id, generation, err
}

// Handed returns, to callbacks, the member id, and the generation or member epoch in
// which it was decided what they are told. The member may be in another by now.
func (m *GroupConsumer) Handed() (id string, generation int32, err error) {
	err = m.c.enter(func() error {
		id, _ = m.inner.Member()
		generation = m.inner.Handed()
		return nil
	})
	return id, generation, err
}

// Stats returns counts since the start.
func (m *GroupConsumer) Stats() (GroupStats, error) {
	return ask(context.Background(), m.c, func() (GroupStats, error) { return m.inner.Stats(), nil })
}

// Seek goes on elsewhere in a partition that is the member's.
func (m *GroupConsumer) Seek(tp TopicPartition, to Start) error {
	return m.c.enter(func() error { return m.inner.Reader().Seek(tp, to) })
}

// Pause keeps Poll from returning records of the partitions until Resume, or until
// they come anew.
func (m *GroupConsumer) Pause(tps ...TopicPartition) error {
	return m.c.enter(func() error { return m.inner.Reader().Pause(tps...) })
}

// Resume ends Pause.
func (m *GroupConsumer) Resume(tps ...TopicPartition) error {
	return m.c.enter(func() error { return m.inner.Reader().Resume(tps...) })
}

// Position returns the offset of the record that Poll returns next, or of a later one
// if that offset holds none.
func (m *GroupConsumer) Position(tp TopicPartition) (Offset, error) {
	return ask(context.Background(), m.c, func() (Offset, error) { return m.inner.Reader().Position(tp) })
}

// Close commits what was processed, with auto-commit, leaves the group, unless the
// member is static, and ends it. When ctx is done it waits for the group a second
// more at most; a group that could not be told notices by itself.
func (m *GroupConsumer) Close(ctx context.Context) error {
	return m.c.leave(ctx, m, m.inner.Close)
}

func (m *GroupConsumer) end() error { return m.inner.Close(m.c.soon()) }

// goodbye bounds how long a member takes to leave whose client is closed.
const goodbye = time.Second

func (c *Client) soon() kafka.Instant {
	w := c.host.World()
	return w.Now().Add(goodbye)
}

// leave ends a member of a group, which takes until ctx is done, and then little
// more: a member is never left half ended.
func (c *Client) leave(ctx context.Context, u user, end func(kafka.Instant) error) error {
	err := c.run(ctx, func() error {
		c.forget(u)
		return end(kafka.Never)
	})
	if ctx.Err() != nil {
		return errors.Join(err, c.enter(func() error { c.forget(u); return end(c.soon()) }))
	}
	return err
}

// errTwoReaders: Poll or Step was called while another goroutine was in it.
var errTwoReaders = errors.New("a member of a group is polled by one goroutine at a time")

// A turn is taken by whoever polls a member.
type turn struct{ taken bool }

// take runs f, unless somebody else has the turn.
func (t *turn) take(f func() error) error {
	if t.taken {
		return errTwoReaders
	}
	t.taken = true
	defer func() { t.taken = false }()
	return f()
}

// A Processor reads as a member of a group and processes what it reads, in the order
// that its delivery demands; see node/client for what each promises.
type Processor struct {
	c     *Client
	inner *inner.Processor
	turn  turn
}

// An Output keeps what a program makes of records, with the offset of the last record
// that is in it: node/client says what it promises. Its methods are called by Step, on
// the goroutine that called it.
type Output = inner.Output

// NewAtMostOnce returns a Processor that processes only what is committed for
// certain: records may be missed, none is processed twice.
func (c *Client) NewAtMostOnce(g GroupConfig, config ConsumerConfig, process func([]Record) error) (*Processor, error) {
	return c.processor(func() (*inner.Processor, error) {
		return c.inner.NewAtMostOnce(c.outside(g), config, c.processOutside(process))
	})
}

// NewAtLeastOnce returns a Processor that commits what was processed: records may be
// processed twice, none is missed.
func (c *Client) NewAtLeastOnce(g GroupConfig, config ConsumerConfig, process func([]Record) error) (*Processor, error) {
	return c.processor(func() (*inner.Processor, error) {
		return c.inner.NewAtLeastOnce(c.outside(g), config, c.processOutside(process))
	})
}

// NewExactlyOnce returns a Processor that begins where the output ends: each record
// has its effect once.
func (c *Client) NewExactlyOnce(g GroupConfig, config ConsumerConfig, output Output) (*Processor, error) {
	return c.processor(func() (*inner.Processor, error) {
		return c.inner.NewExactlyOnce(c.outside(g), config, outsideOutput{c, output})
	})
}

func (c *Client) processor(f func() (*inner.Processor, error)) (*Processor, error) {
	return ask(context.Background(), c, func() (*Processor, error) {
		p, err := f()
		if err != nil {
			return nil, err
		}
		out := &Processor{c: c, inner: p}
		c.users = append(c.users, out)
		return out, nil
	})
}

func (c *Client) processOutside(process func([]Record) error) func([]Record) error {
	return func(records []Record) (err error) {
		c.host.Outside(func() { err = process(records) })
		return err
	}
}

// outsideOutput calls a user's output where it may take its time.
type outsideOutput struct {
	c      *Client
	output Output
}

func (o outsideOutput) Highest(of []TopicPartition) (highest []Offset, err error) {
	o.c.host.Outside(func() { highest, err = o.output.Highest(of) })
	return highest, err
}

func (o outsideOutput) Store(tp TopicPartition, records []Record) (err error) {
	o.c.host.Outside(func() { err = o.output.Store(tp, records) })
	return err
}

// Step polls once, for up to limit records, and processes what came. It returns how
// many records were processed: 0 if they are read again because a commit failed that
// may succeed later. Its errors are those of Poll, of what processes, and of commits
// that will not succeed. One goroutine at a time may be in it.
func (p *Processor) Step(ctx context.Context, limit int) (int, error) {
	return ask(ctx, p.c, func() (n int, err error) {
		err = p.turn.take(func() error {
			n, err = p.inner.Step(kafka.Never, limit)
			return err
		})
		return n, err
	})
}

// Assignment returns the partitions that are the processor's now, sorted.
func (p *Processor) Assignment() ([]TopicPartition, error) {
	return ask(context.Background(), p.c, func() ([]TopicPartition, error) { return p.inner.Member().Assignment(), nil })
}

// Member returns the member id, and the generation, or member epoch, that it is in.
func (p *Processor) Member() (id string, generation int32, err error) { return p.member().Member() }

// Handed is GroupConsumer.Handed.
func (p *Processor) Handed() (id string, generation int32, err error) { return p.member().Handed() }

func (p *Processor) member() *GroupConsumer { return &GroupConsumer{c: p.c, inner: p.inner.Member()} }

// Close leaves the group as GroupConsumer.Close does. At least once, what is processed
// is committed before.
func (p *Processor) Close(ctx context.Context) error { return p.c.leave(ctx, p, p.inner.Close) }

func (p *Processor) end() error { return p.inner.Close(p.c.soon()) }
