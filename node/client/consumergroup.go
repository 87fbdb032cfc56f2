package client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// The member epochs with a meaning of their own (KIP-848).
const (
	joinEpoch        int32 = 0
	leaveEpoch       int32 = -1
	leaveStaticEpoch int32 = -2
)

// unresolvedPause is how long a member waits for the name of a topic of which it
// knows the id, before it asks again.
const unresolvedPause = 100 * time.Millisecond

// A target is what the coordinator wants a member of the consumer protocol to have.
type target struct {
	topics  []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic
	settled bool // Poll has been given what was to be done about it
}

// runConsumer keeps the membership in a group of the consumer protocol until the
// member closes.
func (m *GroupConsumer) runConsumer() {
	k := &keeper{GroupConsumer: m, interval: time.Second, names: map[kafka.TopicID]string{}, ids: map[string]kafka.TopicID{}}
	k.begin()
	for !m.closed && m.over == nil {
		now := m.w.Now()
		next := min(m.autoCommit(now), m.patience())
		switch {
		case m.closed:
			return
		case m.parted != "":
			m.part(m.at.until(0))
			k.begin()
		case m.silent(now):
			m.standAside()
			k.begin()
		case m.left && !m.polling && m.polled.Add(m.c.MaxPoll) <= now:
			m.rest(kafka.Never) // until somebody polls
		case m.busy() && !m.joined:
			m.rest(next) // Poll has to let go of what is another's first: a heartbeat that is due does not help
		case k.wants(now):
			m.left = false
			k.heartbeat()
		case !k.target.settled && !m.busy():
			k.reconcile()
		default:
			m.rest(min(next, k.due))
		}
	}
}

// newMemberID draws the id of this member's life: a UUID.
func (m *GroupConsumer) newMemberID() string {
	var id [16]byte
	_, err := io.ReadFull(m.w.Secret, id[:])
	assert.NoError(err)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// A keeper is what a member of the consumer protocol knows between heartbeats.
type keeper struct {
	*GroupConsumer
	interval time.Duration
	due      kafka.Instant          // of the next heartbeat
	whole    bool                   // the last heartbeat failed: the next tells everything
	tells    []kafka.TopicPartition // what the member has, by the heartbeat that is on its way
	told     []kafka.TopicPartition // and by the last that was answered
	toldAny  bool                   // the coordinator was told so since it assigned anything
	target   target

	names map[kafka.TopicID]string // of topics that it was assigned
	ids   map[string]kafka.TopicID
}

// begin has the next heartbeat join, as who the member is or as a new one.
func (k *keeper) begin() {
	if k.member == "" {
		k.member = k.newMemberID()
	}
	k.generation, k.joined = joinEpoch, false
	k.whole, k.toldAny, k.due = true, false, 0
	k.target = target{settled: true}
}

// wants reports whether a heartbeat is to be sent: it is time to, or there is
// something to tell.
func (k *keeper) wants(now kafka.Instant) bool {
	if now >= k.due || !k.joined {
		return now >= k.due
	}
	return k.settled() && (!k.toldAny || !slices.Equal(k.told, k.owned))
}

// settled reports whether Poll has done all that it was to.
func (k *keeper) settled() bool { return !k.busy() && k.target.settled }

// heartbeat joins, lives, and tells what is owned. Blocks.
func (k *keeper) heartbeat() {
	k.stats.Heartbeats++
	sent, membership := k.w.Now(), k.membership
	resp, err := k.at.ask(groupCall{
		build: k.requests(),
		code: func(r kmsg.Response) kafka.Error {
			return kafka.Error(r.(*kmsg.ConsumerGroupHeartbeatResponse).ErrorCode)
		},
		links: k.calls,
	}, sent.Add(max(k.interval, time.Second)))
	switch {
	case k.membership != membership: // second look: it was of one that Rejoin has given up
		return
	case err != nil:
		k.failed(err)
		return
	}
	r := resp.(*kmsg.ConsumerGroupHeartbeatResponse)
	if err := toldBy(r.ErrorCode, r.ErrorMessage); err != nil {
		k.refused(kafka.Error(r.ErrorCode), err)
		return
	}
	k.whole, k.told, k.toldAny = false, k.tells, true
	if r.MemberID != nil && *r.MemberID != "" {
		k.member = *r.MemberID
	}
	if !k.joined {
		k.joined, k.heir = true, false
		k.stats.Joins++
	}
	if k.generation != r.MemberEpoch {
		k.generation = r.MemberEpoch
		k.stats.Rebalances++
	}
	k.interval = max(time.Duration(r.HeartbeatIntervalMillis)*time.Millisecond, time.Millisecond)
	k.due = sent.Add(k.interval)
	if r.Assignment != nil {
		// What was told before may be of before the coordinator decided that: it waits until it hears
		// again what the member has, also if that is the same.
		k.target, k.toldAny = target{topics: r.Assignment.Topics}, false
	}
}

// requests makes a request for each time that it is sent: again it tells everything, as
// the answer that was lost may have told what is assigned.
func (k *keeper) requests() func() kmsg.Request {
	again := false
	return func() kmsg.Request {
		k.whole, again = k.whole || again, true
		k.tells = k.has()
		return k.request()
	}
}

// request tells what has changed since the coordinator last heard, or everything.
func (k *keeper) request() kmsg.Request {
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Group, q.MemberID, q.MemberEpoch, q.InstanceID = k.c.Group, k.member, k.generation, k.instance()
	q.RebalanceTimeoutMillis = -1
	if k.whole || k.generation == joinEpoch {
		q.RebalanceTimeoutMillis = int32(k.c.MaxPoll.Milliseconds())
		q.SubscribedTopicNames = append([]string{}, k.c.Topics...)
		if k.c.Pattern != "" {
			q.SubscribedTopicNames, q.SubscribedTopicRegex = nil, &k.c.Pattern
		}
		if k.c.Remote != "" {
			q.ServerAssignor = &k.c.Remote
		}
		if k.reader.c.Rack != "" {
			q.RackID = &k.reader.c.Rack
		}
	}
	if k.whole || k.generation == joinEpoch || !k.toldAny || !slices.Equal(k.tells, k.told) {
		q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		for _, t := range perTopic(k.tells) {
			one := kmsg.NewConsumerGroupHeartbeatRequestTopic()
			one.TopicID, one.Partitions = k.ids[t.topic], t.partitions
			q.Topics = append(q.Topics, one)
		}
	}
	return q
}

// failed handles a heartbeat that nobody answered: the next one tells everything.
func (k *keeper) failed(err error) {
	switch {
	case errors.Is(err, env.ErrCanceled):
		k.closed = true
		return
	case errors.Is(err, kafka.ErrUnsupportedVersion):
		k.giveUp(err)
		return
	}
	k.w.Log.Warn("heartbeat was not answered", "group", k.c.Group, "member", k.member, "err", err)
	k.whole = true
	k.due = k.w.Now().Add(k.client.backOff(1))
}

// refused handles what a coordinator says against a member.
func (k *keeper) refused(code kafka.Error, err error) {
	switch code {
	case kafka.ErrUnknownMemberID, kafka.ErrFencedMemberEpoch:
		k.w.Probe("a member was fenced by its group")
		member := k.member
		k.forget(code)
		k.member = member // a member keeps its id for life
		k.begin()
	default:
		if code.Outcome() == kafka.Retriable || code == kafka.ErrUnreleasedInstanceID && k.heir {
			k.failed(err)
			return
		}
		k.forget(code)
		k.giveUp(err)
	}
}

// giveUp ends the membership: trying again is of no use.
func (k *keeper) giveUp(err error) {
	k.over = fmt.Errorf("member of group %s: %w", k.c.Group, err)
	k.reader.news.Broadcast()
}

// reconcile gives Poll what leads to the target: partitions to give back first, then
// those that have come. Blocks, to ask for names and for where to begin.
func (k *keeper) reconcile() {
	membership := k.membership
	mine, ok := k.resolve()
	if !ok || k.membership != membership { // second look: Rejoin
		return
	}
	if gone := minus(k.owned, mine); len(gone) > 0 {
		k.hand(revoked, gone, nil)
		return // what has come waits until the coordinator knows
	}
	come := minus(mine, k.owned)
	if len(come) == 0 {
		k.target.settled = true
		return
	}
	generation := k.generation
	places, err := k.places(come)
	switch {
	case k.closed || k.generation != generation || !k.joined: // second look
	case err != nil:
		k.w.Log.Warn("member does not know where to begin, and asks again", "group", k.c.Group, "err", err)
		if k.w.Sleep(k.client.backOff(1)) != nil {
			k.closed = true
		}
	default:
		k.hand(assigned, come, places)
		k.target.settled = true
	}
}

// resolve names the partitions of the target. Topics that this client has not heard
// of are asked for. Blocks.
func (k *keeper) resolve() (mine []kafka.TopicPartition, ok bool) {
	for _, t := range k.target.topics {
		name, err := k.nameOf(t.TopicID)
		if err != nil {
			k.w.Probe("a member was assigned a topic that it did not know")
			k.w.Log.Warn("member does not know a topic that it was assigned", "group", k.c.Group, "err", err)
			if k.w.Sleep(unresolvedPause) != nil {
				k.closed = true
			}
			return nil, false
		}
		for _, p := range t.Partitions {
			mine = append(mine, kafka.TopicPartition{Topic: name, Partition: p})
		}
	}
	slices.SortFunc(mine, comparePartitions)
	return slices.Compact(mine), true
}

// nameOf returns the name of a topic. Blocks if it is not known.
func (k *keeper) nameOf(id kafka.TopicID) (string, error) {
	if name, known := k.names[id]; known {
		return name, nil
	}
	a, err := k.client.Metadata(nil, k.at.until(0))
	if err != nil {
		return "", err
	}
	for _, t := range a.Topics {
		if t.ID == id {
			k.names[id], k.ids[t.Name] = t.Name, id
			return t.Name, nil
		}
	}
	return "", fmt.Errorf("topic id %s: %w", id, kafka.ErrUnknownTopicID)
}

// leaveConsumer says that a member goes, a static one for a while. Blocks.
func (m *GroupConsumer) leaveConsumer(member string, deadline kafka.Instant) {
	epoch := leaveEpoch
	if m.c.Instance != "" {
		epoch = leaveStaticEpoch
	}
	_, err := m.at.askOnce(groupCall{
		build: func() kmsg.Request {
			q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			q.Group, q.MemberID, q.MemberEpoch, q.InstanceID, q.RebalanceTimeoutMillis = m.c.Group, member, epoch, m.instance(), -1
			return q
		},
		code: func(r kmsg.Response) kafka.Error {
			return kafka.Error(r.(*kmsg.ConsumerGroupHeartbeatResponse).ErrorCode)
		},
		links: m.calls,
	}, deadline)
	if err != nil {
		m.w.Log.Warn("group was not told that its member leaves", "group", m.c.Group, "member", member, "err", err)
	}
}
