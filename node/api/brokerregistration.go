package api

import (
	"github.com/klammlog/klamm/node/meta"
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
// unclean end, and in the answer why it was refused (peer.PrivateTag).

func brokerRegistration(x *control, q *kmsg.BrokerRegistrationRequest) *kmsg.BrokerRegistrationResponse {
	registration, err := peer.RegistrationOf(q)
	epoch := meta.NoEpoch
	if err == nil {
		epoch, err = x.c.Register(registration, x.deadline(q))
	}
	if err != nil {
		x.s.w.Log.Warn("broker was not registered", "broker", q.BrokerID, "peer", x.call.Client.Peer, "err", err)
	}
	return peer.RegistrationResponse(epoch, err)
}
