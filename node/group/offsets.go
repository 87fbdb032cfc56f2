package group

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// topicOffsets are a group's offsets in one topic, by partition.
type topicOffsets = table[int32, committed]

// CommitOffsets commits offsets for the members of a group, or for who manages them
// himself while the group has none. Answered with a CommitResponse when they are
// committed, or with REQUEST_TIMED_OUT if that takes longer than
// offsets.commit.timeout.ms: then they may yet be.
func (s *Shard) CommitOffsets(at machine.Moment, t machine.Ticket, r CommitRequest) {
	s.at = at
	s.enter(t, r)
}

func (s *Shard) commit(t machine.Ticket, r CommitRequest) {
	g := s.groups.get(r.Group)
	if code := s.mayCommit(g, r); code != kafka.None {
		s.answer(t, r.failed(code))
		return
	}
	g = s.group(r.Group)
	response, records := s.commitRecords(r)
	if len(records) == 0 {
		s.answer(t, response)
		s.tidy(g)
		return
	}
	s.append(g, records).answers(t, r, response)
}

// mayCommit says whether who commits may. Who is not there any more, or of another
// generation, may not (what Kafka calls a zombie). The generation that it is compared
// with cannot change before the offsets are in the log: see the shard's invariant 2,
// and KAFKA-15784 for what happens otherwise.
func (s *Shard) mayCommit(g *group, r CommitRequest) kafka.Error {
	if g == nil {
		switch {
		case r.Generation < 0:
			return kafka.None
		case r.Version >= 9:
			return kafka.ErrGroupIDNotFound
		}
		return kafka.ErrIllegalGeneration
	}
	if g.consumer != nil {
		return g.consumer.mayCommit(r)
	}
	return g.classic.mayCommit(s, r)
}

// commitRecords returns the records of what can be committed, and the answer.
func (s *Shard) commitRecords(r CommitRequest) (CommitResponse, []machine.Record) {
	limits := s.settings.Limits()
	response := CommitResponse{Topics: make([]CommittedTopic, len(r.Topics))}
	var records []machine.Record
	for i, topic := range r.Topics {
		out := CommittedTopic{Name: topic.Name, ID: topic.ID, Partitions: make([]PartitionError, len(topic.Partitions))}
		for j, p := range topic.Partitions {
			out.Partitions[j].Partition = p.Partition
			if len(p.Metadata) > min(limits.MaxMetadata, maxName) {
				out.Partitions[j].Error = kafka.ErrOffsetMetadataTooLarge
				continue
			}
			c := committed{offset: p.Offset, epoch: p.LeaderEpoch, metadata: p.Metadata, at: s.at.Wall, expires: kafka.NoTimestamp, topic: topic.ID}
			if r.Retention >= 0 {
				c.expires = s.at.Wall + kafka.Timestamp(r.Retention.Milliseconds())
			}
			records = append(records, machine.Record{Key: offsetKey(r.Group, topic.Name, p.Partition).encode(), Value: c.encode()})
		}
		response.Topics[i] = out
	}
	return response, records
}

// applyOffset has a committed offset be there, or not any more.
func (s *Shard) applyOffset(k key, value []byte) error {
	if value == nil {
		if g := s.groups.get(k.group); g != nil {
			g.forget(k.topic, k.partition)
		}
		return nil
	}
	c, err := decodeOffset(value)
	if err != nil {
		return err
	}
	g := s.group(k.group)
	topic := g.offsets.get(k.topic)
	if topic == nil {
		topic = &topicOffsets{}
		g.offsets.put(k.topic, topic)
	}
	topic.put(k.partition, c)
	return nil
}

// forget takes an offset out.
func (g *group) forget(topic string, partition int32) {
	of := g.offsets.get(topic)
	if of == nil {
		return
	}
	of.drop(partition)
	if of.len() == 0 {
		g.offsets.drop(topic)
	}
}

// FetchOffsets tells which offsets are committed. Answered at once, with a
// FetchOffsetsResponse: what is on its way is not there yet.
func (s *Shard) FetchOffsets(at machine.Moment, t machine.Ticket, r FetchOffsetsRequest) {
	s.at = at
	s.enter(t, r)
}

func (s *Shard) fetch(t machine.Ticket, r FetchOffsetsRequest) {
	g := s.groups.get(r.Group)
	if g != nil && g.consumer != nil {
		if code := g.consumer.mayFetch(r); code != kafka.None {
			s.answer(t, r.failed(code))
			return
		}
	}
	if r.Topics == nil {
		s.answer(t, FetchOffsetsResponse{Topics: g.everyOffset()})
		return
	}
	out := FetchOffsetsResponse{Topics: make([]FetchedTopic, len(r.Topics))}
	for i, topic := range r.Topics {
		out.Topics[i] = FetchedTopic{Name: topic.Name, ID: topic.ID, Partitions: make([]FetchedPartition, len(topic.Partitions))}
		for j, p := range topic.Partitions {
			out.Topics[i].Partitions[j] = fetched(p, g.offset(topic, p))
		}
	}
	s.answer(t, out)
}

// nowhere is what has not been committed.
var nowhere = committed{offset: kafka.NoOffset, epoch: kafka.NoLeaderEpoch}

// offset returns what is committed for a partition. What was committed for another
// topic of the same name does not count.
func (g *group) offset(topic FetchTopic, partition int32) committed {
	if g == nil {
		return nowhere
	}
	of := g.offsets.get(topic.Name)
	if of == nil || !of.has(partition) {
		return nowhere
	}
	c := of.get(partition)
	if none := (kafka.TopicID{}); c.topic != none && topic.ID != none && c.topic != topic.ID {
		return nowhere
	}
	return c
}

func fetched(partition int32, c committed) FetchedPartition {
	return FetchedPartition{Partition: partition, Offset: c.offset, LeaderEpoch: c.epoch, Metadata: c.metadata}
}

// everyOffset returns all that is committed, in the order of the names.
func (g *group) everyOffset() []FetchedTopic {
	out := []FetchedTopic{}
	if g == nil {
		return out
	}
	for name, of := range g.offsets.all() {
		topic := FetchedTopic{Name: name}
		for p, c := range of.all() {
			topic.ID = c.topic
			topic.Partitions = append(topic.Partitions, fetched(p, c))
		}
		slices.SortFunc(topic.Partitions, func(a, b FetchedPartition) int { return int(a.Partition - b.Partition) })
		out = append(out, topic)
	}
	slices.SortFunc(out, func(a, b FetchedTopic) int { return compare(a.Name, b.Name) })
	return out
}

// DeleteOffsets forgets offsets of topics that no member of the group is subscribed
// to. Answered with a CommitResponse.
func (s *Shard) DeleteOffsets(at machine.Moment, t machine.Ticket, r DeleteOffsetsRequest) {
	s.at = at
	s.enter(t, r)
}

func (s *Shard) deleteOffsets(t machine.Ticket, r DeleteOffsetsRequest) {
	g := s.groups.get(r.Group)
	if g == nil {
		s.answer(t, r.failed(kafka.ErrGroupIDNotFound))
		return
	}
	if code := g.classic.mayDeleteOffsets(); code != kafka.None {
		s.answer(t, r.failed(code))
		return
	}
	var records []machine.Record
	response := CommitResponse{Topics: make([]CommittedTopic, len(r.Topics))}
	for i, topic := range r.Topics {
		out := CommittedTopic{Name: topic.Name, ID: topic.ID}
		subscribed := g.subscribed(topic.Name)
		for _, p := range topic.Partitions {
			deleted := PartitionError{Partition: p}
			if subscribed {
				deleted.Error = kafka.ErrGroupSubscribedToTopic
			} else if of := g.offsets.get(topic.Name); of != nil && of.has(p) {
				records = append(records, tombstone(offsetKey(g.id, topic.Name, p)))
			}
			out.Partitions = append(out.Partitions, deleted)
		}
		response.Topics[i] = out
	}
	if len(records) == 0 {
		s.answer(t, response)
		return
	}
	s.append(g, records).answers(t, r, response)
}

// subscribed reports whether members of the group read a topic.
func (g *group) subscribed(topic string) bool {
	return g.classic.subscribed(topic) || g.consumer != nil && g.consumer.subscribed(topic)
}
