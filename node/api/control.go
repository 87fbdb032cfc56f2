package api

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What the active controller decides is asked of any node. On the node where it
// is, it is asked there. A broker elsewhere carries the request to it as it came,
// brings the answer back, and waits, not beyond the request's own timeout, until
// its own image has what was changed: who asks the same broker next sees it. A
// controller that is not the active one says NOT_CONTROLLER, as in Kafka.

// A Source is the metadata as this node has it.
type Source interface {
	Image() *meta.Image

	// Applied returns the offset up to which it is applied.
	Applied() kafka.Offset

	// WaitApplied waits until everything up to an offset is applied. Blocks.
	WaitApplied(at kafka.Offset, deadline kafka.Instant) error
}

// A Forwarder reaches the active controller, wherever it is.
type Forwarder interface {
	// Forward looks for it until the deadline and brings its answer, which has no
	// error code. Errors carry a kafka.Error, whose kind says whether something may
	// have happened. Blocks.
	Forward(q *peer.Forward, deadline kafka.Instant) (*peer.Forwarded, error)
}

// A control is one call that the active controller answers.
type control struct {
	s    *Server
	call *Call
	c    Controller // of this node, or one that refuses everything

	refused error // why it does
	behind  error // why the image here has not followed the answer
}

// leastPatience is how long the active controller is looked for at least, and
// patience how long for a request that has no timeout.
const (
	leastPatience = time.Second
	patience      = 30 * time.Second
)

// controlled makes a handler of a function that answers a decoded request with
// the help of a controller. settle, if not nil, is called before it is asked and
// returns what waits afterwards, on a broker, until this has done its part.
func controlled[R any, A any, P interface {
	*R
	kmsg.Request
}, Q interface {
	*A
	kmsg.Response
}](decide func(*control, P) Q, settle func(*control, P) func(Q)) func(*Server, *Call) (answer, error) {
	return func(s *Server, call *Call) (answer, error) {
		request := P(new(R))
		if err := s.decode(request, call); err != nil {
			return nil, err
		}
		return served(func() kmsg.Response {
			x := &control{s: s, call: call, c: s.controller}
			if x.c == nil {
				x.refuse(fmt.Errorf("there is no controller here: %w", kafka.ErrNotController))
			}
			response, settled := Q(new(A)), func(Q) {}
			if settle != nil && s.broker != nil && call.Client.via == ofBrokers {
				settled = settle(x, request)
			}
			if s.forwards(call) {
				if err := x.forward(request, response); err != nil {
					x.refuse(err)
					return decide(x, request)
				}
			} else {
				response = decide(x, request)
			}
			settled(response)
			return response
		}), nil
	}
}

// refuse has everything refused.
func (x *control) refuse(why error) { x.c, x.refused = refusing{why}, why }

// forwards reports whether a call is for a controller on another node.
func (s *Server) forwards(call *Call) bool {
	return call.Client.via == ofBrokers && s.forwarder != nil && (s.controller == nil || !s.controller.Active())
}

// forward carries the call to the active controller and reads its answer. Blocks.
func (x *control) forward(request kmsg.Request, response kmsg.Response) error {
	call, now := x.call, x.s.w.Now()
	deadline := max(x.deadline(request), now.Add(leastPatience))
	x.s.w.Probe("a request was forwarded to the active controller")
	got, err := x.s.forwarder.Forward(&peer.Forward{
		APIKey: call.Key, APIVersion: call.Version, ClientID: call.ClientID,
		Principal: call.Client.Principal, Listener: call.Client.Listener, Body: call.body,
	}, deadline)
	if err != nil {
		return err
	}
	response.SetVersion(call.Version)
	if err := decodeAnswer(response, got.Body); err != nil {
		return fmt.Errorf("%s: answer of the active controller: %w: %w", kmsg.NameForKey(call.Key), err, kafka.ErrUnknownServerError)
	}
	// If the image does not get there in time, the answer is true all the same.
	x.behind = x.s.source.WaitApplied(kafka.Offset(got.Offset), max(x.deadline(request), now))
	return nil
}

// deadline returns when a request is to be answered.
func (x *control) deadline(request kmsg.Request) kafka.Instant {
	if q, ok := request.(kmsg.TimeoutRequest); ok {
		return x.call.deadlineIn(q.Timeout())
	}
	return x.call.Arrived.Add(patience)
}

// image returns the metadata that answers are made from.
func (s *Server) image() *meta.Image { return s.source.Image() }
