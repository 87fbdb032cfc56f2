package client

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/assignor"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// GroupConfig says which group, and how its member behaves. DefaultGroup fills in
// Kafka's defaults.
type GroupConfig struct {
	Group    string   // group.id
	Instance string   // group.instance.id: a static member (KIP-345); "" is none
	Topics   []string // subscribed by name
	Pattern  string   // subscribed by a regular expression that names must match as a whole; "" is none

	Protocol  GroupProtocol // group.protocol
	Assignors []string      // partition.assignment.strategy, of the classic protocol: range, roundrobin, sticky, cooperative-sticky
	Remote    string        // group.remote.assignor, of the consumer protocol; "" is the coordinator's choice

	Session   time.Duration // session.timeout.ms, of the classic protocol
	Heartbeat time.Duration // heartbeat.interval.ms, of the classic protocol
	MaxPoll   time.Duration // max.poll.interval.ms: who does not poll for so long leaves the group

	AutoCommit time.Duration // auto.commit.interval.ms; 0: enable.auto.commit=false

	// OnAssigned, OnRevoked and OnLost are called by Poll, in the task that polls:
	// partitions have come; are to be given back, and what was read of them can
	// still be committed; are another's already. They may block and may commit.
	OnAssigned, OnRevoked, OnLost func([]kafka.TopicPartition)

	// OnCommit is told of each commit before it is sent, auto-commits too; what it
	// returns is told what came of it. Both are called in the task that commits.
	OnCommit func([]Commit) func(error)

	// From says where to begin with partitions that have come, instead of the
	// committed offset: for who keeps offsets elsewhere, with its output. It is called
	// by Poll, before OnAssigned. Partitions that it does not mention begin at their
	// committed offset.
	From func([]kafka.TopicPartition) ([]Place, error)
}

// A GroupProtocol is how a member speaks with its coordinator.
type GroupProtocol uint8

// The values of group.protocol.
const (
	ClassicGroup  GroupProtocol = iota // JoinGroup and SyncGroup: members assign
	ConsumerGroup                      // KIP-848: the coordinator assigns
)

// DefaultGroup returns Kafka's defaults for a group.
func DefaultGroup(group string, topics ...string) GroupConfig {
	return GroupConfig{
		Group: group, Topics: topics, Assignors: []string{"range", "cooperative-sticky"},
		Session: 45 * time.Second, Heartbeat: 3 * time.Second, MaxPoll: 5 * time.Minute, AutoCommit: 5 * time.Second,
	}
}

// Check returns what is wrong with the settings, if anything.
func (c GroupConfig) Check() error {
	switch {
	case c.Group == "":
		return fmt.Errorf("group.id: not set")
	case len(c.Topics) == 0 && c.Pattern == "":
		return fmt.Errorf("group %s: neither topics nor a pattern to subscribe to", c.Group)
	case len(c.Topics) > 0 && c.Pattern != "":
		return fmt.Errorf("group %s: topics and a pattern", c.Group)
	case c.Protocol > ConsumerGroup:
		return fmt.Errorf("group.protocol: no protocol %d", c.Protocol)
	case c.MaxPoll < time.Millisecond || c.AutoCommit < 0:
		return fmt.Errorf("max.poll.interval.ms=%d, auto.commit.interval.ms=%d: not that little", c.MaxPoll.Milliseconds(), c.AutoCommit.Milliseconds())
	case c.Protocol == ClassicGroup && (c.Heartbeat < time.Millisecond || c.Session <= c.Heartbeat):
		return fmt.Errorf("heartbeat.interval.ms=%d, session.timeout.ms=%d: the session is to be longer", c.Heartbeat.Milliseconds(), c.Session.Milliseconds())
	case c.Protocol == ClassicGroup && len(c.Assignors) == 0:
		return fmt.Errorf("partition.assignment.strategy: empty")
	}
	if _, err := regexp.Compile(c.Pattern); err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	for _, name := range c.Assignors {
		if _, ok := assignor.Named(name); !ok {
			return fmt.Errorf("partition.assignment.strategy: no assignor %s", name)
		}
	}
	return nil
}

// cooperative reports whether partitions stay with their members while the group
// rebalances: all assignors must be made for it.
func (c GroupConfig) cooperative() bool {
	return c.Protocol == ConsumerGroup || !slices.ContainsFunc(c.Assignors, func(name string) bool { return name != "cooperative-sticky" })
}

// A GroupConsumer reads, as a member of a group, the partitions that fall to it.
//
// A task of its own keeps the membership: it joins, sends heartbeats and learns
// what is assigned. What happens to partitions happens in Poll, between records:
// there they come and go, and there the callbacks are called. Who does not call
// Poll holds up the group until max.poll.interval.ms has passed, and then has left
// it.
type GroupConsumer struct {
	w       *env.World
	client  *Client
	c       GroupConfig
	pattern *regexp.Regexp // nil without
	reader  *Consumer
	at      coordinator
	calls   *pool // heartbeats and commits
	joins   *pool // what waits for the whole group has connections of its own
	tasks   *env.Group
	wake    env.Cond // for the membership's task, and for who waits for Poll

	member     string
	generation int32 // or member epoch
	joined     bool
	owned      []kafka.TopicPartition // sorted; as Poll has it
	handovers  []handover             // that Poll is to carry out, in order
	carrying   bool                   // Poll carries one out
	taking     []kafka.TopicPartition // that Poll takes over with it
	membership int                    // counts those that ended
	parted     string                 // the member id that Rejoin gave up, until the group is told; "" for none
	heir       bool                   // joins in the place of a membership that Rejoin gave up
	handing    int32                  // generation of the one that Poll carries out
	again      bool                   // the group is to be joined again
	told       error                  // for Poll to tell, once
	over       error                  // for every Poll to tell
	polled     kafka.Instant          // when Poll was last called
	polling    bool
	left       bool // because nobody polled
	closed     bool

	matching []string      // the topics that match the pattern, sorted
	matched  kafka.Instant // when they were looked for

	leads     bool   // this member assigned, in the present generation
	seen      string // what it saw of the topics then
	processed map[kafka.TopicPartition]kafka.Offset
	committed kafka.Instant // when auto-commit last did
	stats     GroupStats
}

// GroupStats are counts since the start.
type GroupStats struct {
	Joins, Rebalances, Heartbeats  uint64
	Commits, AutoCommits           uint64
	Assigned, Revoked, Lost, Fence uint64
}

// NewGroupConsumer returns a member that joins its group at once. The settings are
// such that their Checks find nothing wrong. It does not block.
func (c *Client) NewGroupConsumer(g GroupConfig, config ConsumerConfig) (*GroupConsumer, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	if err := config.Check(); err != nil {
		return nil, err
	}
	m := &GroupConsumer{
		w: c.w, client: c, c: g, reader: c.NewConsumer(config), at: coordinator{c: c, group: g.Group},
		calls: c.newPool(), joins: c.newPool(), tasks: env.NewGroup(c.w, "member of "+g.Group),
		wake: c.w.NewCond("member"), generation: assignor.NoGeneration, processed: map[kafka.TopicPartition]kafka.Offset{},
		polled: c.w.Now(),
	}
	m.c.Topics = slices.Clone(g.Topics)
	slices.Sort(m.c.Topics)
	if g.Pattern != "" {
		m.pattern = regexp.MustCompile("^(?:" + g.Pattern + ")$")
	}
	m.reader.urgent = m.urgent
	c.meta.listen(m.wake)
	switch g.Protocol {
	case ConsumerGroup:
		m.tasks.Go("member of "+g.Group, m.runConsumer)
	default:
		m.tasks.Go("member of "+g.Group, m.runClassic)
	}
	return m, nil
}

// Reader returns the consumer underneath, for positions, pauses and seeks. Assign
// is not to be called on it.
func (m *GroupConsumer) Reader() *Consumer { return m.reader }

// Assignment returns the partitions that are the member's now, sorted.
func (m *GroupConsumer) Assignment() []kafka.TopicPartition { return slices.Clone(m.owned) }

// Member returns the member id and the generation, or member epoch, that it is in.
func (m *GroupConsumer) Member() (id string, generation int32) { return m.member, m.generation }

// Handed returns, to callbacks, the generation or member epoch in which it was decided
// what they are told. The member may be in another by now.
func (m *GroupConsumer) Handed() int32 { return m.handing }

// Stats returns the counts.
func (m *GroupConsumer) Stats() GroupStats { return m.stats }

// urgent reports whether Poll has something to do before it returns records.
func (m *GroupConsumer) urgent() bool {
	return len(m.handovers) > 0 || m.told != nil || m.over != nil || m.closed
}

// Poll returns records as Consumer.Poll does, of the partitions that are the
// member's. Before, it carries out what the group has decided, and calls the
// callbacks. What an earlier Poll has returned counts as processed: it is what
// auto-commit commits. Blocks.
func (m *GroupConsumer) Poll(deadline kafka.Instant, limit int) ([]Record, error) {
	m.note()
	m.polling = true
	defer func() { m.polling, m.polled = false, m.w.Now() }()
	for {
		if err := m.carryOut(); err != nil {
			return nil, err
		}
		switch {
		case m.closed:
			return nil, fmt.Errorf("member of group %s: %w", m.c.Group, ErrClosed)
		case m.over != nil:
			return nil, m.over
		case m.told != nil:
			err := m.told
			m.told = nil
			return nil, err
		}
		records, err := m.reader.Poll(deadline, limit)
		if len(records) > 0 || err != nil || !m.urgent() {
			return records, err
		}
	}
}

// Rejoin gives up the membership, if there is one, and has the member join as another:
// with a new member id, or, if it is static, with its instance id and a new member id.
// What it had is lost, as if the group had gone on without it: the next Poll stops
// reading it and calls OnLost, and Commit returns ErrFenced until the member has joined.
// That the old member goes is told to the group once; if that fails its session has to
// run out.
//
// It is for who must know what is committed, after a commit of which the outcome is not
// known: that commit may still be on its way, and come after all that is committed under
// the same member id later. The group refuses it before the new member, or any other, is
// given the partitions.
//
// It is called by the task that polls. It does not block.
func (m *GroupConsumer) Rejoin() {
	if m.closed || m.over != nil || m.member == "" {
		return
	}
	m.w.Probe("a member gave up its membership, to join as another")
	m.heir = true
	if m.c.Instance == "" || m.c.Protocol == ConsumerGroup { // else who joins with its instance id fences it
		m.parted = m.member
	}
	if m.joined {
		m.forget(kafka.ErrUnknownMemberID)
	} else {
		m.member = ""
		m.membership++
	}
	m.wake.Broadcast()
}

// part tells the group that the member which Rejoin gave up is gone. Blocks.
func (m *GroupConsumer) part(deadline kafka.Instant) {
	member := m.parted
	m.parted = ""
	m.leave(member, deadline)
}

// note takes down that everything which was returned is processed, and that somebody
// polls.
func (m *GroupConsumer) note() {
	m.polled = m.w.Now()
	for _, tp := range m.owned {
		if at, err := m.reader.Position(tp); err == nil {
			m.processed[tp] = at
		}
	}
	m.wake.Broadcast()
}

// Close leaves the group, unless the member is static, and ends its tasks and
// connections. What was processed is committed before, with auto-commit. Blocks.
func (m *GroupConsumer) Close(deadline kafka.Instant) error {
	if !m.closed && m.joined && len(m.owned) > 0 {
		m.release(min(deadline, m.w.Now().Add(m.client.c.RequestTimeout)))
	}
	m.closed = true
	m.client.meta.unlisten(m.wake)
	m.wake.Broadcast()
	m.tasks.Cancel()
	err := m.tasks.Wait(deadline)
	if m.c.Instance == "" || m.c.Protocol == ConsumerGroup { // who is still joining is known there, too
		m.part(min(deadline, m.w.Now().Add(m.client.c.RequestTimeout)))
		m.leave(m.member, min(deadline, m.w.Now().Add(m.client.c.RequestTimeout)))
	}
	for _, end := range []func(kafka.Instant) error{m.reader.Close, m.calls.close, m.joins.close} {
		if failed := end(deadline); err == nil {
			err = failed
		}
	}
	return err
}

// release gives back, for good, what the member owns.
func (m *GroupConsumer) release(deadline kafka.Instant) {
	m.note()
	if m.c.AutoCommit > 0 {
		if err := m.commitProcessed(m.owned, deadline); err != nil {
			m.w.Log.Warn("offsets were not committed before the member left", "group", m.c.Group, "err", err)
		}
	}
	if m.c.OnRevoked != nil {
		m.c.OnRevoked(slices.Clone(m.owned))
	}
	m.owned = nil
}

// Check returns the first broken invariant.
func (m *GroupConsumer) Check() error { return m.reader.Check() }
