package envtest

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

var groupChecks = []Check{
	one("a group waits for all its tasks", groupWaits),
	one("a group cancels all its tasks, those to come included", groupCancels),
}

func groupWaits(t *trial) error {
	g, ended := env.NewGroup(t.World, "group"), 0
	for i := range 10 {
		g.Go("member", func() {
			_ = t.Sleep(time.Duration(i) * 100 * time.Microsecond)
			g.Go("child", func() { _ = t.Sleep(time.Millisecond); ended++ })
			ended++
		})
	}
	if err := g.Wait(t.soon()); err != nil {
		return err
	}
	if ended != 20 || g.Len() != 0 {
		return fmt.Errorf("%d of 20 tasks had ended, %d are members", ended, g.Len())
	}
	return nil
}

func groupCancels(t *trial) error {
	g, c := env.NewGroup(t.World, "group"), t.NewCond("never")
	canceled := 0
	wait := func() {
		if wants("Wait", c.Wait(kafka.Never), env.ErrCanceled) == nil {
			canceled++
		}
	}
	for range 5 {
		g.Go("member", wait)
	}
	t.settle()
	g.Cancel()
	g.Go("late", wait)
	if err := g.Wait(t.soon()); err != nil {
		return err
	}
	if canceled != 6 {
		return fmt.Errorf("%d of 6 tasks were canceled", canceled)
	}
	return nil
}
