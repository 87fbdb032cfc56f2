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

// WaitHeld waits until an append is held. It fails with what Lost tells, with
// env.ErrDeadline, or with env.ErrCanceled; after the last two the records may
// yet be held. Blocks.
func (l *Log) WaitHeld(a AppendResult, deadline kafka.Instant) error {
	var mine *waiter
	for {
		if err := l.Lost(a); err != nil {
			return err
		}
		if a.End <= l.Held() {
			return nil
		}
		if mine == nil {
			mine = &waiter{end: a.End, cond: l.w.NewCond("held " + l.name)}
			l.waiters.add(mine)
			defer l.waiters.remove(mine)
		}
		if err := mine.cond.Wait(deadline); err != nil {
			return fmt.Errorf("%s: offset %d held: %w", l.name, a.End, err)
		}
	}
}

// An era is the time between two moments at which offsets were taken back, by a
// refusal or a truncation. They are given again afterwards, so that an offset
// says whose it is only together with its era.
type era struct {
	kept kafka.Offset // what was given above was taken back when the era ended
	err  error        // why; nil while it lasts
	next *era
}

// endEra takes back the offsets above kept. Who waits for them is still to be
// woken.
func (l *Log) endEra(kept kafka.Offset, err error) {
	l.takenBack++
	next := &era{}
	*l.era = era{kept: kept, err: err, next: next}
	l.era = next
}

// TakenBack returns how often offsets that were given have been taken back. While it
// stays the same, and the log is not lame, no append that could have been held
// becomes Lost.
func (l *Log) TakenBack() uint64 { return l.takenBack }

// Lost tells why an append will never be held: ErrRefused if it has not
// happened, ErrUnknownOutcome if it may have. It returns nil for what is held
// and what may yet be. It does not block.
func (l *Log) Lost(a AppendResult) error {
	for e := a.era; e.err != nil; e = e.next {
		if a.End > e.kept {
			return e.err
		}
	}
	if a.End <= l.Held() {
		return nil
	}
	return l.Lame()
}

// Lame tells why nothing that is not held yet ever will be: an error that is
// ErrUnknownOutcome, since it may be in the files. It returns nil while the log
// works. It does not block.
func (l *Log) Lame() error {
	switch {
	case l.failed != nil:
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, l.failed)
	case l.ended:
		return fmt.Errorf("%s: %w: %w", l.name, ErrUnknownOutcome, ErrClosed)
	}
	return nil
}
