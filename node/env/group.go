package env

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A Group is a set of tasks that are canceled and awaited together.
type Group struct {
	w       *World
	changed Cond
	tasks   []*member // in the order they were started: the scheduler sees the order of cancels
	closed  bool
}

type member struct{ task Task }

// NewGroup returns an empty group. The label appears in traces.
func NewGroup(w *World, label string) *Group {
	return &Group{w: w, changed: w.NewCond(label)}
}

// Go starts f as a task of the group. After Cancel the new task is canceled from
// its beginning. It does not block.
func (g *Group) Go(name string, f func()) Task {
	m := &member{}
	g.tasks = append(g.tasks, m)
	m.task = g.w.Go(name, func() {
		defer g.leave(m)
		f()
	})
	if g.closed {
		m.task.Cancel()
	}
	return m.task
}

func (g *Group) leave(m *member) {
	if i := slices.Index(g.tasks, m); i >= 0 {
		g.tasks = slices.Delete(g.tasks, i, i+1)
	}
	g.changed.Broadcast()
}

// Cancel cancels the tasks of the group, those to come included. It does not
// block.
func (g *Group) Cancel() {
	g.closed = true
	for _, m := range g.tasks {
		m.task.Cancel()
	}
}

// Wait waits until every task has returned. Blocks.
func (g *Group) Wait(deadline kafka.Instant) error {
	for len(g.tasks) > 0 {
		if err := g.changed.Wait(deadline); err != nil {
			return err
		}
	}
	return nil
}

// Len returns how many tasks have not returned.
func (g *Group) Len() int { return len(g.tasks) }
