package api

import (
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A budget admits bytes before they are read: what the node holds of requests
// at once is bounded, however many connections there are. First come, first
// served, so that a large request is not starved by small ones.
type budget struct {
	w     *env.World
	limit int64
	used  int64
	queue []*ask
}

type ask struct {
	bytes   int64
	cond    env.Cond
	granted bool
}

// take waits until n bytes are free; more than the limit count as the limit, and
// so are let in alone. It returns what is to be given back. Blocks.
func (b *budget) take(n int64) (int64, error) {
	n = min(n, b.limit)
	if len(b.queue) == 0 && b.used+n <= b.limit {
		b.used += n
		return n, nil
	}
	b.w.Probe("a request waited for the budget of bytes")
	mine := &ask{bytes: n, cond: b.w.NewCond("api/budget")}
	b.queue = append(b.queue, mine)
	for !mine.granted {
		if err := mine.cond.Wait(kafka.Never); err != nil {
			b.giveUp(mine)
			return 0, err
		}
	}
	return n, nil
}

// giveUp takes an ask out of the queue, or gives back what it was just granted.
func (b *budget) giveUp(mine *ask) {
	if mine.granted {
		b.give(mine.bytes)
		return
	}
	for i, other := range b.queue {
		if other == mine {
			b.queue = append(b.queue[:i], b.queue[i+1:]...)
			break
		}
	}
	b.grant() // who stood behind may fit
}

// give returns n bytes. It does not block.
func (b *budget) give(n int64) {
	b.used -= n
	b.grant()
}

func (b *budget) grant() {
	for len(b.queue) > 0 && b.used+b.queue[0].bytes <= b.limit {
		next := b.queue[0]
		b.queue = b.queue[1:]
		b.used += next.bytes
		next.granted = true
		next.cond.Broadcast()
	}
}
