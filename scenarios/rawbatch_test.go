package scenarios

import (
	"testing"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/kafka"
)

// What a raw batch becomes follows from what its copies were told, in any order.
func TestWhatCopiesAreToldDecidesTheOutcome(t *testing.T) {
	acked := func(b *rawBatch) { b.hear(kafka.None, 7, kafka.NoTimestamp) }
	refused := func(b *rawBatch) { b.hear(kafka.ErrOutOfOrderSequence, kafka.NoOffset, kafka.NoTimestamp) }
	retriable := func(b *rawBatch) { b.hear(kafka.ErrNotEnoughReplicas, kafka.NoOffset, kafka.NoTimestamp) }
	unclear := func(b *rawBatch) { b.hear(kafka.ErrRequestTimedOut, kafka.NoOffset, kafka.NoTimestamp) }
	lost := (*rawBatch).lose
	for name, c := range map[string]struct {
		copies int
		told   []func(*rawBatch)
		want   history.Outcome
	}{
		"acknowledged":                        {1, []func(*rawBatch){acked}, history.OK},
		"lost, then acknowledged":             {2, []func(*rawBatch){lost, acked}, history.OK},
		"acknowledged, then refused":          {2, []func(*rawBatch){acked, refused}, history.OK},
		"refused":                             {1, []func(*rawBatch){refused}, history.Failed},
		"refused, and may be tried again":     {1, []func(*rawBatch){retriable}, history.Failed},
		"every copy refused":                  {2, []func(*rawBatch){retriable, refused}, history.Failed},
		"one copy refused, the other lost":    {2, []func(*rawBatch){refused, lost}, history.Unknown},
		"one copy refused, the other to come": {2, []func(*rawBatch){refused}, history.Unknown},
		"unclear, then refused":               {2, []func(*rawBatch){unclear, refused}, history.Unknown},
		"lost":                                {1, []func(*rawBatch){lost}, history.Unknown},
	} {
		r := history.NewRecorder(func() history.Instant { return 1 })
		send := history.Send{Partition: r.Partition("orders", 0), Client: r.Client("r1")}
		b := &rawBatch{copies: c.copies, sends: []history.SendHandle{r.Send(send), r.Send(send)}}
		for _, tell := range c.told {
			tell(b)
		}
		if !b.settled {
			b.conclude()
		}
		for i, s := range r.History().Sends {
			if s.Outcome != c.want || c.want == history.OK && s.Offset != history.Offset(7+i) {
				t.Errorf("%s: record %d: outcome %d at offset %d, want %d", name, i, s.Outcome, s.Offset, c.want)
			}
		}
	}
}
