package scenarios

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/internal/report"
	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
	"github.com/klammlog/klamm/sim"
)

// states is what the nodes of a run are, as it changes: their replicas, what their
// controllers have decided, their groups.
type states struct {
	w      *Witness
	hosts  []seenHost
	seen   map[replicaSeat]*seenReplica
	order  []*seenReplica
	groups map[string]int

	newest  kafka.Offset // of the metadata that was looked at
	decided map[place]meta.PartitionState
	topics  map[kafka.TopicID]string
}

// A replicaSeat is where a replica is.
type replicaSeat struct {
	node      string
	partition kafka.TopicPartition
}

// A seenReplica is a replica, and what it was when it was last looked at.
type seenReplica struct {
	node *sim.Node
	at   int // among the report's
	last broker.View
	told report.ReplicaState
	gone bool
}

// A seenHost is a node, and how far it was looked at.
type seenHost struct {
	of              *node.Node // the life that it was
	changes, groups uint64
	applied         kafka.Offset
	active          bool
}

// stepped looks at the node that has taken a step.
func (s *states) stepped(stepped *sim.Node) {
	if s.hosts == nil {
		s.hosts = make([]seenHost, len(s.w.r.nodes))
		s.decided, s.topics, s.newest = map[place]meta.PartitionState{}, map[kafka.TopicID]string{}, kafka.NoOffset
	}
	for i, b := range s.w.r.nodes {
		if b.node == stepped {
			s.look(&s.hosts[i], b)
		}
	}
}

// look compares a node with what it was.
func (s *states) look(h *seenHost, b *brokerHost) {
	n := b.running
	if h.of != n {
		if n == nil {
			s.left(h, b)
			return
		}
		*h = seenHost{of: n, applied: kafka.NoOffset}
	}
	if n == nil {
		return
	}
	if at := n.Applied(); at != h.applied {
		h.applied = at
		if at > s.newest {
			s.newest = at
			s.decisions(n.Image())
		}
	}
	if c := n.Changes(); c != h.changes {
		h.changes = c
		s.replicas(b)
		// Whether a controller thinks that it may act depends on its clock, and looking at
		// that would leave a trace in the run.
		if v, ok := n.Quorum(); ok && (v.Role == quorum.Leader) != h.active {
			h.active = !h.active
			s.activity(b, h.active)
		}
	}
	if c := n.GroupChanges(); c != h.groups {
		h.groups = c
		n.Groups(func(_ kafka.TopicPartition, epoch kafka.LeaderEpoch, m *group.Shard) {
			for _, v := range m.Views() {
				s.group(viewOfGroup(n, epoch, v))
			}
		})
	}
}

// died notes that a node's process is no more: it takes no step to be looked at.
func (s *states) died(node *sim.Node) {
	for i, b := range s.w.r.nodes {
		if b.node == node && i < len(s.hosts) && s.hosts[i].of != nil {
			s.left(&s.hosts[i], b)
		}
	}
}

// left notes that a node runs no more.
func (s *states) left(h *seenHost, b *brokerHost) {
	*h = seenHost{}
	s.activity(b, false)
	for _, v := range s.of(b) {
		s.put(v, report.ReplicaState{At: s.w.now(), Role: "down", End: v.told.End, Start: v.told.Start, HighWatermark: v.told.HighWatermark,
			Durable: v.told.Durable, Epochs: v.told.Epochs, Epoch: v.told.Epoch})
	}
}

// of returns the replicas of a node that were seen, in order.
func (s *states) of(b *brokerHost) (out []*seenReplica) {
	for _, v := range s.order {
		if v.node == b.node && !v.gone {
			out = append(out, v)
		}
	}
	return out
}

// activity notes who is the active controller.
func (s *states) activity(b *brokerHost, active bool) {
	for i := range s.w.lives {
		l := &s.w.lives[i]
		switch {
		case l.node != b.node:
		case active:
			l.leads = s.w.band(l.lane, report.Leads, "active controller", report.None)
			s.w.event(l.lane, report.Active, report.None, fmt.Sprintf("%s becomes the active controller", b.seat.name))
		case l.leads != report.None:
			s.w.told.Bands[l.leads].To = s.w.now()
			l.leads = report.None
			s.w.event(l.lane, report.Active, report.None, fmt.Sprintf("%s is the active controller no more", b.seat.name))
		}
	}
}

// replicas looks at what a node has of partitions.
func (s *states) replicas(b *brokerHost) {
	views := b.running.Partitions()
	for i := range views {
		s.replica(b, &views[i])
	}
	for _, seen := range s.of(b) {
		if !slices.ContainsFunc(views, func(v broker.View) bool { return v.Partition == seen.last.Partition }) {
			seen.gone = true
			s.put(seen, report.ReplicaState{At: s.w.now(), Role: "gone"})
		}
	}
}

func (s *states) replica(b *brokerHost, v *broker.View) {
	key := replicaSeat{b.seat.name, v.Partition}
	seen := s.seen[key]
	if seen == nil {
		seen = &seenReplica{node: b.node, at: len(s.w.told.Replicas)}
		s.seen[key], s.order = seen, append(s.order, seen)
		s.w.told.Replicas = append(s.w.told.Replicas, report.Replica{Partition: s.w.partition(v.Partition), Lane: s.w.lanes[b.seat.name]})
	}
	seen.gone = false
	if seen.told.Role != "" && seen.told.Role != "down" && seen.told.Role != "gone" && same(&seen.last, v) {
		return
	}
	next := report.ReplicaState{
		At: s.w.now(), Role: roleOf(v), Epoch: int32(v.LeaderEpoch), PartitionEpoch: v.PartitionEpoch, InSync: numbers(v.ISR),
		Start: int64(v.LogStart), HighWatermark: int64(v.HighWatermark), End: int64(v.LogEnd), Durable: int64(v.Durable), Epochs: seen.told.Epochs,
	}
	if v.Broken != nil {
		// A log that is closed cannot be asked: it holds what it held.
		next.Start, next.HighWatermark, next.End, next.Durable = seen.told.Start, seen.told.HighWatermark, seen.told.End, seen.told.Durable
	}
	if c, ok := b.running.Closeup(v.Topic, v.Partition.Partition); ok && c.Epochs != nil {
		next.Epochs = epochsOf(c.Epochs, seen.told.Epochs)
	}
	seen.last = *v
	s.put(seen, next)
}

// same reports whether two views show the same of a replica.
func same(a, b *broker.View) bool {
	return a.Topic == b.Topic && a.Role == b.Role && a.LeaderEpoch == b.LeaderEpoch && a.PartitionEpoch == b.PartitionEpoch &&
		a.LogStart == b.LogStart && a.HighWatermark == b.HighWatermark && a.LogEnd == b.LogEnd && a.Durable == b.Durable &&
		(a.Broken == nil) == (b.Broken == nil) && slices.Equal(a.ISR, b.ISR)
}

func roleOf(v *broker.View) string {
	switch {
	case v.Broken != nil:
		return "broken"
	case v.Role == broker.Leading:
		return "leader"
	case v.Role == broker.Following:
		return "follower"
	}
	return "idle"
}

// epochsOf copies the epochs of a log, unless they are what they were.
func epochsOf(e *commitlog.Epochs, before []report.EpochStart) []report.EpochStart {
	var out []report.EpochStart
	for _, x := range e.Entries() {
		out = append(out, report.EpochStart{Epoch: int32(x.Epoch), Start: int64(x.Start)})
	}
	if slices.Equal(out, before) {
		return before
	}
	return out
}

// put adds a state of a replica. Of several at one instant the last counts.
func (s *states) put(v *seenReplica, next report.ReplicaState) {
	v.told = next
	r := &s.w.told.Replicas[v.at]
	if n := len(r.States); n > 0 && r.States[n-1].At == next.At {
		r.States[n-1] = next
		return
	}
	if s.w.forgotten.states += 1; s.w.forgotten.states > keptStates {
		return
	}
	r.States = append(r.States, next)
}

func numbers(ids []kafka.NodeID) []int32 {
	var out []int32
	for _, id := range ids {
		out = append(out, int32(id))
	}
	slices.Sort(out)
	return out
}

// topicOf names a topic.
func (s *states) topicOf(id kafka.TopicID) string {
	if name, ok := s.topics[id]; ok {
		return name
	}
	return id.String()
}

// decisions notes what the controllers have decided since the last time.
func (s *states) decisions(m *meta.Image) {
	for _, t := range m.Topics() {
		s.topics[t.ID] = t.Name
		for i, now := range t.Partitions {
			at := place{t.ID, kafka.TopicPartition{Topic: t.Name, Partition: int32(i)}}
			before, known := s.decided[at]
			if known && before.Epoch == now.Epoch && before.LeaderEpoch == now.LeaderEpoch {
				continue
			}
			s.decided[at] = meta.PartitionState{Leader: now.Leader, LeaderEpoch: now.LeaderEpoch, Epoch: now.Epoch,
				ISR: slices.Clone(now.ISR), Replicas: slices.Clone(now.Replicas)}
			s.decision(at.partition, &before, &now, known)
		}
	}
}

// decision tells of one partition.
func (s *states) decision(tp kafka.TopicPartition, before, now *meta.PartitionState, known bool) {
	lane := report.None
	if b := s.w.r.brokerWith(now.Leader); b != nil {
		lane = s.w.lanes[b.seat.name]
	}
	at := s.w.partition(tp)
	switch {
	case !known:
		s.w.event(lane, report.Election, at, fmt.Sprintf("%s is there: %s leads in epoch %d, replicas %s", tp, s.name(now.Leader), now.LeaderEpoch, s.names(now.Replicas)))
	case before.Leader != now.Leader && now.Leader == meta.NoLeader:
		s.w.event(lane, report.Election, at, fmt.Sprintf("%s has no leader any more (%s led in epoch %d), in sync is %s",
			tp, s.name(before.Leader), before.LeaderEpoch, s.names(now.ISR)))
	case before.Leader != now.Leader:
		was := s.name(before.Leader) + " led"
		if before.Leader == meta.NoLeader {
			was = "nobody led"
		}
		s.w.event(lane, report.Election, at, fmt.Sprintf("%s is elected leader of %s in epoch %d (before, %s in epoch %d), in sync are %s",
			s.name(now.Leader), tp, now.LeaderEpoch, was, before.LeaderEpoch, s.names(now.ISR)))
	case !slices.Equal(numbers(before.ISR), numbers(now.ISR)):
		s.w.event(lane, report.InSync, at, fmt.Sprintf("the in-sync set of %s goes from %s to %s", tp, s.names(before.ISR), s.names(now.ISR)))
	}
}

func (s *states) name(id kafka.NodeID) string {
	if b := s.w.r.brokerWith(id); b != nil {
		return b.seat.name
	}
	return fmt.Sprintf("node %d", id)
}

func (s *states) names(ids []kafka.NodeID) string {
	out := "{"
	for i, id := range numbers(ids) {
		if i > 0 {
			out += ", "
		}
		out += s.name(kafka.NodeID(id))
	}
	return out + "}"
}

// group notes what a group has become.
func (s *states) group(v groupView) {
	at, ok := s.groups[v.Name]
	if !ok {
		at = len(s.w.told.Groups)
		s.groups[v.Name] = at
		s.w.told.Groups = append(s.w.told.Groups, report.Group{Name: v.Name})
	}
	g := &s.w.told.Groups[at]
	now := report.GroupState{At: s.w.now(), State: v.State, Epoch: v.Epoch}
	for i := range v.Members {
		m := &v.Members[i]
		now.Members = append(now.Members, report.GroupMember{Name: m.who(), Epoch: m.Epoch, Has: texts(m.Has), Goal: texts(m.Goal)})
	}
	slices.SortFunc(now.Members, func(a, b report.GroupMember) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	if n := len(g.States); n > 0 && sameGroup(&g.States[n-1], &now) {
		return
	}
	if s.w.forgotten.states++; s.w.forgotten.states > keptStates {
		return
	}
	g.States = append(g.States, now)
}

func sameGroup(a, b *report.GroupState) bool {
	return a.State == b.State && a.Epoch == b.Epoch && slices.EqualFunc(a.Members, b.Members, func(x, y report.GroupMember) bool {
		return x.Name == y.Name && x.Epoch == y.Epoch && slices.Equal(x.Has, y.Has) && slices.Equal(x.Goal, y.Goal)
	})
}

func texts(of []kafka.TopicPartition) []string {
	var out []string
	for _, p := range of {
		out = append(out, p.String())
	}
	slices.Sort(out)
	return out
}
