package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/klammlog/klamm/scenarios"
)

// An order is what a worker process is asked to do: one run.
type order struct {
	Spec      scenarios.Spec `json:"spec"`
	Record    string         `json:"record,omitempty"`    // write every event to this file
	Artifacts string         `json:"artifacts,omitempty"` // on failure, write evidence below this folder
}

// An answer is what a worker says of one order.
type answer struct {
	Result scenarios.Result `json:"result"`
	Error  string           `json:"error,omitempty"` // the run could not be made
}

// A finding is what came of one run, repeated or not.
type finding struct {
	order
	answer
	Again []scenarios.Result // of the repetitions, each in another process
	Died  error              // a worker process died of it
}

// diverged returns the first repetition whose chain differs, or nil.
func (f finding) diverged() *scenarios.Result {
	for i := range f.Again {
		if f.Again[i].Chain != f.Result.Chain {
			return &f.Again[i]
		}
	}
	return nil
}

// A worker is a child process that makes runs, one after the other. Processes,
// not goroutines: a run that hangs can be killed, and whatever a run leaves
// behind in a process cannot reach the runs of another.
type worker struct {
	command *exec.Cmd
	orders  *json.Encoder
	in      io.Closer
	answers *bufio.Reader
	stderr  *tail
}

func startWorker() (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{command: exec.Command(self, "worker"), stderr: &tail{}}
	w.command.Stderr = w.stderr
	in, err := w.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := w.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.in, w.orders, w.answers = in, json.NewEncoder(in), bufio.NewReaderSize(out, 1<<16)
	return w, w.command.Start()
}

// do sends one order and waits for its answer. An error means that the process
// is gone, and says what it printed last.
func (w *worker) do(o order) (answer, error) {
	var a answer
	if err := w.orders.Encode(o); err == nil {
		line, err := w.answers.ReadBytes('\n')
		if err == nil {
			return a, json.Unmarshal(line, &a)
		}
	}
	err := w.command.Wait()
	return a, fmt.Errorf("the process that ran it died (%v):\n%s", err, w.stderr)
}

func (w *worker) stop() {
	w.in.Close()
	w.command.Wait()
}

func (w *worker) kill() {
	w.command.Process.Kill()
	w.command.Wait()
}

// A tail keeps the end of what a process prints.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailBytes = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}

// A crew is the worker processes of one job: one for the run itself, and one for
// each repetition, so that a repetition never shares a process with the original.
type crew []*worker

func startCrew(size int) (crew, error) {
	var c crew
	for range size {
		w, err := startWorker()
		if err != nil {
			c.kill()
			return nil, fmt.Errorf("start a worker process: %w", err)
		}
		c = append(c, w)
	}
	return c, nil
}

func (c crew) stop() {
	for _, w := range c {
		w.stop()
	}
}

func (c crew) kill() {
	for _, w := range c {
		w.kill()
	}
}

// run makes one run and its repetitions.
func (c crew) run(o order) finding {
	f := finding{order: o}
	for i, w := range c {
		a, err := w.do(o)
		if err != nil {
			f.Died = err
			return f
		}
		if i == 0 {
			f.answer = a
		} else {
			f.Again = append(f.Again, a.Result)
		}
		if a.Error != "" {
			f.Error = a.Error
			return f
		}
	}
	return f
}

// errInterrupted ends a pool early.
var errInterrupted = errors.New("interrupted")

// runPool makes the ordered runs on jobs crews of repeat processes and hands each
// finding to report, on one goroutine, in the order they end. It stops when
// orders is closed, report returns false, or stop is closed.
func runPool(orders <-chan order, jobs, repeat int, stop <-chan struct{}, report func(finding) bool) error {
	findings := make(chan finding)
	quit := make(chan struct{})
	var wait sync.WaitGroup
	var failed error
	for range jobs {
		c, err := startCrew(repeat)
		if err != nil {
			failed = err
			break
		}
		wait.Add(1)
		go func() {
			defer wait.Done()
			work(c, repeat, orders, findings, quit)
		}()
	}
	go func() { wait.Wait(); close(findings) }()
	return errors.Join(failed, drain(findings, stop, quit, report))
}

func drain(findings <-chan finding, stop <-chan struct{}, quit chan struct{}, report func(finding) bool) error {
	for {
		select {
		case f, ok := <-findings:
			if !ok {
				return nil
			}
			if !report(f) {
				close(quit)
				return nil
			}
		case <-stop:
			close(quit)
			return errInterrupted
		}
	}
}

// work makes runs until there are no more, replacing a crew that died.
func work(c crew, repeat int, orders <-chan order, findings chan<- finding, quit <-chan struct{}) {
	defer func() { c.kill() }()
	for o := range orders {
		done := make(chan finding, 1)
		go func() { done <- c.run(o) }()
		select {
		case f := <-done:
			if f.Died != nil {
				c.kill()
				fresh, err := startCrew(repeat)
				if err != nil {
					f.Died = errors.Join(f.Died, err)
				}
				c = fresh
			}
			select {
			case findings <- f:
			case <-quit:
				return
			}
			if c == nil {
				return
			}
		case <-quit:
			return
		}
	}
}
