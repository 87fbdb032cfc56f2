package client

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/kafka"
)

// getID gets a producer id from any broker, however long that takes; batches
// expire meanwhile. A definite refusal ends the producer.
func (p *Producer) getID() {
	defer func() { p.gettingID = false }()
	for attempt := 1; !p.closed; attempt++ {
		id, err := p.initProducerID()
		if err == nil {
			p.outbox.SetProducer(id)
			p.wake.Broadcast()
			return
		}
		if OutcomeOf(err) == kafka.Definite {
			p.fail(err)
			return
		}
		if p.w.Sleep(p.client.backOff(attempt)) != nil {
			return
		}
	}
}

// initProducerID asks once for an id nobody else has. Blocks.
func (p *Producer) initProducerID() (outbox.Producer, error) {
	resp, err := p.client.askOnce(func() kmsg.Request {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionTimeoutMillis = int32(p.c.DeliveryTimeout.Milliseconds())
		return req
	}, link.Options{}, p.w.Now().Add(p.client.c.RequestTimeout))
	if err != nil {
		return outbox.NoProducer, fmt.Errorf("producer id: %w", err)
	}
	got := resp.(*kmsg.InitProducerIDResponse)
	if code := kafka.Error(got.ErrorCode); code != kafka.None {
		return outbox.NoProducer, fmt.Errorf("producer id: %w", code)
	}
	return outbox.Producer{ID: kafka.ProducerID(got.ProducerID), Epoch: kafka.ProducerEpoch(got.ProducerEpoch)}, nil
}
