package api

import (
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// BrokerHeartbeat (key 63): a broker says that it lives, how far it has followed
// the metadata, and what it wants; it is told whether it is fenced, and whether it
// may shut down. 0 to 1, on controllers' listeners.
//
// An epoch other than the one it was registered with is STALE_BROKER_EPOCH. v1
// names log directories that are offline: not looked at. Ours: a tagged field has
// the partitions whose logs the broker cannot use (peer.PrivateTag), which is what
// matters, for a partition may be damaged in a directory that is not. The same field of
// the answer has the end of the metadata log, big endian: what the broker has to have
// applied before it relies on the answer.

func brokerHeartbeat(x *control, q *kmsg.BrokerHeartbeatRequest) *kmsg.BrokerHeartbeatResponse {
	beat, err := peer.BeatOf(q)
	if err != nil {
		return peer.BeatResponse(meta.BeatAnswer{}, err)
	}
	return peer.BeatResponse(x.c.Heartbeat(beat, x.deadline(q)))
}
