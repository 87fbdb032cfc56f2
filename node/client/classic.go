package client

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/assignor"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// runClassic keeps the membership in a classic group until the member closes.
func (m *GroupConsumer) runClassic() {
	beat := m.w.Now()
	for !m.closed && m.over == nil {
		now := m.w.Now()
		next := min(m.autoCommit(now), m.patience())
		switch {
		case m.closed:
			return
		case m.parted != "":
			m.part(m.at.until(0))
		case m.silent(now):
			m.standAside()
		case m.left && !m.polling && m.polled.Add(m.c.MaxPoll) <= now:
			next = kafka.Never // until somebody polls
			m.rest(next)
		case m.busy() && (!m.joined || m.again):
			m.restBeating(&beat, next) // what the member says that it owns is what Poll has
		case !m.joined || m.again:
			m.left = false
			m.join()
			beat = m.w.Now().Add(m.c.Heartbeat)
		case now >= beat:
			m.heartbeat()
			beat = m.w.Now().Add(m.c.Heartbeat)
		case m.topicsChanged():
			m.rebalance()
		default:
			m.rest(min(next, beat))
		}
	}
}

// rest waits for something to do.
func (m *GroupConsumer) rest(until kafka.Instant) {
	if err := m.wake.Wait(until); err != nil && !isDeadline(err) {
		m.closed = true
	}
}

// restBeating waits for Poll, and shows meanwhile that the member lives.
func (m *GroupConsumer) restBeating(beat *kafka.Instant, next kafka.Instant) {
	if m.joined && m.w.Now() >= *beat {
		m.heartbeat()
		*beat = m.w.Now().Add(m.c.Heartbeat)
		return
	}
	if m.joined {
		next = min(next, *beat)
	}
	m.rest(next)
}

// patience returns when a member that nobody polls has to leave.
func (m *GroupConsumer) patience() kafka.Instant {
	if !m.joined || m.polling {
		return kafka.Never
	}
	return m.polled.Add(m.c.MaxPoll)
}

// silent reports whether nobody has polled for too long.
func (m *GroupConsumer) silent(now kafka.Instant) bool {
	return m.joined && !m.polling && now >= m.polled.Add(m.c.MaxPoll)
}

// standAside leaves the group because nobody polls: others shall have the
// partitions. Whoever polls again joins again.
func (m *GroupConsumer) standAside() {
	m.w.Probe("a member left its group because nobody polled")
	m.w.Log.Warn("member leaves its group: nobody polled for max.poll.interval.ms", "group", m.c.Group, "member", m.member)
	membership := m.membership
	m.leave(m.member, m.at.until(0))
	if m.membership == membership { // second look: else Rejoin came first
		m.forget(kafka.ErrUnknownMemberID)
		m.left = true
	}
}

// rebalance has the group joined again.
func (m *GroupConsumer) rebalance() { m.joinAgain(revoked) }

// joinAgain has the group joined again. Eager members let go of everything first, as
// of what is theirs still, or is another's already; the others only of the latter.
func (m *GroupConsumer) joinAgain(kind handoverKind) {
	if kind == lost || !m.again && !m.c.cooperative() {
		m.letGo(kind) // what is lost is lost, too, if the group was to be joined again already
	}
	m.again = true
	m.wake.Broadcast()
}

// forget ends a membership that the group knows nothing of any more: what the member
// had is another's.
func (m *GroupConsumer) forget(code kafka.Error) {
	m.stats.Fence++
	m.joined, m.again = false, false
	m.membership++
	m.generation = assignor.NoGeneration
	if code != kafka.ErrIllegalGeneration {
		m.member = ""
	}
	// What Poll was to carry out is of a membership that is over: assignments that it
	// has not begun with are nobody's, and what it was to give back is another's.
	m.handovers = nil
	m.letGo(lost)
}

// refused handles a code that a coordinator answers members with, and reports
// whether it was one.
func (m *GroupConsumer) refused(code kafka.Error) bool {
	switch code {
	case kafka.None:
		return false
	case kafka.ErrRebalanceInProgress:
		m.rebalance()
	case kafka.ErrUnknownMemberID, kafka.ErrIllegalGeneration:
		m.w.Probe("a member was fenced by its group")
		m.forget(code)
	case kafka.ErrFencedInstanceID:
		m.forget(code)
		m.over = fmt.Errorf("member of group %s: another has instance id %s: %w: %w", m.c.Group, m.c.Instance, ErrFenced, code)
		m.reader.news.Broadcast()
	default:
		return false
	}
	return true
}

// heartbeat shows that the member lives. Blocks.
func (m *GroupConsumer) heartbeat() {
	m.stats.Heartbeats++
	generation := m.generation
	resp, err := m.at.ask(groupCall{
		build: func() kmsg.Request {
			q := kmsg.NewPtrHeartbeatRequest()
			q.Group, q.Generation, q.MemberID = m.c.Group, m.generation, m.member
			q.InstanceID = m.instance()
			return q
		},
		code:  func(r kmsg.Response) kafka.Error { return kafka.Error(r.(*kmsg.HeartbeatResponse).ErrorCode) },
		links: m.calls,
	}, m.w.Now().Add(max(m.c.Session-m.c.Heartbeat, m.c.Heartbeat)))
	if err != nil {
		if !errors.Is(err, env.ErrCanceled) {
			m.w.Log.Warn("heartbeat was not answered", "group", m.c.Group, "member", m.member, "err", err)
		}
		return
	}
	if m.generation == generation { // second look: a commit may have told first
		m.refused(kafka.Error(resp.(*kmsg.HeartbeatResponse).ErrorCode))
	}
}

func (m *GroupConsumer) instance() *string {
	if m.c.Instance == "" {
		return nil
	}
	return &m.c.Instance
}

// join joins the group, or its rebalance, and takes over what is assigned. Blocks for
// as long as the others take.
func (m *GroupConsumer) join() {
	m.stats.Joins++
	m.again = false
	membership := m.membership
	var r *kmsg.JoinGroupResponse
	err := m.match()
	if err == nil && m.membership == membership {
		r, err = m.askJoin()
	}
	if err == nil && m.membership == membership {
		err = m.synchronize(r)
	}
	if err == nil || m.closed || m.membership != membership { // second look: Rejoin gave up what was joined
		return
	}
	if errors.Is(err, env.ErrCanceled) {
		m.closed = true
		return
	}
	code := kafka.ErrorOf(err)
	switch {
	case code == kafka.ErrMemberIDRequired:
		return // with the id that was given
	case m.refused(code):
	case code.Outcome() == kafka.Definite && code != kafka.ErrUnknownServerError:
		m.tell(err)
	}
	m.again = m.joined // otherwise it joins anyway
	if m.w.Sleep(m.client.backOff(1)) != nil {
		m.closed = true
	}
}

// tell has Poll return an error, once.
func (m *GroupConsumer) tell(err error) {
	m.told = fmt.Errorf("member of group %s: %w", m.c.Group, err)
	m.reader.news.Broadcast()
}

// askJoin sends JoinGroup and waits for the rebalance to complete. Blocks.
func (m *GroupConsumer) askJoin() (*kmsg.JoinGroupResponse, error) {
	patience, membership := m.c.MaxPoll, m.membership
	resp, err := m.at.ask(groupCall{
		build: m.joinRequest,
		code:  func(r kmsg.Response) kafka.Error { return kafka.Error(r.(*kmsg.JoinGroupResponse).ErrorCode) },
		links: m.joins, o: link.Options{Patience: patience},
	}, m.at.until(patience))
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	r := resp.(*kmsg.JoinGroupResponse)
	if m.membership != membership {
		return r, nil // second look: who asked is a member no more
	}
	switch code := kafka.Error(r.ErrorCode); code {
	case kafka.None, kafka.ErrMemberIDRequired:
		m.member = r.MemberID
	}
	if err := kafka.Error(r.ErrorCode).AsError(); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	return r, nil
}

func (m *GroupConsumer) joinRequest() kmsg.Request {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Group, q.MemberID, q.InstanceID, q.ProtocolType = m.c.Group, m.member, m.instance(), "consumer"
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = int32(m.c.Session.Milliseconds()), int32(m.c.MaxPoll.Milliseconds())
	for _, name := range m.c.Assignors {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, encodeSubscription(name, subscription{
			topics: m.subscribed(), owned: m.owned, generation: m.generation, rack: m.reader.c.Rack,
		})
		q.Protocols = append(q.Protocols, p)
	}
	return q
}

// synchronize assigns, if the member leads, and takes over its part. Blocks.
func (m *GroupConsumer) synchronize(joined *kmsg.JoinGroupResponse) error {
	m.leads = joined.LeaderID == joined.MemberID
	var plan []kmsg.SyncGroupRequestGroupAssignment
	if m.leads && !joined.SkipAssignment {
		var err error
		if plan, err = m.assign(joined); err != nil {
			return fmt.Errorf("assign: %w", err)
		}
	}
	if !joined.SkipAssignment { // else somebody assigned, perhaps in an earlier life, who saw less
		m.seen = m.sight()
	}
	protocol, kind, membership := text(joined.Protocol), "consumer", m.membership
	resp, err := m.at.ask(groupCall{
		build: func() kmsg.Request {
			q := kmsg.NewPtrSyncGroupRequest()
			q.Group, q.Generation, q.MemberID, q.InstanceID = m.c.Group, joined.Generation, joined.MemberID, m.instance()
			q.ProtocolType, q.Protocol, q.GroupAssignment = &kind, &protocol, plan
			return q
		},
		code:  func(r kmsg.Response) kafka.Error { return kafka.Error(r.(*kmsg.SyncGroupResponse).ErrorCode) },
		links: m.joins, o: link.Options{Patience: m.c.MaxPoll},
	}, m.at.until(m.c.MaxPoll))
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	r := resp.(*kmsg.SyncGroupResponse)
	if m.membership != membership {
		return nil // second look: who asked is a member no more
	}
	if err := kafka.Error(r.ErrorCode).AsError(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	mine, err := decodeAssignment(r.MemberAssignment)
	if err != nil {
		return fmt.Errorf("assignment: %w", err)
	}
	m.generation, m.joined, m.heir = joined.Generation, true, false
	m.stats.Rebalances++
	m.w.Log.Info("member has joined its group", "group", m.c.Group, "member", m.member, "generation", m.generation, "leads", m.leads, "partitions", len(mine))
	m.change(mine)
	return nil
}

// change has Poll take over what is new, and give back what is not the member's any
// more. Who has given something back joins again, so that another gets it
// (KIP-429). Blocks, to ask where to begin.
func (m *GroupConsumer) change(mine []kafka.TopicPartition) {
	gone, come := minus(m.owned, mine), minus(mine, m.owned)
	m.hand(revoked, gone, nil)
	if len(gone) > 0 {
		m.again = true
	}
	if len(come) == 0 {
		return
	}
	generation := m.generation
	places, err := m.places(come)
	switch {
	case m.generation != generation || !m.joined || m.closed: // second look: fenced meanwhile
	case err != nil:
		m.w.Log.Warn("member does not know where to begin, and joins again", "group", m.c.Group, "err", err)
		m.rebalance()
	default:
		m.hand(assigned, come, places)
	}
}

// places returns where to begin with partitions: at what the group has committed,
// or by auto.offset.reset. It leaves out those of which neither knows a place.
// Blocks.
func (m *GroupConsumer) places(of []kafka.TopicPartition) ([]Place, error) {
	committed, err := m.Committed(of, m.at.until(0))
	if err != nil {
		return nil, err
	}
	var out []Place
	for _, tp := range of {
		c, ok := committed[tp]
		switch {
		case ok && c.Offset >= 0:
			out = append(out, Place{Partition: tp, From: At(c.Offset)})
		case m.reader.c.Reset != ResetNone:
			out = append(out, Place{Partition: tp, From: m.reader.startOver()})
		}
	}
	return out, nil
}

// leave says that a member goes; "" is none. Blocks.
func (m *GroupConsumer) leave(member string, deadline kafka.Instant) {
	if member == "" {
		return
	}
	if m.c.Protocol == ConsumerGroup {
		m.leaveConsumer(member, deadline)
		return
	}
	_, err := m.at.askOnce(groupCall{
		build: func() kmsg.Request {
			q := kmsg.NewPtrLeaveGroupRequest()
			q.Group, q.MemberID = m.c.Group, member
			one := kmsg.NewLeaveGroupRequestMember()
			one.MemberID, one.InstanceID = member, m.instance()
			q.Members = append(q.Members, one)
			return q
		},
		code:  func(r kmsg.Response) kafka.Error { return kafka.Error(r.(*kmsg.LeaveGroupResponse).ErrorCode) },
		links: m.calls,
	}, deadline)
	if err != nil {
		m.w.Log.Warn("group was not told that its member leaves", "group", m.c.Group, "member", member, "err", err)
	}
}
