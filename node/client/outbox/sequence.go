package outbox

import (
	"fmt"
	"math"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A Producer is an id and its epoch.
type Producer struct {
	ID    kafka.ProducerID
	Epoch kafka.ProducerEpoch
}

// NoProducer is what a producer without idempotence has, and one that has no id
// yet.
var NoProducer = Producer{ID: kafka.NoProducerID, Epoch: -1}

func (p Producer) String() string { return fmt.Sprintf("%d/%d", p.ID, p.Epoch) }

// An Identity is what a broker recognizes a batch by.
type Identity struct {
	Producer Producer
	First    kafka.Sequence
}

func (i Identity) String() string { return fmt.Sprintf("%s:%d", i.Producer, i.First) }

// A tracker hands out the sequences of one partition.
//
// When the chain of sequences is broken (a batch ended that holds numbers and is
// not known to be appended) the tracker is stale: the broker would refuse what
// follows. It goes on under the next epoch, but only once no batch with an old
// identity is left that may be in the log.
//
// A broker that knows nothing of a producer takes any sequence for its first.
// Until one batch of an identity is acked the next is therefore not sent: it could
// overtake the first, which would then be out of order for ever.
type tracker struct {
	producer Producer // NoProducer until the first batch
	next     kafka.Sequence
	count    uint64 // batches that have an identity of this producer, or had
	stale    bool
	settled  bool // some batch of this identity was acked
}

// assign gives a batch the next identity.
func (t *tracker) assign(b *Batch) {
	b.Identity, b.Assigned = Identity{Producer: t.producer, First: t.next}, true
	b.ordinal = t.count
	t.next = t.next.Add(b.Count)
	t.count++
}

// renew begins anew under the next epoch of the producer, or under latest if that
// is another producer. It reports false if the epochs are used up: then the
// producer needs a new id. (Under another id the broker does not refuse what is
// still on its way under the old one: a batch of unknown outcome may then come to
// stand behind later ones.)
func (t *tracker) renew(latest Producer) bool {
	switch {
	case t.producer.ID != latest.ID:
		t.producer = latest
	case t.producer.Epoch == math.MaxInt16:
		return false
	default:
		t.producer.Epoch++
	}
	t.next, t.stale, t.settled = 0, false, false
	return true
}

// giveBack makes b's numbers the next ones: it was not appended, and it is the last
// that has any.
func (p *partition) giveBack(b *Batch) {
	p.tracker.next, p.tracker.count = b.Identity.First, b.ordinal
	if i := slices.Index(p.queue, b); i > 0 && p.queue[i-1].ordinal == b.ordinal {
		p.tracker.count++ // another piece of the same batch keeps the place
	}
}
