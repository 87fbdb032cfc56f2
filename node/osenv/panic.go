package osenv

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
)

// A Panic is the end of a task that found itself wrong.
type Panic struct {
	Task  string
	Value any // an assert.Failure, or whatever was thrown
	Stack []byte
}

func (p Panic) String() string {
	return fmt.Sprintf("klamm: task %q: %v\n\n%s", p.Task, p.Value, p.Stack)
}

// doTask is the name of the tasks that Do makes.
const doTask = "do"

// What Do returns when f panicked and the handler came back.
var (
	errPanicked   = errors.New("panicked")
	errDoPanicked = fmt.Errorf("task %q: %w", doTask, errPanicked)
)

func (h *Host) report(t *task, v any) {
	h.panics(Panic{Task: t.name, Value: v, Stack: debug.Stack()})
}

// printAndExit ends the process while the baton is held, so that no other task
// acts on what the panic left behind.
func printAndExit(p Panic) {
	fmt.Fprintln(os.Stderr, p)
	os.Exit(2)
}
