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
// once, v6 for share groups. The first who asks for a group has __consumer_offsets
// created, and is told COORDINATOR_NOT_AVAILABLE until it is there. There are neither
// transactions nor share groups yet: their answer is UNSUPPORTED_VERSION, which
// clients give up on at once; of a kind that is not known it is INVALID_REQUEST.

func findCoordinator(s *Server, call *Call, q *kmsg.FindCoordinatorRequest) kmsg.Response {
	r := kmsg.NewPtrFindCoordinatorResponse()
	r.NodeID, r.Port = -1, -1
	if call.Version < 4 {
		c := s.coordinator(call, q.CoordinatorType, q.CoordinatorKey)
		r.ErrorCode, r.ErrorMessage, r.NodeID, r.Host, r.Port = c.ErrorCode, c.ErrorMessage, c.NodeID, c.Host, c.Port
		return r
	}
	for _, key := range q.CoordinatorKeys {
		r.Coordinators = append(r.Coordinators, s.coordinator(call, q.CoordinatorType, key))
	}
	return r
}

// Kafka's numbers of what is coordinated.
const (
	coordinatesGroup = 0
	coordinatesTxn   = 1
	coordinatesShare = 2
)

// coordinator finds one coordinator, and where the client reaches it.
func (s *Server) coordinator(call *Call, kind int8, key string) kmsg.FindCoordinatorResponseCoordinator {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.Key, c.NodeID, c.Port = key, -1, -1
	host, port, id, err := s.findCoordinator(call, kind, key)
	if err != nil {
		c.ErrorCode, c.ErrorMessage = kafka.Code(err), message(err)
		return c
	}
	c.NodeID, c.Host, c.Port = int32(id), host, port
	return c
}

func (s *Server) findCoordinator(call *Call, kind int8, key string) (host string, port int32, id kafka.NodeID, err error) {
	switch kind {
	case coordinatesGroup:
	case coordinatesTxn, coordinatesShare:
		return "", 0, -1, fmt.Errorf("coordinator of %.249q: only groups are served: %w", key, kafka.ErrUnsupportedVersion)
	default:
		return "", 0, -1, fmt.Errorf("coordinator of kind %d: %w", kind, kafka.ErrInvalidRequest)
	}
	if key == "" {
		return "", 0, -1, fmt.Errorf("a group without a name: %w", kafka.ErrInvalidGroupID)
	}
	id, err = s.groups.Find(key)
	if err != nil {
		return "", 0, -1, err
	}
	b, ok := s.image().Broker(id)
	e, reachable := endpointFor(b, call.Client.Listener)
	if !ok || b.Fenced || !reachable {
		return "", 0, -1, fmt.Errorf("broker %d cannot be reached: %w", id, kafka.ErrCoordinatorNotAvailable)
	}
	return e.Host, int32(e.Port), id, nil
}
