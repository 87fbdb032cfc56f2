package envtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

var mailboxChecks = []Check{
	one("a mailbox keeps order and loses nothing", mailboxOrder),
	one("a mailbox holds no more than its limit", mailboxLimit),
	one("a closed mailbox drains, then tells", mailboxClose),
	one("canceling ends the waits of a mailbox", func(t *trial) error {
		box := env.NewMailbox[int](t.World, "empty", 1)
		return t.canceling(func() error { _, err := box.Get(kafka.Never); return err })
	}),
}

func mailboxOrder(t *trial) error {
	box := env.NewMailbox[[2]int](t.World, "box", 3)
	const senders, items = 4, 50
	for s := range senders {
		t.start("sender", func() error {
			for i := range items {
				if err := box.Put([2]int{s, i}, t.soon()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	next := make([]int, senders)
	for range senders * items {
		got, err := box.Get(t.soon())
		if err != nil {
			return err
		}
		if s := got[0]; got[1] != next[s] {
			return fmt.Errorf("item %d of sender %d came when %d was due", got[1], s, next[s])
		}
		next[got[0]]++
	}
	return nil
}

func mailboxLimit(t *trial) error {
	box := env.NewMailbox[int](t.World, "box", 2)
	if err := first(box.Put(1, t.soon()), box.Put(2, t.soon())); err != nil {
		return err
	}
	if err := wants("a third Put", box.Put(3, t.Now().Add(time.Millisecond)), env.ErrDeadline); err != nil {
		return err
	}
	if box.Len() != 2 {
		return fmt.Errorf("it holds %d items, want 2", box.Len())
	}
	return nil
}

func mailboxClose(t *trial) error {
	box := env.NewMailbox[int](t.World, "box", 3)
	var got []int
	t.start("receiver", func() error {
		for {
			item, err := box.Get(t.soon())
			if err != nil {
				return wants("Get", err, env.ErrClosed)
			}
			got = append(got, item)
		}
	})
	t.settle()
	if err := first(box.Put(1, t.soon()), box.Put(2, t.soon())); err != nil {
		return err
	}
	box.Close()
	if err := wants("Put after Close", box.Put(3, t.soon()), env.ErrClosed); err != nil {
		return err
	}
	if err := t.finish(); err != nil {
		return err
	}
	if !slices.Equal(got, []int{1, 2}) {
		return fmt.Errorf("received %v, want [1 2]", got)
	}
	return nil
}
