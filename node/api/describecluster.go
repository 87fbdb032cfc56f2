package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster (key 60): the cluster's id, its brokers and its controller. 0 to
// 2.
//
// v1 asks for brokers or controllers: listeners of brokers tell of brokers, those of
// controllers of controllers, and of the other MISMATCHED_ENDPOINT_TYPE; another
// type is UNSUPPORTED_ENDPOINT_TYPE. v2 may ask for fenced brokers, too. Brokers are
// told with the addresses of the listener that the client came by. The controller is,
// on listeners of brokers, the broker that Metadata says, and on those of
// controllers the active one as far as this node knows.

const (
	endpointBroker     = 1
	endpointController = 2
)

func describeCluster(s *Server, call *Call, q *kmsg.DescribeClusterRequest) kmsg.Response {
	r := kmsg.NewPtrDescribeClusterResponse()
	r.EndpointType = endpointBroker
	if call.Version >= 1 {
		r.EndpointType = q.EndpointType
		if err := checkEndpointType(q.EndpointType, call.Client.via); err != nil {
			r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
			return r
		}
	}
	r.ClusterID = s.image().ClusterID()
	if r.EndpointType == endpointController {
		s.tellControllers(r)
	} else {
		s.tellBrokers(r, call, q.IncludeFencedBrokers)
	}
	if q.IncludeClusterAuthorizedOperations {
		r.ClusterAuthorizedOperations = allowedOnCluster
	}
	return r
}

func (s *Server) tellBrokers(r *kmsg.DescribeClusterResponse, call *Call, fencedToo bool) {
	r.ControllerID = int32(s.controllerTold())
	for _, b := range s.image().Brokers() {
		if at, ok := endpointFor(b, call.Client.Listener); ok && (fencedToo || !b.Fenced) {
			e := kmsg.NewDescribeClusterResponseBroker()
			e.NodeID, e.Host, e.Port, e.Rack, e.IsFenced = int32(b.ID), at.Host, at.Port, rackOf(b), b.Fenced
			r.Brokers = append(r.Brokers, e)
		}
	}
}

func (s *Server) tellControllers(r *kmsg.DescribeClusterResponse) {
	leader, _ := s.quorum.Leader()
	r.ControllerID = int32(leader)
	for _, n := range describedControllers(s.quorum.Describe()) {
		e := kmsg.NewDescribeClusterResponseBroker()
		e.NodeID, e.Host, e.Port = n.NodeID, n.Listeners[0].Host, int32(n.Listeners[0].Port)
		r.Brokers = append(r.Brokers, e)
	}
}

func checkEndpointType(t int8, via side) error {
	switch {
	case t == endpointBroker && via == ofBrokers, t == endpointController && via == ofControllers:
		return nil
	case t == endpointBroker || t == endpointController:
		return fmt.Errorf("endpoint type %d on a listener of the other: %w", t, kafka.ErrMismatchedEndpointType)
	}
	return fmt.Errorf("endpoint type %d: %w", t, kafka.ErrUnsupportedEndpointType)
}
