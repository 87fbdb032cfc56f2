package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
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
	which, err := topicRef(name, id)
	if err == nil {
		which, err = x.c.DeleteTopic(which, x.deadline(q))
	}
	code := kafka.ErrorOf(err)
	if code == kafka.ErrTopicDeletionDisabled && x.call.Version < 3 {
		code = kafka.ErrInvalidRequest
	}
	r.ErrorCode = int16(code)
	if err != nil {
		r.ErrorMessage = message(err)
		return r
	}
	r.Topic, r.TopicID = &which.Name, which.ID
	return r
}

// topicRef returns the topic that was named or numbered, not both. Whether there is
// one, the controller decides: the metadata here may be old.
func topicRef(name *string, id kafka.TopicID) (meta.TopicRef, error) {
	switch {
	case name == nil:
		return meta.TopicRef{ID: id}, nil
	case id != (kafka.TopicID{}):
		return meta.TopicRef{}, fmt.Errorf("topic %.249s: a name and an id: %w", *name, kafka.ErrInvalidRequest)
	case *name == "":
		return meta.TopicRef{}, fmt.Errorf("topic without a name: %w", kafka.ErrUnknownTopicOrPartition)
	}
	return meta.TopicRef{Name: *name}, nil
}
