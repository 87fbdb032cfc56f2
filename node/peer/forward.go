package peer

import (
	"fmt"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Forward brings a client's request to the active controller as it came, and its
// answer back. It is not sent again once a controller may have taken it up. Errors
// carry a kafka.Error. Blocks.
func (p *Peers) Forward(q *Forward, deadline kafka.Instant) (answer *Forwarded, err error) {
	err = p.ask(question{
		lane: forwardLane, repeat: once,
		ask: func() kmsg.Request {
			again := *q
			again.TimeoutMillis = millis(deadline.Sub(p.w.Now()))
			return &again
		},
		read: func(a kmsg.Response) error {
			answer = a.(*Forwarded)
			if code := kafka.Error(answer.ErrorCode); code != kafka.None {
				return fmt.Errorf("%s: %.1000s: %w", NameForKey(q.APIKey), answer.ErrorMessage, code)
			}
			return nil
		},
		options: link.Options{Patience: max(deadline.Sub(p.w.Now()), 0)},
	}, deadline)
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// FetchFrom fetches from a leader. What fails is of no consequence: nothing was
// changed. Blocks.
func (p *Peers) FetchFrom(leader kafka.NodeID, q *broker.ReplicaFetch, deadline kafka.Instant) (*broker.ReplicaFetched, error) {
	address, err := p.brokerAt(leader)
	if err != nil {
		return nil, err
	}
	wait := max(q.MaxWait.Sub(p.w.Now()), 0)
	options := link.Options{MinVersion: fetchVersion, MaxVersion: fetchVersion, Patience: wait}
	answer, err := p.link(leader, address, fetchLane).Do(FetchRequest(q, wait), options, deadline)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, kafka.ErrBrokerNotAvailable)
	}
	return fetched(answer.(*kmsg.FetchResponse)), nil
}
