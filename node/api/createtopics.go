package api

import (
	"fmt"
	"strings"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateTopics (key 19): creates topics, each by itself. 2 to 7.
//
// v4 lets partitions and replication factor be -1, the node's defaults; before,
// that is INVALID_PARTITIONS and INVALID_REPLICATION_FACTOR. v5 answers with what
// was created, settings included; v7 with the topic's id. A topic that stands in
// the request twice is created for neither: INVALID_REQUEST. A setting that is
// unknown, or that klamm does not act on, is INVALID_CONFIG and named.
//
// A topic is answered for when this node has opened its partitions. If the
// request's timeout passes before, the answer is REQUEST_TIMED_OUT and the topic
// exists all the same.

func createTopics(x *control, q *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	r := kmsg.NewPtrCreateTopicsResponse()
	times := map[string]int{}
	for _, t := range q.Topics {
		times[t.Topic]++
	}
	for _, t := range q.Topics {
		var id kafka.TopicID
		var err error
		if times[t.Topic] > 1 {
			err = fmt.Errorf("topic %.249s: stands in the request %d times: %w", t.Topic, times[t.Topic], kafka.ErrInvalidRequest)
		} else {
			id, err = x.createTopic(q, t)
		}
		r.Topics = append(r.Topics, x.createdTopic(t, id, err))
	}
	return r
}

func (x *control) createTopic(q *kmsg.CreateTopicsRequest, t kmsg.CreateTopicsRequestTopic) (kafka.TopicID, error) {
	n, err := newTopic(x.call.Version, t)
	if err != nil {
		return kafka.TopicID{}, err
	}
	if q.ValidateOnly {
		return kafka.TopicID{}, x.c.CheckTopic(n)
	}
	return x.c.CreateTopic(n, x.deadline(q))
}

func newTopic(version int16, t kmsg.CreateTopicsRequestTopic) (meta.NewTopic, error) {
	n := meta.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, Replicas: t.ReplicationFactor}
	if version < 4 && len(t.ReplicaAssignment) == 0 {
		if n.Partitions == meta.Unset {
			return n, fmt.Errorf("topic %.249s: no number of partitions: %w", t.Topic, kafka.ErrInvalidPartitions)
		}
		if n.Replicas == meta.Unset {
			return n, fmt.Errorf("topic %.249s: no replication factor: %w", t.Topic, kafka.ErrInvalidReplicationFactor)
		}
	}
	for _, a := range t.ReplicaAssignment {
		assigned := meta.Assigned{Partition: a.Partition}
		for _, id := range a.Replicas {
			assigned.Replicas = append(assigned.Replicas, kafka.NodeID(id))
		}
		n.Assignment = append(n.Assignment, assigned)
	}
	for _, c := range t.Configs {
		if c.Value == nil {
			return n, fmt.Errorf("topic %.249s: setting %.249s without a value: %w", t.Topic, c.Name, kafka.ErrInvalidConfig)
		}
	}
	n.Settings = requested(t)
	return n, nil
}

// requested returns the settings that a request has values for.
func requested(t kmsg.CreateTopicsRequestTopic) []config.Pair {
	var out []config.Pair
	for _, c := range t.Configs {
		if c.Value != nil {
			out = append(out, config.Pair{Name: c.Name, Value: *c.Value})
		}
	}
	return out
}

// createdTopic answers for one topic.
func (x *control) createdTopic(t kmsg.CreateTopicsRequestTopic, id kafka.TopicID, err error) kmsg.CreateTopicsResponseTopic {
	r := kmsg.NewCreateTopicsResponseTopic()
	r.Topic, r.TopicID, r.ErrorCode = t.Topic, id, kafka.Code(err)
	if err != nil {
		r.ErrorMessage = message(err)
		return r
	}
	created, ok := x.s.image().TopicByID(id)
	if !ok { // only checked, or deleted again
		r.Configs = topicSettings(x.s.settingsOf(&meta.Topic{Settings: requested(t)}))
		defaults := x.s.topicDefaults()
		r.NumPartitions, r.ReplicationFactor = t.NumPartitions, t.ReplicationFactor
		if r.NumPartitions == meta.Unset {
			r.NumPartitions = max(int32(len(t.ReplicaAssignment)), defaults.Partitions)
		}
		if r.ReplicationFactor == meta.Unset {
			r.ReplicationFactor = defaults.Replicas
		}
		return r
	}
	r.NumPartitions = int32(len(created.Partitions))
	r.ReplicationFactor = int16(len(created.Partitions[0].Replicas))
	r.Configs = topicSettings(x.s.settingsOf(created))
	return r
}

// topicSettings lists all settings in force.
func topicSettings(v *config.View) []kmsg.CreateTopicsResponseTopicConfig {
	var out []kmsg.CreateTopicsResponseTopicConfig
	for _, s := range shown(config.Topic, v) {
		value, source := v.Get(s)
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Source, c.ReadOnly, c.IsSensitive = s.Name, int8(source), !s.Dynamic, s.Sensitive
		c.Value = shownText(s, value.Text, source)
		out = append(out, c)
	}
	return out
}

// message returns an error's text for a client, not longer than any sensible one.
func message(err error) *string {
	const limit = 1000
	text := err.Error()
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return &text
}
