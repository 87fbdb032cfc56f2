package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A topic is answered for when the broker that was asked has done its part: opened
// the partitions that are its own, or closed them. What is settled is looked up
// before the controller is asked, for a deleted topic has no name afterwards.
//
// Each function here returns what waits, and then turns the answers that took too
// long into REQUEST_TIMED_OUT.

func settleTopics(x *control, q *kmsg.CreateTopicsRequest) func(*kmsg.CreateTopicsResponse) {
	return func(r *kmsg.CreateTopicsResponse) {
		for i := range r.Topics {
			if t := &r.Topics[i]; t.ErrorCode == 0 && !q.ValidateOnly {
				x.settleNamed(t.Topic, x.deadline(q), &t.ErrorCode, &t.ErrorMessage)
			}
		}
	}
}

func settlePartitions(x *control, q *kmsg.CreatePartitionsRequest) func(*kmsg.CreatePartitionsResponse) {
	return func(r *kmsg.CreatePartitionsResponse) {
		for i := range r.Topics {
			if t := &r.Topics[i]; t.ErrorCode == 0 && !q.ValidateOnly {
				x.settleNamed(t.Topic, x.deadline(q), &t.ErrorCode, &t.ErrorMessage)
			}
		}
	}
}

func settleDeleted(x *control, q *kmsg.DeleteTopicsRequest) func(*kmsg.DeleteTopicsResponse) {
	ids := map[string]kafka.TopicID{}
	note := func(name string) {
		if t, ok := x.s.image().Topic(name); ok {
			ids[name] = t.ID
		}
	}
	for _, name := range q.TopicNames {
		note(name)
	}
	for _, t := range q.Topics {
		if t.Topic != nil {
			note(*t.Topic)
		}
	}
	return func(r *kmsg.DeleteTopicsResponse) {
		for i := range r.Topics {
			t := &r.Topics[i]
			id := kafka.TopicID(t.TopicID)
			if known, ok := ids[nameIn(t.Topic)]; ok && id == (kafka.TopicID{}) {
				id = known
			}
			if t.ErrorCode == 0 {
				x.settle(id, x.deadline(q), &t.ErrorCode, &t.ErrorMessage)
			}
		}
	}
}

func nameIn(name *string) string {
	if name == nil {
		return ""
	}
	return *name
}

// settleNamed waits for a topic by its name. One that is no longer there is
// settled. Blocks.
func (x *control) settleNamed(name string, deadline kafka.Instant, code *int16, text **string) {
	t, ok := x.s.image().Topic(name)
	switch {
	case ok:
		x.settle(t.ID, deadline, code, text)
	case x.behind != nil:
		*code, *text = int16(kafka.ErrRequestTimedOut), message(x.behind)
	}
}

// settle waits for a topic, and gives the answer its error. Blocks.
func (x *control) settle(id kafka.TopicID, deadline kafka.Instant, code *int16, text **string) {
	err := x.behind
	if err == nil {
		err = x.s.broker.AwaitSettled(id, deadline)
	}
	if err != nil {
		*code, *text = int16(kafka.ErrRequestTimedOut), message(err)
	}
}
