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
// Brokers that are fenced are not told. The controller is said to be this broker,
// which forwards what is the controller's, as Kafka does with any live one. A
// partition without a leader is LEADER_NOT_AVAILABLE; one whose leader does not
// listen where the client came by is LISTENER_NOT_FOUND, up to v5
// LEADER_NOT_AVAILABLE too. Offline replicas are those on brokers that are not alive,
// or cannot use the log.
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
		if at, ok := endpointFor(b, call.Client.Listener); ok && !b.Fenced {
			e := kmsg.NewMetadataResponseBroker()
			e.NodeID, e.Host, e.Port, e.Rack = int32(b.ID), at.Host, at.Port, rackOf(b)
			r.Brokers = append(r.Brokers, e)
		}
	}
	r.ControllerID = int32(s.controllerTold())
	if q.Topics == nil || call.Version == 0 && len(q.Topics) == 0 {
		for _, t := range image.Topics() {
			r.Topics = append(r.Topics, s.topicMetadata(call, q, t))
		}
		return r
	}
	mayCreate := (call.Version < 4 || q.AllowAutoTopicCreation) && config.AutoCreateTopics.In(s.config)
	for _, t := range distinct(q.Topics) {
		answer := s.oneTopic(call, q, t)
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

// controllerTold returns the broker that clients are told is the controller: this
// one, or another that is alive, or none.
func (s *Server) controllerTold() kafka.NodeID {
	image := s.image()
	if image.Alive(s.broker.ID()) {
		return s.broker.ID()
	}
	for _, b := range image.Brokers() {
		if !b.Fenced {
			return b.ID
		}
	}
	return meta.NoLeader
}

// leaderError returns why clients of a listener cannot reach a leader, if they
// cannot.
func (s *Server) leaderError(call *Call, leader kafka.NodeID) kafka.Error {
	b, ok := s.image().Broker(leader)
	if !ok || b.Fenced {
		return kafka.ErrLeaderNotAvailable
	}
	if _, ok := endpointFor(b, call.Client.Listener); ok {
		return kafka.None
	}
	if call.Version < 6 {
		return kafka.ErrLeaderNotAvailable
	}
	return kafka.ErrListenerNotFound
}

// offline returns the replicas of a partition that do not serve: as the image says,
// and this broker's own as it knows by itself.
func (s *Server) offline(t *meta.Topic, partition int32) []kafka.NodeID {
	own := s.broker.OfflineReplicas(t, partition)
	var out []kafka.NodeID
	for _, id := range t.Partitions[partition].Replicas {
		if slices.Contains(own, id) || !s.image().Usable(id, meta.Replica{Topic: t.ID, Partition: partition}) {
			out = append(out, id)
		}
	}
	return out
}

func rackOf(b meta.Broker) *string {
	if b.Rack == "" {
		return nil
	}
	return &b.Rack
}

// endpointFor returns where a broker is reached by the listener that the client
// came by.
func endpointFor(b meta.Broker, listener string) (meta.Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return meta.Endpoint{}, false
}

// oneTopic answers for a topic that was named.
func (s *Server) oneTopic(call *Call, q *kmsg.MetadataRequest, t kmsg.MetadataRequestTopic) kmsg.MetadataResponseTopic {
	r := kmsg.NewMetadataResponseTopic()
	r.Topic, r.TopicID, r.AuthorizedOperations = t.Topic, t.TopicID, noAuthorizedOperations
	image := s.image()
	if t.Topic == nil {
		if known, ok := image.TopicByID(t.TopicID); ok {
			return s.topicMetadata(call, q, known)
		}
		r.ErrorCode = int16(kafka.ErrUnknownTopicID)
		return r
	}
	if err := meta.CheckName(*t.Topic); err != nil {
		r.ErrorCode = kafka.Code(err)
		return r
	}
	if known, ok := image.Topic(*t.Topic); ok {
		return s.topicMetadata(call, q, known)
	}
	r.ErrorCode = int16(kafka.ErrUnknownTopicOrPartition)
	return r
}

func (s *Server) topicMetadata(call *Call, q *kmsg.MetadataRequest, t *meta.Topic) kmsg.MetadataResponseTopic {
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
		p.OfflineReplicas = nodeIDs(s.offline(t, p.Partition))
		p.ErrorCode = int16(s.leaderError(call, state.Leader))
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
