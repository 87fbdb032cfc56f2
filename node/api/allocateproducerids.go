package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AllocateProducerIds (key 67): a block of producer ids for a broker. 0, on
// controllers' listeners.

func allocateProducerIDs(x *control, q *kmsg.AllocateProducerIDsRequest) *kmsg.AllocateProducerIDsResponse {
	self := meta.Member{ID: kafka.NodeID(q.BrokerID), Epoch: q.BrokerEpoch}
	return peer.AllocateResponse(x.c.AllocateProducerIDs(self, x.deadline(q)))
}
