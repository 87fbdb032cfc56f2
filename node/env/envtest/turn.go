package envtest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

var turnChecks = []Check{
	one("a Turn is kept across blocking calls", turnExcludes),
	one("a Turn is first come first served", turnInOrder),
	one("a Turn that was not granted is not held", turnGivenUp),
	one("canceling ends the wait for a Turn", func(t *trial) error {
		turn := env.NewTurn(t.World, "held")
		if err := turn.Take(kafka.Never); err != nil {
			return err
		}
		return t.canceling(func() error { return turn.Take(kafka.Never) })
	}),
}

func turnExcludes(t *trial) error {
	turn, inside := env.NewTurn(t.World, "turn"), 0
	for range 6 {
		t.start("taker", func() error {
			for range 10 {
				if err := turn.Take(t.soon()); err != nil {
					return err
				}
				inside++
				_ = t.Sleep(10 * time.Microsecond)
				if inside != 1 {
					return fmt.Errorf("%d tasks have the turn", inside)
				}
				inside--
				turn.Leave()
			}
			return nil
		})
	}
	if err := t.finish(); err != nil {
		return err
	}
	if turn.Held() {
		return errors.New("it is held when all have left")
	}
	return nil
}

func turnInOrder(t *trial) error {
	turn := env.NewTurn(t.World, "turn")
	if err := turn.Take(t.soon()); err != nil {
		return err
	}
	var came, served []int
	for i := range 10 {
		t.start("taker", func() error {
			came = append(came, i)
			if err := turn.Take(t.soon()); err != nil {
				return err
			}
			served = append(served, i)
			turn.Leave()
			return nil
		})
	}
	if err := t.until("all wait", func() bool { return len(came) == 10 }); err != nil {
		return err
	}
	turn.Leave()
	if err := t.finish(); err != nil {
		return err
	}
	if !slices.Equal(came, served) {
		return fmt.Errorf("they came as %v and were served as %v", came, served)
	}
	return nil
}

func turnGivenUp(t *trial) error {
	turn := env.NewTurn(t.World, "turn")
	if err := turn.Take(t.soon()); err != nil {
		return err
	}
	impatient := t.start("impatient", func() error {
		return wants("Take", turn.Take(t.Now().Add(time.Millisecond)), env.ErrDeadline)
	})
	t.start("patient", func() error {
		if err := turn.Take(t.soon()); err != nil {
			return err
		}
		turn.Leave()
		return nil
	})
	if err := t.until("the impatient gives up", impatient.Done); err != nil {
		return err
	}
	turn.Leave()
	return nil
}
