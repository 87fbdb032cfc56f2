package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreatePartitions (key 37): adds partitions to topics, each by itself. 0 to 3.
//
// A topic is given the number of partitions it shall have in all, and may be given
// the brokers of each new one. All versions mean the same: v1 and v3 are about
// quotas, v2 is flexible. A topic that stands in the request twice gets partitions
// for neither: INVALID_REQUEST.
//
// A topic is answered for when this node has opened its new partitions. If the
// request's timeout passes before, the answer is REQUEST_TIMED_OUT and they exist
// all the same.

func createPartitions(x *control, q *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	r := kmsg.NewPtrCreatePartitionsResponse()
	times := map[string]int{}
	for _, t := range q.Topics {
		times[t.Topic]++
	}
	for _, t := range q.Topics {
		var err error
		switch {
		case times[t.Topic] > 1:
			err = fmt.Errorf("topic %.249s: stands in the request %d times: %w", t.Topic, times[t.Topic], kafka.ErrInvalidRequest)
		case q.ValidateOnly:
			err = x.c.CheckPartitions(growth(t))
		default:
			err = x.c.CreatePartitions(growth(t), x.deadline(q))
		}
		a := kmsg.NewCreatePartitionsResponseTopic()
		a.Topic, a.ErrorCode = t.Topic, kafka.Code(err)
		if err != nil {
			a.ErrorMessage = message(err)
		}
		r.Topics = append(r.Topics, a)
	}
	return r
}

func growth(t kmsg.CreatePartitionsRequestTopic) meta.Growth {
	g := meta.Growth{Topic: t.Topic, Partitions: t.Count}
	for _, a := range t.Assignment {
		replicas := make([]kafka.NodeID, len(a.Replicas))
		for i, id := range a.Replicas {
			replicas[i] = kafka.NodeID(id)
		}
		g.Assignment = append(g.Assignment, replicas)
	}
	return g
}
