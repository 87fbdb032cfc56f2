package api

import (
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Metadata (key 3): brokers, topics, partitions and their leaders. 0 to 13.
//
// v0 takes an empty list of topics for all; from v1 on null means all and empty
// none. v4 lets the client forbid that an unknown topic is created; before, and
// if it allows it, auto.create.topics.enable decides. The creation is begun and
// not waited for: the first answer is UNKNOWN_TOPIC_OR_PARTITION, as Kafka's. v8
// may ask what operations are authorized, up to v10 on the cluster too. v10 has topic
// ids, and from v12 on topics can be asked for by id. v13 adds an error code of
// the whole answer, which is always none.
//
// Deviation: no more than maxTopicsCreated topics are created for one request.

const maxTopicsCreated = 100

func metadata(s *Server, call *Call, q *kmsg.MetadataRequest) kmsg.Response {
	image := s.image()
	r := kmsg.NewPtrMetadataResponse()
	cluster := image.ClusterID()
	r.ClusterID = &cluster
	r.AuthorizedOperations = noAuthorizedOperations
	if q.IncludeClusterAuthorizedOperations {
		r.AuthorizedOperations = allowedOnCluster
	}
	for _, b := range image.Brokers() {
		if at, ok := endpointFor(b, call.Client.Listener); ok {
			e := kmsg.NewMetadataResponseBroker()
			e.NodeID, e.Host, e.Port = int32(b.ID), at.Host, at.Port
			r.Brokers = append(r.Brokers, e)
		}
	}
	r.ControllerID = int32(s.broker.ID())
	if q.Topics == nil || call.Version == 0 && len(q.Topics) == 0 {
		for _, t := range image.Topics() {
			r.Topics = append(r.Topics, s.topicMetadata(q, t))
		}
		return r
	}
	mayCreate := (call.Version < 4 || q.AllowAutoTopicCreation) && config.AutoCreateTopics.In(s.config)
	for _, t := range distinct(q.Topics) {
		answer := s.oneTopic(q, t)
		if answer.ErrorCode == int16(kafka.ErrUnknownTopicOrPartition) && mayCreate && s.creating < maxTopicsCreated {
			s.createSoon(*t.Topic)
		}
		r.Topics = append(r.Topics, answer)
	}
	return r
}

// distinct returns each topic once, as Kafka does: to answer for a large one again
// and again would make a small request a huge answer.
func distinct(topics []kmsg.MetadataRequestTopic) []kmsg.MetadataRequestTopic {
	type name struct {
		text string
		id   kafka.TopicID
	}
	seen := make(map[name]bool, len(topics))
	return slices.DeleteFunc(topics, func(t kmsg.MetadataRequestTopic) bool {
		n := name{id: t.TopicID}
		if t.Topic != nil {
			n = name{text: *t.Topic}
		}
		before := seen[n]
		seen[n] = true
		return before
	})
}

// createSoon has a topic created that a client asked about.
func (s *Server) createSoon(name string) {
	s.creating++
	s.broker.CreateSoon(name, func() { s.creating-- })
}

// endpointFor returns where a broker is reached by the listener that the client
// came by, or by its only other one.
func endpointFor(b meta.Broker, listener string) (meta.Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return meta.Endpoint{}, false
}

// oneTopic answers for a topic that was named.
func (s *Server) oneTopic(q *kmsg.MetadataRequest, t kmsg.MetadataRequestTopic) kmsg.MetadataResponseTopic {
	r := kmsg.NewMetadataResponseTopic()
	r.Topic, r.TopicID, r.AuthorizedOperations = t.Topic, t.TopicID, noAuthorizedOperations
	image := s.image()
	if t.Topic == nil {
		if known, ok := image.TopicByID(t.TopicID); ok {
			return s.topicMetadata(q, known)
		}
		r.ErrorCode = int16(kafka.ErrUnknownTopicID)
		return r
	}
	if err := meta.CheckName(*t.Topic); err != nil {
		r.ErrorCode = kafka.Code(err)
		return r
	}
	if known, ok := image.Topic(*t.Topic); ok {
		return s.topicMetadata(q, known)
	}
	r.ErrorCode = int16(kafka.ErrUnknownTopicOrPartition)
	return r
}

func (s *Server) topicMetadata(q *kmsg.MetadataRequest, t *meta.Topic) kmsg.MetadataResponseTopic {
	r := kmsg.NewMetadataResponseTopic()
	name := t.Name
	r.Topic, r.TopicID = &name, t.ID
	r.IsInternal = isInternal(t.Name)
	r.AuthorizedOperations = noAuthorizedOperations
	if q.IncludeTopicAuthorizedOperations {
		r.AuthorizedOperations = allowedOnTopic
	}
	for number, state := range t.Partitions {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch = int32(number), int32(state.Leader), int32(state.LeaderEpoch)
		p.Replicas, p.ISR = nodeIDs(state.Replicas), nodeIDs(state.ISR)
		p.OfflineReplicas = nodeIDs(s.broker.OfflineReplicas(t, p.Partition))
		if state.Leader == meta.NoLeader {
			p.ErrorCode = int16(kafka.ErrLeaderNotAvailable)
		}
		r.Partitions = append(r.Partitions, p)
	}
	return r
}

// isInternal reports whether a topic is one that the cluster keeps for itself.
func isInternal(name string) bool {
	return strings.HasPrefix(name, "__") && (name == "__consumer_offsets" || name == "__transaction_state")
}

func nodeIDs(ids []kafka.NodeID) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
