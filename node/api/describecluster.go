package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster (key 60): the cluster's id, its brokers and its controller. 0 to
// 2.
//
// v1 asks for brokers or controllers: a broker answers for brokers, and for
// controllers MISMATCHED_ENDPOINT_TYPE; another type is UNSUPPORTED_ENDPOINT_TYPE.
// v2 may ask for fenced brokers: there are none. The brokers are told with the
// addresses of the listener that the client came by.

const (
	endpointBroker     = 1
	endpointController = 2
)

func describeCluster(s *Server, call *Call, q *kmsg.DescribeClusterRequest) kmsg.Response {
	r := kmsg.NewPtrDescribeClusterResponse()
	r.EndpointType = endpointBroker
	if call.Version >= 1 {
		r.EndpointType = q.EndpointType
		if err := checkEndpointType(q.EndpointType); err != nil {
			r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
			return r
		}
	}
	image := s.image()
	r.ClusterID, r.ControllerID = image.ClusterID(), int32(s.broker.ID())
	for _, b := range image.Brokers() {
		if at, ok := endpointFor(b, call.Client.Listener); ok {
			e := kmsg.NewDescribeClusterResponseBroker()
			e.NodeID, e.Host, e.Port = int32(b.ID), at.Host, at.Port
			r.Brokers = append(r.Brokers, e)
		}
	}
	if q.IncludeClusterAuthorizedOperations {
		r.ClusterAuthorizedOperations = allowedOnCluster
	}
	return r
}

func checkEndpointType(t int8) error {
	switch t {
	case endpointBroker:
		return nil
	case endpointController:
		return fmt.Errorf("a broker was asked for controllers: %w", kafka.ErrMismatchedEndpointType)
	}
	return fmt.Errorf("endpoint type %d: %w", t, kafka.ErrUnsupportedEndpointType)
}
