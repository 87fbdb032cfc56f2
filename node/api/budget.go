package api

import (
	"errors"
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/env"
)

// A budget admits bytes before there is memory for them, however many connections
// there are: one those of requests before they are read, one those of answers
// before they are built. First come, first served, so that a large request is not
// starved by small ones.
//
// Who has something of the requests' budget may wait for the answers', never the
// other way round.
//
// A budget that lends lets somebody in as long as anything is free, however much he asks
// for (KIP-72): it may be exceeded by less than the largest that anybody asks for, by one at
// a time. A strict one would have a request as large as the limit wait until nothing is held at
// all, and everybody else behind it: a fetch that waits for records, or a member that
// waits for its group, may hold its few bytes for minutes.
type budget struct {
	w     *env.World
	limit int64
	lends bool
	used  int64
	over  int64 // of used: what was charged without asking
	lent  int64 // by how much the limit was exceeded by the last who was let in
	queue []*ask

	// short is called by the first in the queue, every now and then. It may not
	// block. It is nil if nobody can help.
	short func(help)
}

// A help says how those are helped who wait for memory.
type help bool

const (
	patiently help = false
	atOnce    help = true // whoever holds memory and makes the node wait has done so for too long
)

// shortAfter is how long the first in the queue waits before it asks for help.
const shortAfter = 5 * time.Second

type ask struct {
	bytes   int64
	cond    env.Cond
	granted bool
}

// take waits until n bytes are free, or any if the budget lends; more than the limit count
// as the limit. It returns what is to be given back. Blocks.
func (b *budget) take(n int64) (int64, error) {
	n = min(n, b.limit)
	if len(b.queue) == 0 && b.fits(n) {
		b.letIn(n)
		return n, nil
	}
	b.w.Probe("a request waited for the budget of bytes")
	mine := &ask{bytes: n, cond: b.w.NewCond("api/budget")}
	b.queue = append(b.queue, mine)
	pause, how := shortAfter, patiently
	if b.w.Buggify("who waits for memory is helped at once") {
		pause, how = time.Millisecond, atOnce
	}
	for !mine.granted {
		err := mine.cond.Wait(b.w.Now().Add(pause))
		if errors.Is(err, env.ErrDeadline) {
			if !mine.granted && b.queue[0] == mine && b.short != nil {
				b.short(how)
			}
			continue
		}
		if err != nil {
			b.giveUp(mine)
			return 0, err
		}
	}
	return n, nil
}

// fits reports whether somebody who asks for n bytes may be let in now.
func (b *budget) fits(n int64) bool {
	if b.lends {
		return b.used < b.limit
	}
	return b.used+n <= b.limit
}

func (b *budget) letIn(n int64) {
	b.used += n
	b.lent = max(0, b.used-b.limit)
}

// charge takes n bytes without waiting: they turned out to be there. What is used
// may be more than the limit then; nothing is let in until it is not.
func (b *budget) charge(n int64) {
	b.used += n
	b.over += n
}

// discharge gives back what was charged. It does not block.
func (b *budget) discharge(n int64) {
	b.over -= n
	b.give(n)
}

// check returns an error if more was given out than there is.
func (b *budget) check() error {
	if b.over < 0 || b.used < b.over || b.used-b.over > b.limit+b.lent || b.lent > 0 && !b.lends {
		return fmt.Errorf("%d bytes used, %d of them charged, limit %d, lent %d", b.used, b.over, b.limit, b.lent)
	}
	return nil
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
	for len(b.queue) > 0 && b.fits(b.queue[0].bytes) {
		next := b.queue[0]
		b.queue = b.queue[1:]
		b.letIn(next.bytes)
		next.granted = true
		next.cond.Broadcast()
	}
}
