package osenv

import (
	"fmt"
	"io"
	"sync"
)

// An Async writer hands lines to another writer without ever waiting for it: a
// log that goes to a stuck pipe must not stop the node that writes it under the
// baton. What does not fit in its buffer is dropped and counted. It is safe for
// all goroutines.
type Async struct {
	out io.Writer

	mu      sync.Mutex
	changed *sync.Cond
	lines   []byte
	dropped int
	closed  bool
	ended   bool // nothing will be written any more
}

// asyncBuffer is how many bytes wait for a slow writer before lines are dropped.
const asyncBuffer = 1 << 20

// NewAsync returns an Async that writes to out on a goroutine of its own.
func NewAsync(out io.Writer) *Async {
	a := &Async{out: out}
	a.changed = sync.NewCond(&a.mu)
	go a.run()
	return a
}

// Write takes one line, or drops it. It never fails and never waits for out.
func (a *Async) Write(line []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.lines)+len(line) > asyncBuffer {
		a.dropped++
		return len(line), nil
	}
	a.lines = append(a.lines, line...)
	a.changed.Broadcast()
	return len(line), nil
}

// Close writes out what has been taken, and returns when out has it.
func (a *Async) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.changed.Broadcast()
	for !a.ended {
		a.changed.Wait()
	}
	return nil
}

func (a *Async) run() {
	for {
		lines, dropped := a.take()
		if lines == nil && dropped == 0 {
			return
		}
		_, _ = a.out.Write(lines) // there is nobody left to tell
		if dropped > 0 {
			fmt.Fprintf(a.out, "klamm: %d log lines were dropped, the log's reader is too slow\n", dropped)
		}
	}
}

// take waits for lines, and returns none when there will be no more.
func (a *Async) take() (lines []byte, dropped int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.lines) == 0 && a.dropped == 0 && !a.closed {
		a.changed.Wait()
	}
	lines, dropped = a.lines, a.dropped
	a.lines, a.dropped = nil, 0
	if lines == nil && dropped == 0 {
		a.ended = true
		a.changed.Broadcast()
	}
	return lines, dropped
}
