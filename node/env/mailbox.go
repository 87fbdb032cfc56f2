package env

import "github.com/klammlog/klamm/node/kafka"

// A Mailbox is a bounded queue between tasks of one node.
type Mailbox[T any] struct {
	changed Cond
	items   []T
	limit   int
	closed  bool
}

// NewMailbox returns an empty mailbox that holds up to limit items.
func NewMailbox[T any](w *World, label string, limit int) *Mailbox[T] {
	return &Mailbox[T]{changed: w.NewCond(label), limit: limit}
}

// Put adds an item, waiting for room. It fails with ErrClosed, ErrDeadline or
// ErrCanceled, and then the item was not added. Blocks.
func (m *Mailbox[T]) Put(item T, deadline kafka.Instant) error {
	for !m.closed && len(m.items) >= m.limit {
		if err := m.changed.Wait(deadline); err != nil {
			return err
		}
	}
	if m.closed {
		return ErrClosed
	}
	m.items = append(m.items, item)
	m.changed.Broadcast()
	return nil
}

// Get takes the oldest item, waiting for one. After Close it drains what is
// there, then fails with ErrClosed. Blocks.
func (m *Mailbox[T]) Get(deadline kafka.Instant) (T, error) {
	var none T
	for len(m.items) == 0 {
		if m.closed {
			return none, ErrClosed
		}
		if err := m.changed.Wait(deadline); err != nil {
			return none, err
		}
	}
	item := m.items[0]
	m.items[0] = none
	m.items = m.items[1:]
	m.changed.Broadcast()
	return item, nil
}

// Close refuses further items. It does not block.
func (m *Mailbox[T]) Close() {
	m.closed = true
	m.changed.Broadcast()
}

// Len returns how many items wait.
func (m *Mailbox[T]) Len() int { return len(m.items) }
