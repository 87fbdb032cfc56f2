package client

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/assignor"
	"github.com/klammlog/klamm/node/kafka"
)

// A subscription is what a member tells the leader of its classic group.
type subscription struct {
	topics     []string
	owned      []kafka.TopicPartition
	generation int32 // in which it was given that
	rack       string
}

// encodeSubscription encodes a subscription as the other clients of the group expect
// it: version 3 has owned partitions, generation and rack for all assignors; sticky
// ones look into the user data.
func encodeSubscription(assignorName string, s subscription) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics, m.Generation = 3, s.topics, s.generation
	if s.rack != "" {
		m.Rack = &s.rack
	}
	for _, t := range perTopic(s.owned) {
		o := kmsg.NewConsumerMemberMetadataOwnedPartition()
		o.Topic, o.Partitions = t.topic, t.partitions
		m.OwnedPartitions = append(m.OwnedPartitions, o)
	}
	switch assignorName {
	case "sticky":
		u := kmsg.NewStickyMemberMetadata()
		u.Generation = s.generation
		for _, t := range perTopic(s.owned) {
			a := kmsg.NewStickyMemberMetadataCurrentAssignment()
			a.Topic, a.Partitions = t.topic, t.partitions
			u.CurrentAssignment = append(u.CurrentAssignment, a)
		}
		m.UserData = u.AppendTo(nil)
	case "cooperative-sticky":
		m.UserData = binary.BigEndian.AppendUint32(nil, uint32(s.generation))
	}
	return m.AppendTo(nil)
}

// decodeSubscription reads what any client has told.
func decodeSubscription(assignorName string, b []byte) (subscription, error) {
	m := kmsg.NewConsumerMemberMetadata()
	if err := m.ReadFrom(b); err != nil {
		return subscription{}, err
	}
	s := subscription{topics: m.Topics, generation: assignor.NoGeneration, rack: text(m.Rack)}
	if m.Version >= 2 {
		s.generation = m.Generation
	}
	for _, o := range m.OwnedPartitions {
		for _, p := range o.Partitions {
			s.owned = append(s.owned, kafka.TopicPartition{Topic: o.Topic, Partition: p})
		}
	}
	switch {
	case assignorName == "sticky":
		u := kmsg.NewStickyMemberMetadata()
		if len(m.UserData) > 0 && u.ReadFrom(m.UserData) == nil {
			s.owned, s.generation = nil, u.Generation
			for _, a := range u.CurrentAssignment {
				for _, p := range a.Partitions {
					s.owned = append(s.owned, kafka.TopicPartition{Topic: a.Topic, Partition: p})
				}
			}
		}
	case assignorName == "cooperative-sticky" && m.Version < 2 && len(m.UserData) >= 4:
		s.generation = int32(binary.BigEndian.Uint32(m.UserData))
	}
	return s, nil
}

// assign decides, as the leader, who gets what. Blocks, to ask about topics.
func (m *GroupConsumer) assign(joined *kmsg.JoinGroupResponse) ([]kmsg.SyncGroupRequestGroupAssignment, error) {
	name := text(joined.Protocol)
	decide, ok := assignor.Named(name)
	if !ok {
		return nil, fmt.Errorf("the group has chosen %s, which this member did not offer", name)
	}
	members := make([]assignor.Member, len(joined.Members))
	var wanted []string
	for i, j := range joined.Members {
		s, err := decodeSubscription(name, j.ProtocolMetadata)
		if err != nil {
			return nil, fmt.Errorf("subscription of member %s: %w", j.MemberID, err)
		}
		members[i] = assignor.Member{ID: j.MemberID, Instance: text(j.InstanceID), Topics: s.topics, Rack: s.rack, Owned: s.owned, Generation: s.generation}
		wanted = append(wanted, s.topics...)
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	topics, err := m.partitionsOf(wanted)
	if err != nil {
		return nil, err
	}
	m.w.Probe("a member of a classic group assigned partitions")
	plan := decide(members, topics)
	out := make([]kmsg.SyncGroupRequestGroupAssignment, len(members))
	for i := range members {
		out[i].MemberID, out[i].MemberAssignment = members[i].ID, encodeAssignment(plan[i])
	}
	return out, nil
}

// partitionsOf asks how many partitions topics have. Those that are not there have
// none. Blocks.
func (m *GroupConsumer) partitionsOf(names []string) ([]assignor.Topic, error) {
	a, err := m.client.Metadata(append([]string{}, names...), m.at.until(0))
	if err != nil {
		return nil, err
	}
	m.client.meta.view.Apply(a)
	var out []assignor.Topic
	for _, t := range a.Topics {
		m.client.want(t.Name)
		if t.Err == kafka.None || t.Err == kafka.ErrLeaderNotAvailable {
			out = append(out, assignor.Topic{Name: t.Name, Partitions: int32(len(t.Partitions))})
		}
	}
	slices.SortFunc(out, func(a, b assignor.Topic) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// subscribed returns the topics that the member subscribes to, sorted.
func (m *GroupConsumer) subscribed() []string {
	if m.pattern == nil {
		return m.c.Topics
	}
	return m.matching
}

// match looks for the topics that the pattern matches, now and then. Blocks.
func (m *GroupConsumer) match() error {
	now := m.w.Now()
	if m.pattern == nil || m.matched > 0 && now < m.matched.Add(m.client.c.MetadataMaxAge) {
		return nil
	}
	topics, err := m.client.ListTopics(m.at.until(0))
	if err != nil {
		return err
	}
	m.matching, m.matched = nil, m.w.Now()
	for _, t := range topics {
		if m.pattern.MatchString(t.Name) && !t.Internal {
			m.matching = append(m.matching, t.Name)
		}
	}
	return nil
}

// sight says what the member sees of the topics it subscribes to: when that changes
// the leader assigns again, and who subscribes by a pattern tells the leader.
func (m *GroupConsumer) sight() string {
	var b strings.Builder
	for _, name := range m.subscribed() {
		fmt.Fprintf(&b, "%s ", name)
		if !m.leads {
			continue
		}
		if t, ok := m.client.meta.view.Topic(name); ok && t.Err == kafka.None {
			fmt.Fprintf(&b, "%d ", len(t.Partitions))
		}
	}
	return b.String()
}

// topicsChanged reports whether the group is to assign again because topics have
// come, grown or gone. Blocks now and then, to look.
func (m *GroupConsumer) topicsChanged() bool {
	if err := m.match(); err != nil {
		m.w.Log.Warn("topics were not listed", "group", m.c.Group, "err", err)
	}
	for _, name := range m.subscribed() {
		m.client.want(name)
	}
	if !m.joined || m.again {
		return false
	}
	return m.sight() != m.seen
}

type topicPartitions struct {
	topic      string
	partitions []int32
}

// perTopic groups sorted partitions by topic.
func perTopic(tps []kafka.TopicPartition) []topicPartitions {
	var out []topicPartitions
	for _, tp := range tps {
		if n := len(out); n == 0 || out[n-1].topic != tp.Topic {
			out = append(out, topicPartitions{topic: tp.Topic})
		}
		last := &out[len(out)-1]
		last.partitions = append(last.partitions, tp.Partition)
	}
	return out
}

func encodeAssignment(tps []kafka.TopicPartition) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	for _, t := range perTopic(tps) {
		at := kmsg.NewConsumerMemberAssignmentTopic()
		at.Topic, at.Partitions = t.topic, t.partitions
		a.Topics = append(a.Topics, at)
	}
	return a.AppendTo(nil)
}

// decodeAssignment returns what is assigned, sorted. Nothing at all means nothing.
func decodeAssignment(b []byte) ([]kafka.TopicPartition, error) {
	if len(b) == 0 {
		return nil, nil
	}
	a := kmsg.NewConsumerMemberAssignment()
	if err := a.ReadFrom(b); err != nil {
		return nil, err
	}
	var out []kafka.TopicPartition
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			out = append(out, kafka.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	slices.SortFunc(out, comparePartitions)
	return slices.Compact(out), nil
}

func comparePartitions(a, b kafka.TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// text returns what a nullable string says, "" for null.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
