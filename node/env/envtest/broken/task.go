package broken

import (
	"time"

	"github.com/klammlog/klamm/node/env"
)

// tasks replaces the methods that are not nil.
type tasks struct {
	env.Tasks
	start   func(name string, f func()) env.Task
	cond    func(env.Cond) env.Cond
	offload func(f func())
}

func (t tasks) Go(name string, f func()) env.Task {
	if t.start != nil {
		return t.start(name, f)
	}
	return t.Tasks.Go(name, f)
}

func (t tasks) NewCond(label string) env.Cond {
	if t.cond != nil {
		return t.cond(t.Tasks.NewCond(label))
	}
	return t.Tasks.NewCond(label)
}

func (t tasks) Offload(f func()) {
	if t.offload != nil {
		t.offload(f)
		return
	}
	t.Tasks.Offload(f)
}

// task replaces the methods that are not nil.
type task struct {
	env.Task
	cancel func()
	done   func() bool
}

func (t task) Cancel() {
	if t.cancel != nil {
		t.cancel()
		return
	}
	t.Task.Cancel()
}

func (t task) Done() bool {
	if t.done != nil {
		return t.done()
	}
	return t.Task.Done()
}

// finished is a task that has returned.
type finished struct{}

func (finished) Cancel()    {}
func (finished) Done() bool { return true }

// eachTask describes a world in which change is made to every task.
func eachTask(name string, change func(w *env.World, good env.Task) env.Task, noticed ...string) World {
	return world(name, func(w *env.World) {
		good := w.Tasks
		w.Tasks = tasks{Tasks: good, start: func(name string, f func()) env.Task {
			return change(w, good.Go(name, f))
		}}
	}, noticed...)
}

var taskWorlds = []World{
	world("tasks run at once where they are started", func(w *env.World) {
		w.Tasks = tasks{Tasks: w.Tasks, start: func(_ string, f func()) env.Task {
			f()
			return finished{}
		}}
	}, "a started task waits for its starter to block"),

	eachTask("Done is always true", func(_ *env.World, good env.Task) env.Task {
		return task{Task: good, done: func() bool { return true }}
	}, "Done tells when a task has returned"),

	eachTask("canceling a finished task cancels all sleeps", func(w *env.World, good env.Task) env.Task {
		return task{Task: good, cancel: func() {
			if good.Done() {
				w.Clock = clock{Clock: w.Clock, sleep: func(time.Duration) error { return env.ErrCanceled }}
			}
			good.Cancel()
		}}
	}, "canceling a finished task does nothing"),

	world("canceling one task cancels all", func(w *env.World) {
		good := w.Tasks
		var all []env.Task
		w.Tasks = tasks{Tasks: good, start: func(name string, f func()) env.Task {
			all = append(all, good.Go(name, f))
			return task{Task: all[len(all)-1], cancel: func() {
				for _, t := range all {
					t.Cancel()
				}
			}}
		}}
	}, "canceling concerns one task alone"),

	eachTask("canceling does nothing", func(_ *env.World, good env.Task) env.Task {
		return task{Task: good, cancel: func() {}}
	}, "a task can cancel itself", "canceling ends a wait", "canceling ends the wait for a Turn",
		"canceling ends the waits of a mailbox", "a group cancels all its tasks, those to come included"),

	world("Offload returns before the work is done", func(w *env.World) {
		good := w.Tasks
		w.Tasks = tasks{Tasks: good, offload: func(f func()) { good.Go("offloaded", f) }}
	}, "offloaded work is done when Offload returns"),

	world("offloaded work of canceled tasks is dropped", func(w *env.World) {
		good, canceled := w.Tasks, false
		w.Tasks = tasks{
			Tasks: good,
			start: func(name string, f func()) env.Task {
				t := good.Go(name, f)
				return task{Task: t, cancel: func() { canceled = true; t.Cancel() }}
			},
			offload: func(f func()) {
				if !canceled {
					good.Offload(f)
				}
			},
		}
	}, "offloaded work of a canceled task is done"),
}
