package api

import (
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterPartition (key 56): leaders say who shall be in sync (KIP-497). 2 to 3, on
// controllers' listeners.
//
// Topics are ids. v3 has the epochs of the members' brokers (KIP-903); v2 only
// their ids, of which none is checked. Every partition is answered for by itself,
// with its state as it is now. The recovery state is always that of a leader that
// has recovered.

func alterPartition(x *control, q *kmsg.AlterPartitionRequest) *kmsg.AlterPartitionResponse {
	self, items := peer.AltersOf(q)
	altered, err := x.c.AlterPartitions(self, items, x.deadline(q))
	return peer.AlterResponse(items, altered, err)
}
