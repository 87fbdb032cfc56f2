package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// FindCoordinator (key 10): which broker coordinates a group or a transaction. 0
// to 6.
//
// v1 asks for groups or transactions and tells a message, v4 asks for several at
// once. There are neither groups nor transactions yet, and so no coordinators: the
// answer is UNSUPPORTED_VERSION, which clients give up on at once. The key is
// served because librdkafka knows by its version 0 that a broker can lz4; without
// it, lz4 is silently not used.

func findCoordinator(_ *Server, call *Call, q *kmsg.FindCoordinatorRequest) kmsg.Response {
	r := kmsg.NewPtrFindCoordinatorResponse()
	r.NodeID, r.Port = -1, -1
	if call.Version < 4 {
		err := noCoordinator(q.CoordinatorKey)
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
		return r
	}
	for _, key := range q.CoordinatorKeys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		err := noCoordinator(key)
		c.Key, c.NodeID, c.Port = key, -1, -1
		c.ErrorCode, c.ErrorMessage = kafka.Code(err), message(err)
		r.Coordinators = append(r.Coordinators, c)
	}
	return r
}

func noCoordinator(key string) error {
	return fmt.Errorf("coordinator of %q: groups and transactions are not served: %w", key, kafka.ErrUnsupportedVersion)
}
