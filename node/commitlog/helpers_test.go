package commitlog

import (
	"errors"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

func errorIs(err, target error) bool { return errors.Is(err, target) }

// inject begins a fault now.
func (r *rig) inject(line string) {
	r.t.Helper()
	f, err := disksim.ParseFault(line)
	if err != nil {
		r.t.Fatal(err)
	}
	f.Apply(r.disk)
}

// A kafkaProducer is an idempotent producer.
type kafkaProducer struct {
	id   kafka.ProducerID
	next kafka.Sequence
}

func (p *kafkaProducer) batch(n int) []byte {
	b := batchOf(n, 20, 1, &record.Producer{ID: p.id, Sequence: p.next})
	p.next = p.next.Add(int32(n))
	return b
}
