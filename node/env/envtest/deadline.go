package envtest

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

var deadlineChecks = []Check{
	paired("a read returns at its deadline, and the connection goes on", readDeadline),
	paired("a write returns at its deadline and counts what was taken", writeDeadline),
	paired("a deadline in the past ends a blocked read", deadlineReachesRead),
	paired("a deadline in the past ends a blocked write", deadlineReachesWrite),
	paired("a later deadline reaches a blocked read", laterDeadline),
	paired("taking the deadline away reaches a blocked read", noDeadline),
	paired("deadlines of one direction spare the other", oneDirection),
}

func readDeadline(t *trial, near, far env.Conn) error {
	for i := range 3 {
		deadline := t.Now().Add(time.Duration(i+1) * time.Millisecond)
		far.SetReadDeadline(deadline)
		_, err := far.Read(make([]byte, 10))
		if err := wants("Read", err, env.ErrDeadline); err != nil {
			return err
		}
		if now := t.Now(); now < deadline {
			return fmt.Errorf("the deadline %v was called at %v", deadline, now)
		}
		_, err = far.Read(make([]byte, 10))
		if err := wants("Read again", err, env.ErrDeadline); err != nil {
			return err
		}
		p := pattern(uint64(i), 1000)
		far.SetReadDeadline(t.soon())
		if err := first(send(near, p), expect(far, p)); err != nil {
			return fmt.Errorf("after a deadline: %w", err)
		}
	}
	return nil
}

func writeDeadline(t *trial, near, far env.Conn) error {
	near.SetWriteDeadline(t.Now().Add(20 * time.Millisecond))
	taken, err := fill(near)
	if err := wants("Write", err, env.ErrDeadline); err != nil {
		return err
	}
	near.SetWriteDeadline(t.soon())
	return drain(t, near, far, taken)
}

func deadlineReachesRead(t *trial, near, far env.Conn) error {
	never(far)
	reader := t.start("reader", func() error {
		_, err := far.Read(make([]byte, 10))
		return wants("Read", err, env.ErrDeadline)
	})
	t.settle()
	far.SetReadDeadline(t.Now())
	return t.until("the read returns", reader.Done)
}

func deadlineReachesWrite(t *trial, near, far env.Conn) error {
	never(near)
	taken := 0
	writer := t.start("writer", func() error {
		_, err := fillCounting(near, &taken)
		return wants("Write", err, env.ErrDeadline)
	})
	for before := -1; before != taken || taken == 0; { // until it is blocked, however slow the machine
		before = taken
		t.settle()
		t.settle()
	}
	near.SetWriteDeadline(t.Now())
	return t.until("the write returns", writer.Done)
}

func laterDeadline(t *trial, near, far env.Conn) error { return readsOn(t, near, far, t.soon()) }

func noDeadline(t *trial, near, far env.Conn) error { return readsOn(t, near, far, kafka.Never) }

// readsOn moves the deadline of a read that waits, and answers it when the first
// deadline has passed. Where the move comes too late there is nothing to see.
func readsOn(t *trial, near, far env.Conn, later kafka.Instant) error {
	early := t.Now().Add(50 * time.Millisecond)
	near.SetReadDeadline(early)
	var readErr error
	reader := t.start("reader", func() error {
		_, readErr = near.Read(make([]byte, 1))
		return nil
	})
	t.settle()
	near.SetReadDeadline(later)
	inTime := t.Now() < early
	err := first(
		t.Sleep(early.Sub(t.Now())+5*time.Millisecond),
		send(far, []byte("x")),
		t.until("the read returns", reader.Done),
	)
	if err == nil && inTime && readErr != nil {
		return fmt.Errorf("with the deadline moved from %v to %v: %w", early, later, readErr)
	}
	return err
}

func oneDirection(t *trial, near, far env.Conn) error {
	near.SetReadDeadline(t.Now())
	p := pattern(1, 1000)
	if err := first(send(near, p), expect(far, p)); err != nil {
		return fmt.Errorf("with a passed read deadline: %w", err)
	}
	near.SetReadDeadline(t.soon())
	near.SetWriteDeadline(t.Now())
	if err := first(send(far, p), expect(near, p)); err != nil {
		return fmt.Errorf("with a passed write deadline: %w", err)
	}
	_, err := near.Write(p)
	return wants("Write", err, env.ErrDeadline)
}
