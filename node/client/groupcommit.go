package client

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// A Commit is an offset for a group: that of the first record that is not processed.
type Commit struct {
	Partition kafka.TopicPartition
	Offset    kafka.Offset
	Metadata  string
}

// Commit writes offsets down for the group. An error tells, by OutcomeOf, whether
// they may be committed all the same; ErrFenced, that the partitions are another's. Blocks.
func (m *GroupConsumer) Commit(offsets []Commit, deadline kafka.Instant) error {
	if len(offsets) == 0 {
		return nil
	}
	m.stats.Commits++
	member, generation := m.member, m.generation
	if !m.joined {
		// Without a member id it would be an outsider's commit, which a group without
		// members takes.
		m.w.Probe("a member that is none any more wanted to commit")
		return fmt.Errorf("commit of group %s: not a member: %w: %w", m.c.Group, ErrFenced, kafka.ErrUnknownMemberID)
	}
	var told func(error)
	if m.c.OnCommit != nil {
		told = m.c.OnCommit(offsets)
	}
	resp, err := m.at.ask(groupCall{
		build: func() kmsg.Request {
			return commitRequest(commitAs{group: m.c.Group, member: member, instance: m.c.Instance, generation: generation}, offsets)
		},
		code: commitCode, links: m.calls, once: true, o: link.Options{MinVersion: 2, MaxVersion: 9},
	}, deadline)
	if err != nil {
		err = fmt.Errorf("commit of group %s: %w", m.c.Group, err)
	} else {
		err = m.judgeCommit(resp.(*kmsg.OffsetCommitResponse), generation)
	}
	if told != nil {
		told(err)
	}
	return err
}

// commitAs is who commits: a member, or nobody.
type commitAs struct {
	group, member, instance string
	generation              int32
}

func commitRequest(as commitAs, offsets []Commit) kmsg.Request {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Group, q.Generation, q.MemberID, q.RetentionTimeMillis = as.group, as.generation, as.member, -1
	if as.instance != "" {
		q.InstanceID = &as.instance
	}
	at := map[string]int{}
	for _, o := range offsets {
		i, ok := at[o.Partition.Topic]
		if !ok {
			i = len(q.Topics)
			at[o.Partition.Topic] = i
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = o.Partition.Topic
			q.Topics = append(q.Topics, t)
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = o.Partition.Partition, int64(o.Offset), -1, &o.Metadata
		q.Topics[i].Partitions = append(q.Topics[i].Partitions, p)
	}
	return q
}

// commitCode returns what concerns the whole of a commit, which stands with each
// partition.
func commitCode(r kmsg.Response) kafka.Error {
	for _, t := range r.(*kmsg.OffsetCommitResponse).Topics {
		for _, p := range t.Partitions {
			switch code := kafka.Error(p.ErrorCode); code {
			case kafka.ErrNotCoordinator, kafka.ErrCoordinatorNotAvailable, kafka.ErrCoordinatorLoadInProgress:
				return code
			}
		}
	}
	return kafka.None
}

// judgeCommit returns the first error of an answer, and has the group joined again if
// it has gone on.
func (m *GroupConsumer) judgeCommit(r *kmsg.OffsetCommitResponse, generation int32) error {
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			code := kafka.Error(p.ErrorCode)
			if code == kafka.None {
				continue
			}
			err := fmt.Errorf("commit of group %s: %s-%d: %w", m.c.Group, t.Topic, p.Partition, code)
			if fenced(code) {
				m.w.Probe("a commit of a member that the group has gone on without was refused")
				err = fmt.Errorf("%w: %w", ErrFenced, err)
			}
			switch {
			case generation != m.generation || m.c.Protocol != ClassicGroup:
			case fenced(code):
				m.joinAgain(lost)
			case code == kafka.ErrRebalanceInProgress:
				m.rebalance()
			}
			return err
		}
	}
	return nil
}

// CommitPolled commits what Poll has returned, as processed, of all partitions. Blocks.
func (m *GroupConsumer) CommitPolled(deadline kafka.Instant) error {
	var offsets []Commit
	for _, tp := range m.owned {
		if at, err := m.reader.Position(tp); err == nil {
			offsets = append(offsets, Commit{Partition: tp, Offset: at})
		}
	}
	return m.Commit(offsets, deadline)
}

// commitProcessed commits what counts as processed of some partitions. Blocks.
func (m *GroupConsumer) commitProcessed(of []kafka.TopicPartition, deadline kafka.Instant) error {
	var offsets []Commit
	for _, tp := range of {
		if at, ok := m.processed[tp]; ok {
			offsets = append(offsets, Commit{Partition: tp, Offset: at})
		}
	}
	m.stats.AutoCommits++
	return m.Commit(offsets, deadline)
}

// autoCommit commits when it is time to. It returns when it will be. Blocks.
func (m *GroupConsumer) autoCommit(now kafka.Instant) kafka.Instant {
	if m.c.AutoCommit == 0 || !m.joined || len(m.processed) == 0 {
		return kafka.Never
	}
	if next := m.committed.Add(m.c.AutoCommit); now < next {
		return next
	}
	m.committed = now
	if err := m.commitProcessed(slices.Clone(m.owned), now.Add(m.client.c.RequestTimeout)); err != nil {
		m.w.Log.Warn("offsets were not committed", "group", m.c.Group, "err", err)
	}
	return m.w.Now().Add(m.c.AutoCommit)
}

// Committed returns the offsets that the group has committed; NoOffset where there
// is none. Blocks.
func (m *GroupConsumer) Committed(of []kafka.TopicPartition, deadline kafka.Instant) (map[kafka.TopicPartition]Commit, error) {
	return m.at.offsets(of, m.calls, deadline)
}

// offsetsRequest asks for committed offsets; of is nil for all there are.
func offsetsRequest(group string, of []kafka.TopicPartition) kmsg.Request {
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Group = group
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.MemberEpoch = group, -1
	at := map[string]int{}
	for _, tp := range of {
		i, ok := at[tp.Topic]
		if !ok {
			i = len(q.Topics)
			at[tp.Topic] = i
			t, gt := kmsg.NewOffsetFetchRequestTopic(), kmsg.NewOffsetFetchRequestGroupTopic()
			t.Topic, gt.Topic = tp.Topic, tp.Topic
			q.Topics, g.Topics = append(q.Topics, t), append(g.Topics, gt)
		}
		q.Topics[i].Partitions = append(q.Topics[i].Partitions, tp.Partition)
		g.Topics[i].Partitions = append(g.Topics[i].Partitions, tp.Partition)
	}
	q.Groups = append(q.Groups, g)
	return q
}

func offsetsCode(r kmsg.Response) kafka.Error {
	a := r.(*kmsg.OffsetFetchResponse)
	if a.Version >= 8 && len(a.Groups) > 0 {
		return kafka.Error(a.Groups[0].ErrorCode)
	}
	return kafka.Error(a.ErrorCode)
}

// groupOffsets reads an answer, whatever its version.
func groupOffsets(group string, r *kmsg.OffsetFetchResponse) (map[kafka.TopicPartition]Commit, error) {
	out := map[kafka.TopicPartition]Commit{}
	if err := offsetsCode(r).AsError(); err != nil {
		return nil, err
	}
	add := func(topic string, partition int32, at int64, metadata *string, code int16) error {
		tp := kafka.TopicPartition{Topic: topic, Partition: partition}
		if err := kafka.Error(code).AsError(); err != nil {
			return fmt.Errorf("%s: %w", tp, err)
		}
		c := Commit{Partition: tp, Offset: kafka.Offset(at)}
		if metadata != nil {
			c.Metadata = *metadata
		}
		out[tp] = c
		return nil
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if err := add(t.Topic, p.Partition, p.Offset, p.Metadata, p.ErrorCode); err != nil {
				return nil, err
			}
		}
	}
	for _, g := range r.Groups {
		if g.Group != group {
			continue
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err := add(t.Topic, p.Partition, p.Offset, p.Metadata, p.ErrorCode); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}
