package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// A coordinator is the broker that coordinates one group, as far as the client
// knows.
type coordinator struct {
	c       *Client
	group   string
	id      kafka.NodeID
	address string // "" if it is to be looked for
}

// A groupCall is a request to a coordinator.
type groupCall struct {
	build func() kmsg.Request
	code  func(kmsg.Response) kafka.Error // of the whole
	o     link.Options
	links *pool

	// once says that it is not sent again when it may have been carried out.
	once bool
}

// ask sends a request to the coordinator, looking for it as often as it has
// moved, until the deadline. The response's own errors are the caller's, but for
// those that say that the broker is not the coordinator, or not yet. Blocks.
func (g *coordinator) ask(call groupCall, deadline kafka.Instant) (kmsg.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := g.askOnce(call, deadline)
		if err == nil || hopeless(err) || OutcomeOf(err) == kafka.Definite || g.c.closed || call.once && mayHaveHappened(err) {
			return resp, err
		}
		g.address = ""
		pause := g.c.backOff(attempt)
		if g.c.w.Now().Add(pause) >= deadline {
			return nil, err
		}
		if err := g.c.w.Sleep(pause); err != nil {
			return nil, err
		}
	}
}

func mayHaveHappened(err error) bool { return OutcomeOf(err) == kafka.Unknown }

// askOnce sends it to whoever is thought to be the coordinator. Blocks.
func (g *coordinator) askOnce(call groupCall, deadline kafka.Instant) (kmsg.Response, error) {
	if g.address == "" {
		if err := g.find(deadline); err != nil {
			return nil, err
		}
	}
	resp, err := call.links.get(g.address).Do(call.build(), call.o, deadline)
	if err != nil {
		return nil, fmt.Errorf("coordinator of group %s: %w", g.group, err)
	}
	switch code := call.code(resp); code {
	case kafka.ErrNotCoordinator, kafka.ErrCoordinatorNotAvailable, kafka.ErrCoordinatorLoadInProgress:
		return nil, fmt.Errorf("coordinator of group %s: %w", g.group, code)
	}
	return resp, nil
}

// find asks any broker who coordinates the group. Blocks.
func (g *coordinator) find(deadline kafka.Instant) error {
	resp, err := g.c.askOnce(func() kmsg.Request {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorKey, q.CoordinatorKeys = g.group, []string{g.group}
		return q
	}, link.Options{}, min(deadline, g.c.w.Now().Add(g.c.c.RequestTimeout)))
	if err != nil {
		return fmt.Errorf("find the coordinator of group %s: %w: %w", g.group, link.ErrNotSent, err)
	}
	r := resp.(*kmsg.FindCoordinatorResponse)
	code, text, id, host, port := r.ErrorCode, r.ErrorMessage, r.NodeID, r.Host, r.Port
	if r.Version >= 4 {
		if len(r.Coordinators) != 1 {
			return fmt.Errorf("find the coordinator of group %s: %d answers: %w", g.group, len(r.Coordinators), kafka.ErrCoordinatorNotAvailable)
		}
		a := r.Coordinators[0]
		code, text, id, host, port = a.ErrorCode, a.ErrorMessage, a.NodeID, a.Host, a.Port
	}
	if err := toldBy(code, text); err != nil {
		return fmt.Errorf("find the coordinator of group %s: %w", g.group, err)
	}
	g.id, g.address = kafka.NodeID(id), address(host, port)
	return nil
}

// until returns the deadline of a request that is to be answered soon.
func (g *coordinator) until(patience time.Duration) kafka.Instant {
	return g.c.w.Now().Add(g.c.c.RequestTimeout + patience)
}

// fenced reports whether a group has gone on without a member.
func fenced(code kafka.Error) bool {
	return code == kafka.ErrUnknownMemberID || code == kafka.ErrIllegalGeneration || code == kafka.ErrFencedInstanceID ||
		code == kafka.ErrFencedMemberEpoch || code == kafka.ErrStaleMemberEpoch
}

// ErrFenced: the group has gone on without this member, which must not speak for
// the partitions that it had.
var ErrFenced = errors.New("fenced by the group")
