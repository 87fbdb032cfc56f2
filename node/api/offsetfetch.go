package api

import (
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetFetch (key 9): the offsets that groups have committed. 1 to 10.
//
// An offset that was never committed, and any of a group that is not there, is -1
// without an error: clients take another answer for a failure. v2 asks for all
// topics with null, v5 adds leader epochs, v7 may ask for stable offsets only, which
// without transactions they all are, v8 asks for several groups, v9 takes who asks
// (KIP-848), v10 names topics by their ids: one that this broker does not know is
// UNKNOWN_TOPIC_ID, and offsets of a topic that is not there are left out where all
// are asked for.

func offsetFetch(s *Server, call *Call, q *kmsg.OffsetFetchRequest) kmsg.Response {
	r := kmsg.NewPtrOffsetFetchResponse()
	if call.Version < 8 {
		in := group.FetchOffsetsRequest{Group: q.Group, Generation: group.NoGeneration}
		for _, t := range q.Topics {
			in.Topics = append(in.Topics, group.FetchTopic{Name: t.Topic, Partitions: t.Partitions})
		}
		if in.Topics == nil && q.Topics != nil {
			in.Topics = []group.FetchTopic{}
		}
		s.fetchOffsets(r, call, in)
		return r
	}
	for _, g := range q.Groups {
		var unknown []kmsg.OffsetFetchResponseGroupTopic
		in := group.FetchOffsetsRequest{Group: g.Group, Member: text(g.MemberID), Generation: group.NoGeneration}
		if call.Version >= 9 {
			in.Generation = group.Generation(g.MemberEpoch)
		}
		for _, t := range g.Topics {
			if name, ok := s.topicOfOffsets(call, t.Topic, t.TopicID); ok {
				in.Topics = append(in.Topics, group.FetchTopic{Name: name, ID: t.TopicID, Partitions: t.Partitions})
			} else {
				unknown = append(unknown, unknownOffsets(t))
			}
		}
		if in.Topics == nil && g.Topics != nil {
			in.Topics = []group.FetchTopic{}
		}
		s.fetchOffsets(r, call, in)
		answered := &r.Groups[len(r.Groups)-1]
		answered.Topics = append(answered.Topics, unknown...)
	}
	return r
}

// fetchOffsets adds one group's offsets to the answer. Blocks.
func (s *Server) fetchOffsets(r *kmsg.OffsetFetchResponse, call *Call, in group.FetchOffsetsRequest) {
	a := askGroup[group.FetchOffsetsResponse](s, in.Group, in, (*group.Shard).FetchOffsets)
	if call.Version < 8 {
		r.ErrorCode = int16(a.Error)
		r.Topics = oldOffsets(a, in, call.Version)
		return
	}
	g := kmsg.OffsetFetchResponseGroup{Group: in.Group, ErrorCode: int16(a.Error)}
	for _, t := range a.Topics {
		topic := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Name, TopicID: t.ID}
		if call.Version >= idsOfOffsets && in.Topics == nil {
			known, ok := s.image().Topic(t.Name)
			if !ok {
				continue
			}
			topic.TopicID = known.ID
		}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition{
				Partition: p.Partition, Offset: int64(p.Offset), LeaderEpoch: int32(p.LeaderEpoch), Metadata: &p.Metadata,
			})
		}
		g.Topics = append(g.Topics, topic)
	}
	r.Groups = append(r.Groups, g)
}

// unknownOffsets answers for a topic whose id is not known.
func unknownOffsets(t kmsg.OffsetFetchRequestGroupTopic) kmsg.OffsetFetchResponseGroupTopic {
	out := kmsg.OffsetFetchResponseGroupTopic{TopicID: t.TopicID}
	for _, p := range t.Partitions {
		out.Partitions = append(out.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition{
			Partition: p, Offset: int64(kafka.NoOffset), LeaderEpoch: int32(kafka.NoLeaderEpoch), Metadata: new(string), ErrorCode: int16(kafka.ErrUnknownTopicID),
		})
	}
	return out
}

// oldOffsets are offsets as versions before 8 have them. v1 has no error of the
// whole: there it stands with each partition.
func oldOffsets(a group.FetchOffsetsResponse, in group.FetchOffsetsRequest, version int16) []kmsg.OffsetFetchResponseTopic {
	out := []kmsg.OffsetFetchResponseTopic{}
	if a.Error != kafka.None && version < 2 {
		for _, t := range in.Topics {
			topic := kmsg.OffsetFetchResponseTopic{Topic: t.Name}
			for _, p := range t.Partitions {
				topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseTopicPartition{
					Partition: p, Offset: int64(kafka.NoOffset), LeaderEpoch: int32(kafka.NoLeaderEpoch), Metadata: new(string), ErrorCode: int16(a.Error),
				})
			}
			out = append(out, topic)
		}
		return out
	}
	for _, t := range a.Topics {
		topic := kmsg.OffsetFetchResponseTopic{Topic: t.Name}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseTopicPartition{
				Partition: p.Partition, Offset: int64(p.Offset), LeaderEpoch: int32(p.LeaderEpoch), Metadata: &p.Metadata,
			})
		}
		out = append(out, topic)
	}
	return out
}
