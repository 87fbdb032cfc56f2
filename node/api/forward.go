package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Forward (key 20002, klamm's own): a client's request that a broker passes on to
// the active controller, as it came. 0, on controllers' listeners.
//
// The answer is the request's own, with the offset of the metadata that it speaks
// of. A controller that is not the active one answers NOT_CONTROLLER and has done
// nothing; what is not the controller's, or not a request, is INVALID_REQUEST, and
// an API or version that this node does not serve UNSUPPORTED_VERSION.

func beginForward(s *Server, call *Call) (answer, error) {
	q := &peer.Forward{}
	if err := s.decode(q, call); err != nil {
		return nil, err
	}
	inner, err := s.forwarded(call, q)
	if err != nil {
		return served(func() kmsg.Response { return refusedForward(err) }), nil
	}
	begun, err := inner.handler.begin(s, inner)
	if err != nil {
		err = fmt.Errorf("%w: %w", err, kafka.ErrInvalidRequest)
		return served(func() kmsg.Response { return refusedForward(err) }), nil
	}
	return served(func() kmsg.Response {
		if s.controller == nil || !s.controller.Active() {
			return refusedForward(fmt.Errorf("node is not the active controller: %w", kafka.ErrNotController))
		}
		response := begun.(served)()
		eachCode(response, s.counts.code)
		response.SetVersion(inner.Version)
		return &peer.Forwarded{Body: response.AppendTo(nil), Offset: int64(s.source.Applied())}
	}), nil
}

// forwarded returns the call that a broker has passed on.
func (s *Server) forwarded(call *Call, q *peer.Forward) (*Call, error) {
	h := s.handler(q.APIKey)
	switch {
	case h == nil || q.APIVersion < h.min || q.APIVersion > h.max:
		return nil, fmt.Errorf("%s version %d: %w", peer.NameForKey(q.APIKey), q.APIVersion, kafka.ErrUnsupportedVersion)
	case !h.decides || h.on != ofBoth:
		return nil, fmt.Errorf("%s is not to be forwarded: %w", nameOf(h.key), kafka.ErrInvalidRequest)
	}
	client := &Client{Principal: q.Principal, Listener: q.Listener, Peer: call.Client.Peer, via: ofControllers}
	return &Call{
		Key: q.APIKey, Version: q.APIVersion, Correlation: call.Correlation, ClientID: q.ClientID,
		Client: client, Arrived: call.Arrived, handler: h, body: q.Body, frame: call.frame,
	}, nil
}

func refusedForward(err error) *peer.Forwarded {
	return &peer.Forwarded{ErrorCode: kafka.Code(err), ErrorMessage: *message(err)}
}
