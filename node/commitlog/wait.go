package commitlog

import (
	"fmt"
	"slices"
	"sort"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// waiters are the tasks that wait for the log's held end, by the ends they wait
// for: an advance wakes those that are satisfied and nobody else.
type waiters struct{ by []*waiter }

type waiter struct {
	end  kafka.Offset
	cond env.Cond
	err  error // the offset means something else by now
}

func (ws *waiters) add(w *waiter) {
	i := len(ws.by)
	for i > 0 && ws.by[i-1].end > w.end {
		i--
	}
	ws.by = slices.Insert(ws.by, i, w)
}

func (ws *waiters) remove(w *waiter) {
	if i := slices.Index(ws.by, w); i >= 0 {
		ws.by = slices.Delete(ws.by, i, i+1)
	}
}

// wake wakes those whose end is held.
func (ws *waiters) wake(l *Log) {
	held := l.Held()
	n := sort.Search(len(ws.by), func(i int) bool { return ws.by[i].end > held })
	for _, w := range ws.by[:n] {
		w.cond.Broadcast()
	}
}

// all wakes everybody.
func (ws *waiters) all() {
	for _, w := range ws.by {
		w.cond.Broadcast()
	}
}

// WaitHeld waits until everything below end is held. It fails with what Lost
// tells, with env.ErrDeadline, or with env.ErrCanceled; after the last two the
// records may yet be held. Blocks.
func (l *Log) WaitHeld(end kafka.Offset, deadline kafka.Instant) error {
	var mine *waiter
	for {
		if err := l.Lost(end); err != nil {
			return err
		}
		if end <= l.Held() {
			return nil
		}
		if mine == nil {
			mine = &waiter{end: end, cond: l.w.NewCond("held " + l.name)}
			l.waiters.add(mine)
			defer l.waiters.remove(mine)
		}
		if err := mine.cond.Wait(deadline); err != nil {
			return fmt.Errorf("%s: offset %d held: %w", l.name, end, err)
		}
		if mine.err != nil {
			return mine.err
		}
	}
}

// Lost tells why an append that ends at end will never be held: ErrRefused if it
// has not happened, ErrUnknownOutcome if it may have. It returns nil for what
// is held and what may yet be. Offsets are not given twice while the log is
// open, so the answer stays right. It does not block.
func (l *Log) Lost(end kafka.Offset) error {
	for _, r := range slices.Backward(l.refused) {
		if r.from < end && end <= r.to {
			return r.err
		}
	}
	switch {
	case end <= l.Held():
		return nil
	case l.failed != nil:
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, l.failed)
	case l.ended:
		return fmt.Errorf("%s: %w: %w", l.name, ErrUnknownOutcome, ErrClosed)
	}
	return nil
}
