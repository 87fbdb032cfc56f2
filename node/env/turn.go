package env

import "github.com/klammlog/klamm/node/kafka"

// A Turn lets one task at a time through, first come first served, and is kept
// across blocking calls: it is what a node has instead of a mutex. It is
// ordinary code on Cond and the same in every world.
//
// Whoever takes a Turn leaves it, also on errors. It is not reentrant.
type Turn struct {
	w     *World
	label string
	held  bool
	queue []*ticket
}

type ticket struct {
	cond    Cond
	granted bool
}

// NewTurn returns a free turn. The label appears in traces.
func NewTurn(w *World, label string) *Turn { return &Turn{w: w, label: label} }

// Take waits until it is the caller's turn, until the deadline (ErrDeadline), or
// until the task is canceled (ErrCanceled). With an error the turn is not the
// caller's. Blocks.
func (t *Turn) Take(deadline kafka.Instant) error {
	if !t.held {
		t.held = true
		return nil
	}
	mine := &ticket{cond: t.w.NewCond(t.label)}
	t.queue = append(t.queue, mine)
	for !mine.granted {
		if err := mine.cond.Wait(deadline); err != nil {
			t.giveUp(mine)
			return err
		}
	}
	return nil
}

// giveUp takes a waiter out of the queue, or passes on what it was just given.
func (t *Turn) giveUp(mine *ticket) {
	if mine.granted {
		t.Leave()
		return
	}
	for i, other := range t.queue {
		if other == mine {
			t.queue = append(t.queue[:i], t.queue[i+1:]...)
			return
		}
	}
}

// Leave passes the turn to the task that has waited longest. It does not block.
func (t *Turn) Leave() {
	if len(t.queue) == 0 {
		t.held = false
		return
	}
	next := t.queue[0]
	t.queue = t.queue[1:]
	next.granted = true
	next.cond.Broadcast()
}

// Held reports whether some task has the turn.
func (t *Turn) Held() bool { return t.held }
