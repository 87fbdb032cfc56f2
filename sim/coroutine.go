package sim

import "iter"

// A coroutine is a stack that tasks run on, one after the other: what a task has
// made it grow to serves the next one too, and tasks are many and short.
type coroutine struct {
	task  *Task // that runs on it, until it is done
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

// coroutine returns one that is free.
func (k *Kernel) coroutine() *coroutine {
	if last := len(k.free) - 1; last >= 0 {
		c := k.free[last]
		k.free[last] = nil
		k.free = k.free[:last]
		return c
	}
	c := &coroutine{}
	c.next, c.stop = iter.Pull(c.loop)
	return c
}

// loop runs task after task, and gives up the thread behind each.
func (c *coroutine) loop(yield func(struct{}) bool) {
	c.yield = yield
	for {
		c.task.run()
		if !yield(struct{}{}) {
			return
		}
	}
}

// freeAll ends the coroutines on which no task runs.
func (k *Kernel) freeAll() {
	for _, c := range k.free {
		c.stop()
	}
	k.free = nil
}
