package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// UnregisterBroker (key 64): the cluster forgets a broker that is gone for good. 0.
//
// Its replicas stay assigned to it until they are reassigned; a broker that still
// lives registers again. An unknown one is BROKER_ID_NOT_REGISTERED.

func unregisterBroker(x *control, q *kmsg.UnregisterBrokerRequest) *kmsg.UnregisterBrokerResponse {
	r := kmsg.NewPtrUnregisterBrokerResponse()
	if err := x.c.Unregister(kafka.NodeID(q.BrokerID)); err != nil {
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
	}
	return r
}
