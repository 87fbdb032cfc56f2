package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// BrokerRegistration (key 62): a broker says who it is before it serves. 2 to 4, on
// controllers' listeners.
//
// v2 has the ids of its log directories, v3 the epoch of its previous life if that
// ended cleanly (KIP-966), v4 ranges of features that begin with 0. The features
// tell which levels of metadata.version it can follow. Another live broker under
// the same id is DUPLICATE_BROKER_REGISTRATION; a registration without listeners or
// log directories INVALID_REQUEST. Nothing is ever migrated from ZooKeeper.
//
// Ours: a tagged field says whether what the broker calls held may be gone after an
// unclean end (peer.PrivateTag).

func brokerRegistration(x *control, q *kmsg.BrokerRegistrationRequest) *kmsg.BrokerRegistrationResponse {
	r := kmsg.NewPtrBrokerRegistrationResponse()
	registration, err := peer.RegistrationOf(q)
	if err == nil {
		r.BrokerEpoch, err = x.c.Register(registration, x.deadline(q))
	}
	if r.ErrorCode = kafka.Code(err); err != nil {
		x.s.w.Log.Warn("broker was not registered", "broker", q.BrokerID, "peer", x.call.Client.Peer, "err", err)
		r.BrokerEpoch = -1
	}
	return r
}
