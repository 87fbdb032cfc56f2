package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteTopics (key 20): deletes topics, each by itself. 1 to 6.
//
// Up to v5 topics are named; v6 takes a name or an id. v5 adds error messages. A
// topic is answered for when nothing of it is served by this node any more. If
// the request's timeout passes before, the answer is REQUEST_TIMED_OUT and the
// topic is deleted all the same. With delete.topic.enable=false the answer is
// TOPIC_DELETION_DISABLED, before v3 INVALID_REQUEST. A topic that stands in the
// request again is gone there.

func deleteTopics(x *control, q *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	r := kmsg.NewPtrDeleteTopicsResponse()
	for _, name := range q.TopicNames {
		r.Topics = append(r.Topics, x.deleteTopic(q, &name, kafka.TopicID{}))
	}
	for _, t := range q.Topics {
		r.Topics = append(r.Topics, x.deleteTopic(q, t.Topic, t.TopicID))
	}
	return r
}

func (x *control) deleteTopic(q *kmsg.DeleteTopicsRequest, name *string, id kafka.TopicID) kmsg.DeleteTopicsResponseTopic {
	r := kmsg.NewDeleteTopicsResponseTopic()
	r.Topic, r.TopicID = name, id
	id, err := x.s.findTopic(name, id)
	if err == nil {
		if t, ok := x.s.image().TopicByID(id); ok {
			r.Topic, r.TopicID = &t.Name, id
		}
		err = x.c.DeleteTopic(id, x.deadline(q))
	}
	code := kafka.ErrorOf(err)
	if code == kafka.ErrTopicDeletionDisabled && x.call.Version < 3 {
		code = kafka.ErrInvalidRequest
	}
	if code == kafka.ErrUnknownTopicID && name != nil {
		code = kafka.ErrUnknownTopicOrPartition // deleted by somebody else meanwhile
	}
	r.ErrorCode = int16(code)
	if err != nil {
		r.ErrorMessage = message(err)
	}
	return r
}

// findTopic returns the id of a topic that was named or numbered, not both.
func (s *Server) findTopic(name *string, id kafka.TopicID) (kafka.TopicID, error) {
	switch {
	case name != nil && id != (kafka.TopicID{}):
		return id, fmt.Errorf("topic %.249s: a name and an id: %w", *name, kafka.ErrInvalidRequest)
	case name == nil:
		return id, nil
	}
	t, ok := s.image().Topic(*name)
	if !ok {
		return id, fmt.Errorf("topic %.249s: %w", *name, kafka.ErrUnknownTopicOrPartition)
	}
	return t.ID, nil
}
