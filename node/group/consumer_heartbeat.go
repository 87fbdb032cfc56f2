package group

import (
	"regexp"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// maxPattern bounds a subscription's pattern.
const maxPattern = 1_000

// ConsumerHeartbeat has a member join a group of KIP-848, live in it, or leave it.
// Answered with a *ConsumerHeartbeatResponse: when what has changed is committed, or
// at once if nothing has.
func (s *Shard) ConsumerHeartbeat(at machine.Moment, t machine.Ticket, r ConsumerHeartbeatRequest) {
	s.at = at
	r.Client = r.Client.short()
	if same := s.quick(&r); same != nil {
		s.answer(t, same)
		return
	}
	s.enter(t, r)
}

// quick answers a heartbeat that says nothing and changes nothing: most do. It
// returns nil if it cannot.
func (s *Shard) quick(r *ConsumerHeartbeatRequest) *ConsumerHeartbeatResponse {
	g := s.groups.get(r.Group)
	if s.loading || g == nil || g.consumer == nil || !g.ready(members) {
		return nil
	}
	c := g.consumer
	m := c.members.get(r.Member)
	switch {
	case m == nil || m.classic != nil || r.Epoch <= 0 || r.Epoch != m.epoch || differs(r.Instance, m.instance):
		return nil
	case r.Owned != nil || r.Rack != nil || r.RebalanceTimeout >= 0 || r.Topics != nil || r.Regex != nil || r.Assignor != nil:
		return nil
	case !m.reconciled(c.target) || c.epoch != c.target || c.seen != s.metadata:
		return nil
	}
	s.consumerAlive(g, m)
	interval := s.settings.Consumer(g.id).Heartbeat
	if m.same == nil || m.same.Interval != interval {
		m.same = &ConsumerHeartbeatResponse{Member: m.id, Epoch: m.epoch, Interval: interval}
	}
	return m.same
}

// TopicsChanged says that the metadata of topics is not what it was: groups that read
// them are assigned anew when their members are next heard of.
func (s *Shard) TopicsChanged(at machine.Moment) {
	s.at = at
	s.metadata++
}

// refuse makes an answer that is an error.
func (r ConsumerHeartbeatRequest) refuse(code kafka.Error, message string) *ConsumerHeartbeatResponse {
	return &ConsumerHeartbeatResponse{Error: code, Message: message, Member: r.Member, Epoch: r.Epoch}
}

// wrong says what is wrong with a request by itself.
func (r *ConsumerHeartbeatRequest) wrong(assignors []string) (kafka.Error, string) {
	joins := r.Epoch == JoinEpoch
	switch {
	case r.Epoch < LeaveStaticEpoch:
		return kafka.ErrInvalidRequest, "there is no such member epoch"
	case r.Member == "" && (!joins || r.Version >= 1):
		return kafka.ErrInvalidRequest, "a member id is required"
	case r.Epoch == LeaveStaticEpoch && r.Instance == "":
		return kafka.ErrInvalidRequest, "only a static member goes away for a while"
	case len(r.Member) > maxName || len(r.Instance) > maxName:
		return kafka.ErrInvalidRequest, "the id is too long"
	case joins && r.RebalanceTimeout < 0:
		return kafka.ErrInvalidRequest, "who joins has a rebalance time-out"
	case joins && len(r.Owned) > 0:
		return kafka.ErrInvalidRequest, "who joins owns nothing"
	case joins && r.Topics == nil && r.Regex == nil:
		return kafka.ErrInvalidRequest, "who joins subscribes to topics"
	case r.Assignor != nil && *r.Assignor != "" && !slices.Contains(assignors, *r.Assignor):
		return kafka.ErrUnsupportedAssignor, "there is no such assignor"
	}
	if r.Regex != nil && *r.Regex != "" {
		if _, err := compile(*r.Regex); err != nil {
			return kafka.ErrInvalidRegularExpression, err.Error()
		}
	}
	return kafka.None, ""
}

// compile makes a pattern that matches whole names. Kafka's are of RE2 too.
func compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, kafka.ErrInvalidRegularExpression
	}
	return regexp.Compile("^(?:" + pattern + ")$")
}

// beat decides a heartbeat.
func (s *Shard) beat(t machine.Ticket, r ConsumerHeartbeatRequest) {
	if code, why := r.wrong(s.settings.Limits().Assignors); code != kafka.None {
		s.answer(t, r.refuse(code, why))
		return
	}
	g := s.groups.get(r.Group)
	joins := r.Epoch == JoinEpoch
	switch {
	case g != nil && g.consumer != nil:
	case !joins:
		s.answer(t, r.refuse(kafka.ErrGroupIDNotFound, "there is no such group"))
		return
	case g != nil:
		if code, why := s.mayUpgrade(g); code != kafka.None {
			s.answer(t, r.refuse(code, why))
			return
		}
	}
	if r.Epoch < 0 {
		s.leaveConsumer(t, r, g)
		return
	}
	b, code, why := s.begin(g, r)
	if code != kafka.None {
		s.answer(t, r.refuse(code, why))
		return
	}
	b.subscribe(s)
	b.aim(s)
	b.reconcile()
	s.finish(t, b)
}

// finish has what a heartbeat changes appended, and answers it.
func (s *Shard) finish(t machine.Ticket, b *beating) {
	g := s.group(b.r.Group)
	if m := b.c.members.get(b.next.id); m != nil && b.c == g.consumer {
		s.consumerAlive(g, m)
	}
	response := b.response(s.settings.Consumer(g.id))
	if len(b.records) == 0 {
		if b.tells {
			b.was.told = true
		}
		s.answer(t, response)
		s.tidy(g)
		return
	}
	s.change(g, b.records, b.then).answers(t, b.r, response)
}

// A beating is a heartbeat under way: what is, and what shall be.
type beating struct {
	r       ConsumerHeartbeatRequest
	group   string
	c       *consumer
	was     *consumerMember // nil: is new
	next    consumerMember  // a copy that changes; its sets are shared
	instead string          // the member id whose place it takes
	records []machine.Record
	epoch   int32 // the group's
	target  int32
	more    bool // heartbeats wait behind it
	then    outcome
	classic *classicSide // it is a JoinGroup, and says this
	has     places       // that the member owns, if it said so
	tells   bool         // its answer tells the member what to revoke, if there is nothing to append first that may be refused
}

// begin finds out who the member is.
func (s *Shard) begin(g *group, r ConsumerHeartbeatRequest) (*beating, kafka.Error, string) {
	b := &beating{r: r, group: r.Group}
	switch {
	case g == nil:
		b.c = &consumer{}
	case g.consumer == nil && g.classic.empty():
		b.c = &consumer{epoch: int32(g.classic.generation)} // epochs go on where generations end: Kafka begins anew
		if g.recorded {
			b.records = append(b.records, g.tombstones()...) // an empty classic group becomes another
		}
	case g.consumer == nil:
		var err error
		if b.c, b.records, err = s.upgraded(g); err != nil {
			return b, kafka.ErrGroupIDNotFound, "the group cannot be upgraded: " + err.Error()
		}
		if b.c.members.len() > 0 {
			b.then = upgrading{}
		}
	default:
		b.c = g.consumer
	}
	b.behind(g)
	if r.Member == "" {
		b.r.Member = s.settings.NewMemberID(r.Client.ID)
	}
	code, why := b.identify()
	if code == kafka.None && b.was == nil && b.instead == "" && b.c.members.len() >= s.settings.Consumer(r.Group).MaxSize {
		return b, kafka.ErrGroupMaxSizeReached, "the group is full"
	}
	return b, code, why
}

// behind notes where the group is, and whether others wait to change it.
func (b *beating) behind(g *group) {
	b.epoch, b.target = b.c.epoch, b.c.target
	b.more = g != nil && slices.ContainsFunc(g.queue, mayAim)
}

// mayAim reports whether a request may be one that computes a target.
func mayAim(w waiting) bool {
	switch w.request.(type) {
	case ConsumerHeartbeatRequest, JoinRequest:
		return true
	}
	return false
}

// identify compares the member with what is known of it.
func (b *beating) identify() (kafka.Error, string) {
	r, c := &b.r, b.c
	was := c.members.get(r.Member)
	if holder := c.members.get(c.static[r.Instance]); r.Instance != "" && holder != nil && holder != was {
		return b.replace(holder)
	}
	switch {
	case was == nil && r.Epoch != JoinEpoch:
		return kafka.ErrUnknownMemberID, "there is no such member"
	case was == nil:
		b.next.id = r.Member
		return kafka.None, ""
	case differs(r.Instance, was.instance):
		return kafka.ErrUnknownMemberID, "the member has another instance id"
	case was.classic != nil && r.Epoch != JoinEpoch:
		return kafka.ErrUnknownMemberID, "the member speaks the classic protocol"
	}
	b.was, b.next = was, *was
	switch {
	case r.Epoch == JoinEpoch && was.epoch == LeaveStaticEpoch:
		b.next.epoch, b.next.previous, b.next.state = 0, 0, settled
	case r.Epoch == JoinEpoch && (was.previous != 0 || was.classic != nil):
		// It was fenced, or believes so, and has let go of everything.
		b.next.progress = progress{}
	case r.Epoch == was.epoch:
	case r.Epoch == was.previous && r.ownsOnly(was.assigned):
		// It has not heard of the epoch that it is in.
	default:
		return kafka.ErrFencedMemberEpoch, "the member is in another epoch"
	}
	return kafka.None, ""
}

// ownsOnly reports whether a member says what it owns, and that it is no more than
// it was assigned.
func (r *ConsumerHeartbeatRequest) ownsOnly(assigned places) bool {
	if r.Owned == nil {
		return r.Epoch == JoinEpoch
	}
	_, more := placesOf(r.Owned).split(assigned)
	return len(more) == 0
}

// replace puts a static member in the place of the one that had its instance id, if
// that one has gone away, or speaks the classic protocol, in which nobody goes away for
// a while.
func (b *beating) replace(holder *consumerMember) (kafka.Error, string) {
	switch {
	case b.r.Epoch != JoinEpoch:
		return kafka.ErrFencedInstanceID, "another member has the instance id"
	case holder.epoch != LeaveStaticEpoch && holder.classic == nil:
		return kafka.ErrUnreleasedInstanceID, "the instance id is in use"
	}
	b.takePlace(holder)
	return kafka.None, ""
}

// takePlace has the member be in the place of another.
func (b *beating) takePlace(holder *consumerMember) {
	b.instead = holder.id
	b.next = *holder
	b.next.id = b.r.Member
	b.next.epoch, b.next.previous, b.next.state = 0, 0, settled
	b.records = append(b.records, goneMember(b.group, holder.id)...)
}

// response says what the member is to know. What it is assigned is said when it has
// changed, or when the member has told everything and so may know nothing.
func (b *beating) response(limits ConsumerLimits) *ConsumerHeartbeatResponse {
	out := &ConsumerHeartbeatResponse{Member: b.next.id, Epoch: b.next.epoch, Interval: limits.Heartbeat}
	r := &b.r
	if b.full() || b.was == nil || r.Epoch != b.was.epoch || !slices.Equal(b.was.assigned, b.next.assigned) {
		out.Assigned = b.next.assigned.topics()
	}
	return out
}

// leaveConsumer has a member leave, or go away for a while: then what it has is kept for
// it until its session is over (KIP-848, static membership).
func (s *Shard) leaveConsumer(t machine.Ticket, r ConsumerHeartbeatRequest, g *group) {
	c := g.consumer
	m := c.members.get(r.Member)
	holder, static := c.static[r.Instance]
	switch {
	case r.Instance != "" && !static, m == nil && r.Instance == "", m != nil && m.classic != nil:
		s.answer(t, r.refuse(kafka.ErrUnknownMemberID, "there is no such member"))
		return
	case r.Instance != "" && holder != r.Member:
		s.answer(t, r.refuse(kafka.ErrFencedInstanceID, "another member has the instance id"))
		return
	}
	answer := &ConsumerHeartbeatResponse{Member: r.Member, Epoch: r.Epoch}
	records := s.fencing(g, m)
	if r.Epoch == LeaveStaticEpoch {
		away := m.progress
		away.epoch, away.state, away.revoking = LeaveStaticEpoch, settled, nil
		records = []machine.Record{{Key: key{kind: currentMemberKind, group: g.id, member: m.id}.encode(), Value: away.encode()}}
	}
	s.change(g, records, nil).answers(t, r, answer)
}
