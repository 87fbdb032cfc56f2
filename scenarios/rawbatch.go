package scenarios

import (
	"fmt"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// A rawBatch is one batch of a raw producer, from its first copy on the wire until
// its sends have an outcome. Every copy has the same bytes.
//
// Acknowledged is what one copy was acknowledged; failed, what every copy was
// refused for certain; anything else is unknown.
type rawBatch struct {
	partition int32
	producer  record.Producer // zero without idempotence
	bytes     []byte
	sends     []history.SendHandle
	stamp     kafka.Timestamp // of its records

	copies  int   // on their way
	doubt   bool  // some copy got no answer, or one that leaves it open
	refused error // what the last refusal said
	settled bool
}

// acked settles the batch: its first record is at base. With acks=0 base is
// kafka.NoOffset.
func (b *rawBatch) acked(base kafka.Offset) {
	for i, h := range b.sends {
		at := history.NoOffset
		if base != kafka.NoOffset {
			at = history.Offset(base) + history.Offset(i)
		}
		h.Acked(at, history.Timestamp(b.stamp))
	}
	b.settled = true
}

// conclude settles a batch that nobody waits for any longer.
func (b *rawBatch) conclude() {
	for _, h := range b.sends {
		switch {
		case b.doubt || b.copies > 0:
			h.Unknown("no answer says what became of it")
		default:
			h.Failed(fmt.Sprint(b.refused))
		}
	}
	b.settled = true
}

// hear notes what one copy was answered, with the time of the append if that is
// its records' time. A code that tells nothing of what was done leaves a doubt for
// ever.
func (b *rawBatch) hear(code kafka.Error, base kafka.Offset, appended kafka.Timestamp) {
	b.copies--
	switch {
	case b.settled:
	case code == kafka.None:
		if appended != kafka.NoTimestamp {
			b.stamp = appended
		}
		b.acked(base)
	case code.Outcome() == kafka.Unknown, code == kafka.ErrNotLeaderOrFollower:
		// Who led when the batch was appended, and does not any more, says so too.
		b.doubt = true
	default:
		b.refused = code
	}
}

// lose notes that one copy will not be answered.
func (b *rawBatch) lose() {
	b.copies--
	b.doubt = true
}
