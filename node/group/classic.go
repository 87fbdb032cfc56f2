package group

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A state is where a classic group is in its rebalance.
type state uint8

// The states, of which a group in memory is never dead: then it is not there.
const (
	empty      state = iota // no members; perhaps offsets
	preparing               // members are to join anew
	completing              // all have joined; the leader is to assign
	stable                  // all may have their assignments
)

func (s state) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

// newMemberTimeout is how long a member that never heard of its generation may be
// silent: it may be waiting for a rebalance, and does not send heartbeats meanwhile.
const newMemberTimeout = 5 * time.Minute

// shortest is the least that anything is waited for that is waited for again when it
// has not come: clients choose their time-outs, and 0 would be waited for for ever.
const shortest = time.Second

// consumerType is the protocol type of consumers: the coordinator understands their
// subscriptions.
const consumerType = "consumer"

// classic is the members of a group that speak JoinGroup and SyncGroup.
//
// Invariants:
//
//  1. A group is empty exactly if it has no members, except while those that have an
//     id but have not joined with it are waited for.
//  2. The leader is a member.
//  3. The generation never goes back, and no two lists of members have the same one
//     and both get assignments.
//  4. Who waits for a join is told when the group has completed it; who waits for a
//     sync when the record of the generation is committed.
//
// Only a generation that has its assignments, or has no members, is in the log. What
// a coordinator knew beyond that dies with it: members join its successor anew.
type classic struct {
	state        state
	protocolType string
	protocol     string
	generation   Generation
	leader       string
	since        kafka.Timestamp // when the log's generation came about

	members  table[string, *member]
	static   map[string]string // instance id to member id
	pending  table[string, *timer]
	supports map[string]int // by how many members a protocol is offered
	joining  int            // members whose JoinGroup waits
	unsynced int            // members that have not asked for their assignment

	handed bool            // was a group of KIP-848, and nobody has joined since
	topics map[string]bool // that members are subscribed to; nil: not known

	join, syncing timer
	initial       bool          // nobody was there: wait for more than the first
	arrived       bool          // somebody has come since the delay began
	delay, left   time.Duration // of the initial delay: this one, and what may follow
}

// A member of a classic group.
type member struct {
	id, instance string
	client       Client
	protocols    []Protocol
	session      time.Duration
	rebalance    time.Duration
	assignment   []byte

	join, sync machine.Ticket // that wait; 0: none
	fresh      bool           // has not been told of a generation yet
	unsynced   bool
	silence    timer // until it is lost
}

func (c *classic) init(s *Shard, g *group) {
	c.since = kafka.NoTimestamp
	c.join = timer{group: g, fire: func() { s.joinDue(g) }}
	c.syncing = timer{group: g, fire: func() { s.syncDue(g) }}
}

// empty reports whether the group has no members, and awaits none.
func (c *classic) empty() bool { return c.state == empty && c.pending.len() == 0 }

// stop disarms the timers.
func (c *classic) stop(s *Shard) {
	s.timers.disarm(&c.join)
	s.timers.disarm(&c.syncing)
}

// metadata returns what a member says under the group's protocol.
func (m *member) metadata(protocol string) []byte {
	for i := range m.protocols {
		if m.protocols[i].Name == protocol {
			return m.protocols[i].Metadata
		}
	}
	return nil
}

// matches reports whether a member would say again what it has said.
func (m *member) matches(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && string(a.Metadata) == string(b.Metadata)
	})
}

// known returns the member that who asks says it is, or why it is not: FENCED_INSTANCE_ID
// if another has come in its place.
func (c *classic) known(id, instance string) (*member, kafka.Error) {
	if instance != "" {
		switch holder, ok := c.static[instance]; {
		case !ok:
			return nil, kafka.ErrUnknownMemberID
		case holder != id:
			return nil, kafka.ErrFencedInstanceID
		}
	}
	if m := c.members.get(id); m != nil {
		return m, kafka.None
	}
	return nil, kafka.ErrUnknownMemberID
}

// add takes a member in.
func (c *classic) add(s *Shard, g *group, m *member) {
	m.silence.group = g
	m.silence.fire = func() { s.silent(g, m) }
	c.members.put(m.id, m)
	if m.instance != "" {
		if c.static == nil {
			c.static = map[string]string{}
		}
		c.static[m.instance] = m.id
	}
	if c.leader == "" {
		c.leader = m.id
	}
	c.count(m, +1)
	if m.join != 0 {
		c.joining++
	}
}

// count keeps by how many members each protocol is offered.
func (c *classic) count(m *member, n int) {
	if c.supports == nil {
		c.supports = map[string]int{}
	}
	for i := range m.protocols {
		name := m.protocols[i].Name
		if c.supports[name] += n; c.supports[name] == 0 {
			delete(c.supports, name)
		}
	}
}

// remove takes a member out, and tells it so if it waits.
func (c *classic) remove(s *Shard, m *member, code kafka.Error) {
	s.answerJoin(c, m, JoinResponse{Error: code, Generation: NoGeneration})
	s.answerSync(m, SyncResponse{Error: code})
	s.timers.disarm(&m.silence)
	c.members.drop(m.id)
	c.count(m, -1)
	if c.static[m.instance] == m.id {
		delete(c.static, m.instance)
	}
	if m.unsynced {
		c.unsynced--
	}
	if c.leader == m.id {
		c.leader = ""
		for id := range c.members.all() {
			c.leader = id
			break
		}
	}
}

// forgetPending forgets a member id that was given out.
func (c *classic) forgetPending(s *Shard, id string) {
	if t := c.pending.get(id); t != nil {
		s.timers.disarm(t)
		c.pending.drop(id)
	}
}

// rebalanceTimeout is how long the slowest member may take.
func (c *classic) rebalanceTimeout() time.Duration {
	longest := shortest
	for _, m := range c.members.all() {
		longest = max(longest, m.rebalance)
	}
	return longest
}

// offers reports whether a joining member can be in the group with the others: of
// their protocol type, and with a protocol that all of them have.
func (c *classic) offers(protocolType string, protocols []Protocol) bool {
	if c.state == empty {
		return protocolType != "" && len(protocols) > 0
	}
	return protocolType == c.protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return c.supports[p.Name] == c.members.len()
	})
}

// elect returns the protocol that most members prefer among those that all of them
// have. Of two with as many votes the one that the older member prefers wins.
func (c *classic) elect() string {
	votes, best := map[string]int{}, ""
	for _, m := range c.members.all() {
		for i := range m.protocols {
			if name := m.protocols[i].Name; c.supports[name] == c.members.len() {
				votes[name]++
				break
			}
		}
	}
	for _, m := range c.members.all() {
		for i := range m.protocols {
			if name := m.protocols[i].Name; votes[name] > votes[best] {
				best = name
			}
		}
	}
	assert.That(best != "", "a group of %d members without a common protocol", c.members.len())
	return best
}

// subscribed reports whether a member reads a topic. Of consumers whose
// subscriptions are not understood, it is assumed.
func (c *classic) subscribed(topic string) bool {
	if c.protocolType != consumerType || c.members.len() == 0 {
		return false
	}
	return c.topics == nil || c.topics[topic]
}

// learn notes which topics the members read.
func (c *classic) learn() {
	c.topics = nil
	if c.protocolType != consumerType {
		return
	}
	topics := map[string]bool{}
	for _, m := range c.members.all() {
		names, ok := subscription(m.metadata(c.protocol))
		if !ok {
			return
		}
		for _, name := range names {
			topics[name] = true
		}
	}
	c.topics = topics
}

// subscription returns the topics of a consumer's metadata: what all versions of it
// begin with.
func subscription(metadata []byte) (topics []string, ok bool) {
	d := decoder{b: metadata}
	d.int16()
	for range d.count(2) {
		topics = append(topics, d.text())
	}
	return topics, !d.bad
}

// retention tells from when on the offsets of the group age; NoTimestamp: each from
// its commit. It reports false while they do not.
func (c *classic) retention() (since kafka.Timestamp, applies bool) {
	switch {
	case c.protocolType == "":
		return kafka.NoTimestamp, true
	case c.empty():
		return c.since, true
	case c.state == stable && c.protocolType == consumerType && c.topics != nil:
		return kafka.NoTimestamp, true
	}
	return kafka.NoTimestamp, false
}

// mayDeleteOffsets says whether offsets may be deleted by hand: where it is known
// what the members read.
func (c *classic) mayDeleteOffsets() kafka.Error {
	if c.state != empty && c.protocolType != consumerType {
		return kafka.ErrNonEmptyGroup
	}
	return kafka.None
}

// mayCommit says whether who commits is a member, or the group has none.
func (c *classic) mayCommit(s *Shard, r CommitRequest) kafka.Error {
	if r.Generation < 0 && c.state == empty {
		return kafka.None
	}
	if r.Generation < 0 && r.Member == "" && r.Instance == "" {
		return kafka.ErrUnknownMemberID
	}
	m, code := c.known(r.Member, r.Instance)
	switch {
	case code != kafka.None:
		return code
	case r.Generation != c.generation:
		return kafka.ErrIllegalGeneration
	case c.state == completing:
		return kafka.ErrRebalanceInProgress // its members have just joined: nobody owns anything
	}
	c.alive(s, m)
	return kafka.None
}
